"""Where a user's programs keep what must outlive them: tracebacks, Flower's memory, what a run was preparing."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """The folder, which need not be there yet: `$XDG_STATE_HOME/replank`, by default below the home folder."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "replank"


def of_database(what: str, identity: str) -> Path:
    """A file of one database; `identity` is what `sql.session.database_identity` calls it."""
    return state_folder() / f"{what}-{identity.replace('/', '-').replace(':', '-')}"
