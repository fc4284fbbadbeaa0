"""The ledger as a whole: whether it is there and of this version, made, upgraded, dropped.

Alembic keeps its revision in `replank.alembic_version`, and is loaded only where there is something to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.sql import SQL

from replank import __version__
from replank.errors import OtherVersion
from sql.access.roles import refuse_who_cannot_read
from sql.session.connection import Connection
from sql.session.leader_lock import read_leader
from sql.session.typed_queries import Query

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection as BoundConnection

REVISIONS = ("0001", "0002")
"""Those that this version knows, oldest first; the last one is what it works with."""

NEWEST = REVISIONS[-1]

_UPGRADE_LOCK = 0x7265_706C_0001
"""Advisory lock: two processes must not upgrade the ledger at once."""

_BEFORE_ALEMBIC = "0001"
"""What a ledger is that has the table `version` of earlier days."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What the catalogue says of the schema `replank`, which a role without any right on it may ask too."""

    there: bool
    readable: bool
    before_alembic: bool


_FIND = Query("ledger.has_ledger", _Found)
_REVISION = Query("ledger.revision", str)
_WORKERS = Query("metrics.worker_sessions", int)


def ledger_exists(connection: Connection) -> bool:
    """Whether there is a ledger that this version can work with.

    Raises MayNot where this role may not read it, OtherVersion where an older or a newer version made it.
    """
    found = _find(connection)
    if found is None:
        return False
    revision = _revision(connection, found)
    if revision not in REVISIONS:
        raise _newer(revision)
    if revision != NEWEST:
        raise OtherVersion(
            f"The ledger of this database was made by an older Replank: it has revision {revision}, and version "
            f"{__version__} works with {NEWEST}.",
            hint="Stop the coordinator and the workers of the older version. Then `replank run PLAN`, with the plan of "
            "the run, upgrades the ledger and continues with what is open.",
        )
    return True


def ensure_ledger(connection: Connection) -> None:
    """Make the ledger, or bring it up to date, in one transaction. Raises OtherVersion where it cannot."""
    found = _find(connection)
    if found is not None and _revision(connection, found) == NEWEST:
        return
    _upgrade(connection)


def upgrade_ledger(connection: Connection) -> bool:
    """Bring a ledger up to date; False where there is none."""
    if _find(connection) is None:
        return False
    ensure_ledger(connection)
    return True


def drop_ledger(connection: Connection) -> None:
    """Remove the ledger with everything in it."""
    connection.execute("DROP SCHEMA IF EXISTS replank CASCADE")


def _find(connection: Connection) -> _Found | None:
    """None where there is no ledger. Raises MayNot where this role may not read it."""
    found = _FIND.first(connection)
    if found is None or not found.there:
        return None
    if not found.readable:
        refuse_who_cannot_read(connection)
    return found


def _revision(connection: Connection, found: _Found) -> str:
    return _BEFORE_ALEMBIC if found.before_alembic else _REVISION.first(connection) or "none"


def _newer(revision: str) -> OtherVersion:
    return OtherVersion(
        f"The ledger of this database was made by a newer Replank: it has revision {revision}, and version "
        f"{__version__} knows {NEWEST} as the newest. Nothing was changed.",
        hint="Use the newer version: `replank --version` on the machine that began the run says which.",
    )


def _refuse_while_in_use(connection: Connection) -> None:
    """Processes of the version before would work with tables that they do not know."""
    leader = read_leader(connection)
    who = "a worker" if _WORKERS.only(connection) else ""
    if leader is not None:
        who = leader.name or "a coordinator"
    if who:
        raise OtherVersion(
            f"The ledger of this database has to be upgraded to revision {NEWEST}, and {who} is still connected to it. "
            "Nothing was changed.",
            hint="Stop the coordinator and all workers of the run. Then run the same command again.",
        )


def ledger_config(bound: BoundConnection) -> Config:
    """What Alembic's commands are given, in the place of an alembic.ini."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = bound
    return config


def _upgrade(connection: Connection) -> None:
    """Under the lock, because another process may be doing the same."""
    from alembic import command
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=StaticPool)
    connection.autocommit = False
    try:
        with engine.connect() as bound, bound.begin():
            connection.execute(SQL("SELECT pg_catalog.pg_advisory_xact_lock({})").format(_UPGRADE_LOCK))
            connection.execute("CREATE SCHEMA IF NOT EXISTS replank")
            config = ledger_config(bound)
            found = _find(connection)
            if found is not None:
                revision = _revision(connection, found)
                if revision not in REVISIONS:
                    raise _newer(revision)
                if revision != NEWEST:
                    _refuse_while_in_use(connection)
                if found.before_alembic:
                    command.stamp(config, _BEFORE_ALEMBIC)
            command.upgrade(config, "head")
    finally:
        connection.autocommit = True
