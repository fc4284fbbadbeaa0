"""Which role a session acts as: the tables' owner, wherever the login may become it.

What is built beside a live table becomes its owner's, and PostgreSQL lets only a role that may become the owner give it
away, into a schema where the owner may create. So all of a run is one role's: the owner's. A login that is a member of
it (with INHERIT or without) becomes it by `SET ROLE` as soon as it is known: the ledger's owner, or before there is a
ledger the owner of the plan's tables. docs/roles.md has the SQL for each role.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg.sql import SQL

from replank.errors import MayNot
from sql.session.connection import Connection, apply_settings, connect, row, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class Login:
    """The login of the session (`login`), the role that acts (`role`), and what it may do with a ledger that is there.

    `owns`: it has all rights of the ledger's `owner`; `member`: the login is a member of it; `may_read`: it has USAGE
    on the ledger's schema and SELECT on its tables. `…_quoted`: as SQL spells the name;
    `schemas`: the ledger's and those that the run has made, as SQL lists them.
    """

    login: str
    login_quoted: str
    role: str
    superuser: bool
    owner: str
    owner_quoted: str
    schemas: str
    owns: bool
    member: bool
    may_read: bool


def read_login(connection: Connection) -> Login | None:
    """None where the database has no ledger."""
    found = row(connection, query("roles.login"))
    return None if found is None else Login(**found)


def owner_to_become(connection: Connection, tables: Iterable[tuple[str, str]] = ()) -> str | None:
    """The one owner of these tables (schema, name; none given: of all there are), if this login has to become it.

    None where the login is that role already or a superuser, where none or several own them, or where it may not.
    """
    named = list(tables)
    wanted = {"schemas": [schema for schema, _ in named], "names": [name for _, name in named]}
    owners = rows(connection, query("roles.owners"), wanted)
    if len(owners) != 1 or owners[0]["superuser"] or not owners[0]["may_become"]:
        return None
    me = row(connection, SQL("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user"))
    if me is None or me["rolsuper"] or me["rolname"] == owners[0]["role"]:
        return None
    return str(owners[0]["role"])


def acting_role(connection: Connection) -> str | None:
    """The role that this session has become; None where it is its login."""
    found = connection.execute("SELECT current_user::text WHERE current_user <> session_user").fetchone()
    return None if found is None else str(found[0])


def act_as_owner(connection: Connection, tables: Iterable[tuple[str, str]] = ()) -> None:
    """Before there is a ledger that says it: become the one owner of these tables, or of all where none is there.

    Where the tables have several owners the login stays what it is, and needs the rights of all of them by itself.
    """
    if read_login(connection) is not None:
        return
    role = owner_to_become(connection, tables) or owner_to_become(connection)
    if role is not None:
        apply_settings(connection, {"role": role})


def connect_to_change(url: str, *, name: str, what: str, settings: Mapping[str, str] | None = None) -> Connection:
    """A session that will change the run, for the command `what`. Raises MayNot where its login has no right to."""
    connection = connect(url, name=name, settings=settings)
    try:
        refuse_who_cannot_work(connection, what)
    except MayNot:
        connection.close()
        raise
    return connection


def refuse_who_cannot_work(connection: Connection, what: str) -> bool:
    """Raise MayNot where this login is not the ledger's owner and cannot become it, with the GRANT that it needs.

    `what` names what is refused: `A worker`, `replank pause`. False where there is no ledger: then nothing is.
    """
    found = read_login(connection)
    if found is None or found.owns:
        return found is not None
    raise MayNot(
        f"{what} needs the rights of role {found.owner}, which owns the run's tables and its ledger; {found.login} "
        f"{_why_not(found)}.",
        hint=f"{_grant(connection, found)} Then run the same command again. See docs/roles.md.",
        login=found.login,
    )


def refuse_who_cannot_read(connection: Connection) -> None:
    """Raise MayNot where the ledger is there and this role may not read it, with what to do about it."""
    found = read_login(connection)
    if found is None or found.may_read:
        return
    name = found.login_quoted
    raise MayNot(
        f"Role {found.login} may not read the ledger of this database, which role {found.owner} owns.",
        hint=f'Name it in the plan ([access] readers = ["{found.login}"]) and run `replank run PLAN` again, or '
        f"grant it now, as {found.owner}: GRANT USAGE ON SCHEMA {found.schemas} TO {name}; "
        f"GRANT SELECT ON ALL TABLES IN SCHEMA replank TO {name}; See docs/roles.md.",
        login=found.login,
    )


def _grant(connection: Connection, found: Login) -> str:
    """The statement that lets this login become the ledger's owner."""
    version = connection.info.server_version
    option = " WITH INHERIT TRUE, SET TRUE" if found.member and version >= 160_000 else ""
    return f"GRANT {found.owner_quoted} TO {found.login_quoted}{option};"


def _why_not(found: Login) -> str:
    return "is a member of it that may not become it (SET FALSE)" if found.member else "is not a member of it"
