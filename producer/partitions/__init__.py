"""Keeping the partitions of a table in use."""
