"""Measuring a database: speed, counters, checksums, probe writes."""
