"""A shop as SQLAlchemy and Alembic leave it behind: fifteen tables with `varchar(36)` ids, models, four revisions."""
