"""A plan meets a database: what it names is looked up, and becomes what a run works from."""
