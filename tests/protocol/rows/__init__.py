"""Rows copied, drained, filled and compared."""
