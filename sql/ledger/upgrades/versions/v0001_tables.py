"""The ledger as it was before its upgrades were Alembic's; its table `version` said 1."""

from __future__ import annotations

from sql.ledger.upgrades.script import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_script("v0001_tables.sql")
