"""A database as managed services give it: no role is a superuser, others' sessions are hidden, public is another's.

The least of what Amazon RDS, Cloud SQL, Azure, Supabase, Neon and Heroku give (docs/roles.md): no `pg_read_all_stats`,
no `session_replication_role`, no replication, no right in schema public but those that were granted. The tables' owner
cannot log in: the run and the workers have logins of their own, which are its members.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from demo.embedded import EmbeddedPostgres

PROVIDER, OWNER, RUN, WORKER, APPLICATION = "provider", "app_owner", "replank_run", "replank_worker", "app"

HIDDEN_SIGNALS = ("active_backends", "waiting_locks", "xmin_age")
"""What the governor reads from other roles' sessions: without `pg_read_all_stats` a plan has to leave it out."""


@dataclass(frozen=True, kw_only=True)
class Urls:
    """Of one database: `owner` makes tables, `run` and `worker` migrate, `application` reads and writes rows."""

    owner: str
    run: str
    worker: str
    application: str
    provider: str
    """Its superuser, who makes extensions; no other role may."""
    managed: bool

    @property
    def plan(self) -> str:
        """What a plan for such a database says besides."""
        names = ", ".join(f'"{name}"' for name in HIDDEN_SIGNALS)
        return f"\n[governor]\noff = [{names}]\n" if self.managed else ""

    def open_to_application(self, *schemas: str) -> None:
        """Rows of all tables that are there now, as an application is usually given them."""
        if not self.managed:
            return
        with psycopg.connect(self.owner, autocommit=True) as connection:
            for schema in schemas:
                names = {"schema": Identifier(schema), "role": Identifier(APPLICATION)}
                for statement in (
                    "GRANT USAGE ON SCHEMA {schema} TO {role}",
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
                    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
                ):
                    connection.execute(SQL(statement).format(**names))


def create_database(postgres: EmbeddedPostgres, name: str, *, managed: bool) -> Urls:
    """A new database; everything in it is the superuser's, or with `managed` no role is one."""
    url = postgres.create_database(name)
    if not managed:
        return Urls(owner=url, run=url, worker=url, application=url, provider=url, managed=False)
    password = secrets.token_urlsafe(24)
    with psycopg.connect(url, autocommit=True) as connection:
        _create_roles(connection, password)
        database = Identifier(name)
        for statement in (
            SQL("ALTER DATABASE {} OWNER TO {}").format(database, Identifier(PROVIDER)),
            SQL("ALTER SCHEMA public OWNER TO {}").format(Identifier(PROVIDER)),
            SQL("REVOKE ALL ON SCHEMA public FROM PUBLIC"),
            SQL("GRANT CREATE, TEMPORARY ON DATABASE {} TO {}").format(database, Identifier(OWNER)),
            SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(Identifier(OWNER)),
            SQL("GRANT USAGE ON SCHEMA public TO {}").format(Identifier(APPLICATION)),
        ):
            connection.execute(statement)
    run = _as(url, RUN, password)
    return Urls(
        # Its member, who has become it: the owner itself has no login.
        owner=f"{run}?options={quote(f'-c role={OWNER}')}",
        run=run,
        worker=_as(url, WORKER, password),
        application=_as(url, APPLICATION, password),
        provider=url,
        managed=True,
    )


def _create_roles(connection: psycopg.Connection, password: str) -> None:
    """The roles of docs/roles.md."""
    for role in (PROVIDER, OWNER):
        connection.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(role)))
    for login, member in ((RUN, True), (WORKER, True), (APPLICATION, False)):
        words = SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(login), Literal(password))
        connection.execute(words + (SQL(" IN ROLE {}").format(Identifier(OWNER)) if member else SQL("")))


def _as(url: str, role: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}"))
