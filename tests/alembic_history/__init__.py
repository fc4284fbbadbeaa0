"""Applications of SQLAlchemy and Alembic follow a run; Alembic itself is the judge."""
