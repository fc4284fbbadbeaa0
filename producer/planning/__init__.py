"""A plan meets a database: what it names is looked up once, and becomes the prepared run that all work from."""
