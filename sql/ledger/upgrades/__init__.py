"""The ledger's shape as it grew: Alembic's revisions, and who may open which."""
