"""The depot's history: Alembic's environment and its revisions."""
