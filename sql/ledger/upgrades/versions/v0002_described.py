"""Tables and columns say what they are, a run says which version began it, and `version` is Alembic's."""

from __future__ import annotations

from sql.ledger.upgrades.script import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_script("v0002_described.sql")
