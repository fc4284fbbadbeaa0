"""The shop's history: Alembic's environment and its revisions."""
