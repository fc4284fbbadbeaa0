"""Rows that cannot be converted: admitted, resolved, released."""
