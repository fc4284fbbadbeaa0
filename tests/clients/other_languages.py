"""Clients that are not Python's: node-postgres, Prisma, PgJDBC, pgx."""

from __future__ import annotations

from collections.abc import Callable

from psycopg.conninfo import conninfo_to_dict
from support.servers.node import program

from clients.client import KINDS, Client
from clients.processes import PROGRAMS, ProcessSession
from clients.toolchains import PG, found, node_modules, pgjdbc, pgx, prisma_modules


def _node_postgres(named: str) -> Callable[[str], ProcessSession]:
    def opened(url: str) -> ProcessSession:
        environment = {"CLIENT_MODULES": str(node_modules("pg", PG)), "CLIENT_NAMED": named}
        return ProcessSession([*program("node"), str(PROGRAMS / "node" / "pg.mjs")], url, environment)

    return opened


def _prisma(url: str) -> ProcessSession:
    environment = {"CLIENT_MODULES": str(prisma_modules())}
    return ProcessSession([*program("node"), str(PROGRAMS / "node" / "prisma.mjs")], url, environment)


def _jdbc(parameters: str) -> Callable[[str], ProcessSession]:
    def opened(url: str) -> ProcessSession:
        said = conninfo_to_dict(url)
        jdbc = f"jdbc:postgresql://{said['host']}:{said['port']}/{said['dbname']}{parameters}"
        command = [found("java", "a JDK of 17 or later"), "-cp", str(pgjdbc()), str(PROGRAMS / "jdbc" / "Client.java")]
        who = {"CLIENT_USER": str(said["user"]), "CLIENT_PASSWORD": str(said["password"])}
        return ProcessSession(command, jdbc, who)

    return opened


def _pgx(url: str) -> ProcessSession:
    return ProcessSession([str(pgx())], url)


NODE_POSTGRES = (
    Client(name="node-postgres", sends="without a type", change="nothing", open=_node_postgres("")),
    Client(
        name="node-postgres, named statements",
        sends="without a type; prepared",
        change="nothing: the pool drops a connection that failed",
        open=_node_postgres("yes"),
    ),
)
OTHERS = (
    Client(
        name="Prisma 7, `@prisma/adapter-pg`",
        sends="without a type",
        change="nothing",
        open=_prisma,
        kinds=tuple(kind for kind in KINDS if kind != "ANY"),
    ),
    Client(
        name="PgJDBC, `setString`",
        sends="`varchar`",
        change="`stringtype=unspecified` in the URL, and new connections",
        open=_jdbc(""),
    ),
    Client(
        name="PgJDBC, `stringtype=unspecified`",
        sends="without a type; prepared after five uses",
        change="new connections, or `prepareThreshold=0` before",
        open=_jdbc("?stringtype=unspecified"),
    ),
    Client(
        name="PgJDBC, `stringtype=unspecified`, `prepareThreshold=0`",
        sends="without a type",
        change="nothing",
        open=_jdbc("?stringtype=unspecified&prepareThreshold=0"),
    ),
    Client(name="pgx 5", sends="in the types that the server says; cached", change="new connections", open=_pgx),
)
