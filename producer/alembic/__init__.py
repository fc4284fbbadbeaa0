"""What follows a plan in an application of SQLAlchemy and Alembic: its models and its history of revisions."""
