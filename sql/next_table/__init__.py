"""Building the next table, with its indexes and foreign keys."""
