"""Signals of the database's health, and who holds locks."""
