"""What a revision does, in SQL of a file beside it: in the upgrade's own transaction, as one message to the server."""

from __future__ import annotations

from importlib.resources import files

from alembic import op


def run_script(name: str) -> None:
    text = (files("sql") / "ledger" / "upgrades" / "versions" / name).read_text(encoding="utf-8")
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    connection.execute(text)
