"""SQL that people read and psql runs."""
