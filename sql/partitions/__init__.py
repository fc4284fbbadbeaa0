"""Partitions of tables in use and of next tables."""
