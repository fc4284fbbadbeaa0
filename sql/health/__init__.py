"""Signals of the database's health, and which sessions hold locks."""
