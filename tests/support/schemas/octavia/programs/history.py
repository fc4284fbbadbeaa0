"""Alembic on octavia's own history, as its `octavia-db-manage` calls it: `history.py URL upgrade head`.

That program itself also starts octavia's task engine, which these tests have no use for.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import octavia.db
from alembic import command
from alembic.config import Config


def run(url: str, name: str, *arguments: str) -> None:
    config = Config(str(Path(octavia.db.__file__).with_name("migration") / "alembic.ini"))
    config.octavia_config = SimpleNamespace(database=SimpleNamespace(connection=url))
    getattr(command, name)(config, *arguments)


if __name__ == "__main__":
    run(*sys.argv[1:])
