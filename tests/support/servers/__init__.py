"""Servers and programs beside PostgreSQL that tests start, and how they are had."""
