"""Rows that cannot be converted, with all that refer to them."""
