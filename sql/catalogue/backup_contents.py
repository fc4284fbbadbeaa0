"""What a backup must hold to be one of this database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class Place:
    """The database that is to be restored, and its server. `tables`: oid and name of every table with rows."""

    system_identifier: str
    major: int
    database: str
    database_oid: int
    tables: Mapping[int, str]


def read_place(connection: Connection) -> Place:
    found = row(connection, query("backups.place"))
    assert found is not None
    listed = rows(connection, query("backups.restored_tables"))
    return Place(tables={each["oid"]: f"{each['schema']}.{each['name']}" for each in listed}, **found)
