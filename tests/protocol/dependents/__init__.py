"""What hangs on a table follows it, and the catalogue says so."""
