"""The data steps as scripts: what a run says to PostgreSQL, in the same order, for review and for psql."""
