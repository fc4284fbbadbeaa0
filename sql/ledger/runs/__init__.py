"""Runs, their scripts, gates, pauses and rollbacks."""
