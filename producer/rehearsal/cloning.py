"""A clone of the database: dumped at one moment while everybody writes, restored into a new database elsewhere."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo
from psycopg.sql import SQL, Identifier

from producer.gates.programs import program_for, run_program
from replank.errors import NeedsOperator, WrongUse
from sql.session.connection import Connection, connect, row, rows
from sql.session.database_identity import identity_of
from sql.session.named_queries import query

JOBS = 2
PREFIX = "replank_rehearsal_"
PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


@dataclass(frozen=True, kw_only=True)
class Clone:
    """A clone that is ready. `same_server`: it shares disks, processors and WAL with the database itself."""

    url: str
    database: str
    major: int
    bytes: int
    seconds: float
    same_server: bool


@contextmanager
def cloned(source: str, server: str, *, keep: bool) -> Iterator[Clone]:
    """A clone of the database at `source` on `server` (any database of it); dropped afterwards unless it is kept.

    Raises WrongUse where the server does not fit, NeedsOperator where dump or restore fails.
    """
    started = time.monotonic()
    with connect(source, name="rehearsal") as connection:
        of_source = _place(connection)
        roles = [each["name"] for each in rows(connection, query("rehearsal.roles"))]
        memberships = rows(connection, query("rehearsal.memberships"))
    name = f"{PREFIX}{secrets.token_hex(4)}"
    made: list[str] = []
    try:
        with connect(server, name="rehearsal") as there:
            of_server = _place(there)
            _refuse_other_version(of_source, of_server)
            made += _make_roles(there, roles, memberships)
            _create(there, name, of_source)
        url = conninfo.make_conninfo(server, dbname=name)
        _copy(source, url, of_source["major"])
        if identity_of(url) == identity_of(source):
            raise WrongUse("The clone has the same identity as the database, so their jobs could be mixed up.")
        yield Clone(
            url=url,
            database=name,
            major=of_source["major"],
            bytes=of_source["bytes"],
            seconds=time.monotonic() - started,
            same_server=of_source["system_identifier"] == of_server["system_identifier"],
        )
    finally:
        if not keep:
            _drop(server, name, made)


def _place(connection: Connection) -> dict[str, Any]:
    found = row(connection, query("rehearsal.place"))
    assert found is not None
    return found


def _refuse_other_version(source: dict[str, Any], server: dict[str, Any]) -> None:
    if source["major"] != server["major"]:
        raise WrongUse(
            f"The clone's server is PostgreSQL {server['major']}, the database's is {source['major']}, so a "
            "rehearsal there would prove little. Give a server of the same version with --clone-url."
        )


def _make_roles(there: Connection, roles: Sequence[str], memberships: Sequence[dict[str, Any]]) -> list[str]:
    """Roles that definitions may name and that are not there; they cannot log in."""
    present = {each["name"] for each in rows(there, query("rehearsal.roles"))}
    missing = [role for role in roles if role not in present]
    for role in missing:
        there.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(role)))
    for each in memberships:
        if each["role"] in missing or each["member"] in missing:
            grant = SQL("GRANT {} TO {}").format(Identifier(each["role"]), Identifier(each["member"]))
            there.execute(grant)
    return missing


def _create(there: Connection, name: str, source: dict[str, Any]) -> None:
    statement = SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        Identifier(name), source["encoding"], source["collate"], source["ctype"]
    )
    provider = PROVIDERS[source["provider"]]
    statement += SQL(" LOCALE_PROVIDER {}").format(SQL(provider))
    if source["locale"] is not None:
        option = "ICU_LOCALE" if provider == "icu" else "BUILTIN_LOCALE"
        statement += SQL(" {} {}").format(SQL(option), source["locale"])
    there.execute(statement)
    words = "made by `replank rehearse`; it may be dropped when no rehearsal is running"
    there.execute(SQL("COMMENT ON DATABASE {} IS {}").format(Identifier(name), words))


def _copy(source: str, url: str, major: int) -> None:
    """Everything but the ledger, subscriptions and statistics; the latter are gathered again."""
    with tempfile.TemporaryDirectory(prefix="replank-rehearsal-") as folder:
        dumped = Path(folder) / "dump"
        parallel = ("--jobs", str(JOBS), "--no-subscriptions", "--no-password")
        dump = program_for("pg_dump", major)
        arguments = ("--format", "directory", "--compress", "1", "--no-sync", "--exclude-schema", "replank")
        done = run_program(dump, *arguments, *parallel, "--file", dumped, url=source)
        if not done.good:
            raise NeedsOperator(f"The database was not cloned; {dump.words} reports: {done.last_words}")
        restore = program_for("pg_restore", major)
        # Names its database itself: pg_restore connects nowhere otherwise.
        name = str(conninfo.conninfo_to_dict(url)["dbname"])
        done = run_program(restore, "--exit-on-error", *parallel, "--dbname", name, dumped, url=url)
        if not done.good:
            raise NeedsOperator(f"The clone was not restored; {restore.words} reports: {done.last_words}")
    with connect(url, name="rehearsal") as connection:
        connection.execute("ANALYZE")


def _drop(server: str, name: str, roles: Sequence[str]) -> None:
    """Over a connection of its own: the other may be lost."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        for role in roles:
            connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))
