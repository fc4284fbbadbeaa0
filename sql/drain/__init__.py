"""Applying the change log to the next table, and comparing both sides."""
