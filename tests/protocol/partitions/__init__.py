"""Partitioned tables, and partitions in use."""
