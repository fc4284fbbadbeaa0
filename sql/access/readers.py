"""Reading for others: the roles of `[access] readers`, and the schemas that a run makes.

A role with USAGE on the ledger's schema gets USAGE on each schema that the run makes, and reads there what it may read
of the live tables, because a next table has their grants. Tables of the ledger's own schema (logs and
quarantine too) are opened by default privileges, so that there is no moment in which a new one is shut.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from psycopg.sql import SQL, Composable, Identifier

from replank.errors import MayNot, WrongUse
from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, rows, run, value
from sql.session.named_queries import query
from sql.session.statements import Statement

LEDGER = Identifier("replank")


def make_schema(connection: Connection, name: str) -> Iterator[Statement]:
    """A schema that is built in, or that past tables are retained in: with USAGE for the roles that read the ledger."""
    yield Statement(sql=SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(name)))
    for found in rows(connection, query("access.readers")):
        granted = SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(name), Identifier(found["role"]))
        # A script is the same for every role that reads the ledger of the run that it was compiled for.
        yield Statement(sql=granted, run_only=True)


def let_read(connection: Connection, readers: Collection[str], *, before: Collection[str] = ()) -> None:
    """Grant reading to `readers`, and revoke it from those named `before` and not any more.

    In one transaction; it may be done twice. Raises WrongUse where a role does not exist.
    """
    known = _known(connection, [*readers, *before])
    missing = sorted(set(readers) - known)
    if missing:
        raise WrongUse(
            f"[access] readers: role {', '.join(missing)} does not exist on this server. Create it (docs/roles.md), or "
            "remove it from the plan."
        )
    schemas = [Identifier(found["schema"]) for found in rows(connection, query("access.schemas"))]
    with connection.transaction():
        for role in sorted((set(before) - set(readers)) & known):
            for statement in _statements(schemas, "REVOKE", "FROM", Identifier(role)):
                run(connection, statement)
        for role in sorted(set(readers)):
            for statement in _statements(schemas, "GRANT", "TO", Identifier(role)):
                run(connection, statement)


def missing_readers(connection: Connection, readers: Collection[str]) -> list[str]:
    """Which of these roles do not exist on this server, in order."""
    return sorted(set(readers) - _known(connection, readers)) if readers else []


def other_roles(connection: Connection) -> list[str]:
    """Roles of this server, in order, without PostgreSQL's own."""
    return [str(each["role"]) for each in rows(connection, query("access.roles"))]


def _known(connection: Connection, roles: Collection[str]) -> set[str]:
    return {each["role"] for each in rows(connection, query("access.known"), {"roles": list(roles)})}


def let_read_view(connection: Connection, schema: str, view: str, readers: Collection[str]) -> None:
    """One view of a schema that a step has made, if it is there. It may be done twice."""
    name = Identifier(schema, view)
    if not readers or value(connection, SQL("SELECT to_regclass({})").format(name.as_string(connection))) is None:
        return
    with connection.transaction():
        for role in map(Identifier, sorted(set(readers))):
            run(connection, SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(schema), role))
            run(connection, SQL("GRANT SELECT ON {} TO {}").format(name, role))


def refuse_unreadable(connection: Connection, specs: Sequence[TableSpec]) -> None:
    """Before both sides are compared: raise MayNot where this role may not read all rows of them, with the GRANT."""
    places = [(s, spec.name) for spec in specs for s in (spec.schema, spec.next_schema, spec.past_schema)]
    named = {"schemas": [schema for schema, _ in places], "names": [name for _, name in places]}
    found = rows(connection, query("access.unreadable"), named)
    if not found:
        return
    role, first = connection.info.user, found[0]
    who = first["role_quoted"]
    hint = f"GRANT SELECT ON {first['table_quoted']} TO {who};"
    if first["shut"]:
        hint = f"GRANT USAGE ON SCHEMA {first['schema_quoted']} TO {who}; {hint}"
    elif not first["unreadable"]:
        hint = f"Policies hide rows from it: ALTER ROLE {who} BYPASSRLS; (a superuser may), or compare as its owner."
    more = f", and {len(found) - 1} others" if len(found) > 1 else ""
    raise MayNot(
        f"Role {role} may not read all rows of {first['schema']}.{first['name']}{more}: nothing was compared.",
        hint=f"{hint} See docs/roles.md.",
        login=role,
    )


def _statements(schemas: Collection[Identifier], give: str, to: str, role: Identifier) -> list[Composable]:
    words = {"give": SQL(give), "to": SQL(to), "role": role, "ledger": LEDGER}
    looking = [SQL("{give} USAGE ON SCHEMA {schema} {to} {role}").format(**words, schema=each) for each in schemas]
    return [
        *looking,
        SQL("{give} SELECT ON ALL TABLES IN SCHEMA {ledger} {to} {role}").format(**words),
        SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {ledger} {give} SELECT ON TABLES {to} {role}").format(**words),
    ]
