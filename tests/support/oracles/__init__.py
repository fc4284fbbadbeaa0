"""Judges in plain SQL that share nothing with the product."""
