"""The data steps as scripts: what a run says to PostgreSQL, in the order in which it says it, for a person and psql."""
