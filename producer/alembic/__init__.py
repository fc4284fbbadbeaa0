"""SQLAlchemy and Alembic: an application's models and its history of revisions follow a plan."""
