"""Views of two tables without the rows that some clients wrote to: what is left must be equal."""

from collections.abc import Mapping

import psycopg
from psycopg.sql import SQL, Composed, Identifier
from support.oracles.journal_oracle import compare_tables
from support.writers.journal_writers import Journal, Target

SCHEMA = "judged"
Name = tuple[str, str]  # schema, table

# A key travels as text and must mean the same value here as in the clients' sessions.
_OPTIONS = "-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres"


def compare_untouched(url: str, converted: Mapping[Name, Mapping[str, str]], journal: Journal) -> dict[str, list[str]]:
    """Table -> differences between its past and its live rows that no client of `journal` ever had.

    A table without differences is not in it; rows are compared in both directions, past values cast.
    """
    _create_views(url, converted, journal)
    found = {".".join(name): compare_one(url, converted, name) for name in converted}
    return {name: differences for name, differences in found.items() if differences}


def compare_one(url: str, converted: Mapping[Name, Mapping[str, str]], name: Name) -> list[str]:
    """The differences of one table, once `compare_untouched` has said what is left out."""
    number = list(converted).index(name)
    return compare_tables(
        url, live=(SCHEMA, f"live_{number}"), past=(SCHEMA, f"past_{number}"), converted=converted[name]
    )


def _create_views(url: str, converted: Mapping[Name, Mapping[str, str]], journal: Journal) -> None:
    targets = {(target.schema, target.name): (place, target) for place, target in enumerate(journal.targets)}
    with psycopg.connect(url, options=_OPTIONS) as connection:
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(SCHEMA)))
        for number, (schema, table) in enumerate(converted):
            assert schema == "public", "past tables of other schemas have another place"
            sides = {"live": Identifier(schema, table), "past": Identifier("replank_past", table)}
            for side, source in sides.items():
                view = Identifier(SCHEMA, f"{side}_{number}")
                written = targets.get((schema, table))
                if written is None:
                    connection.execute(SQL("CREATE VIEW {} AS SELECT * FROM {}").format(view, source))
                    continue
                place, target = written
                keys = Identifier(SCHEMA, f"{side}_keys_{number}")
                owned = {tuple(row.key) for row in journal.rows if row.target == place}
                _load_keys(connection, keys, source, target, owned)
                connection.execute(_without(view, source, keys, target))


def _load_keys(
    connection: psycopg.Connection,
    keys: Identifier,
    source: Identifier,
    target: Target,
    owned: set[tuple[str, ...]],
) -> None:
    """The clients' keys in the types of the table at hand: text in the past, uuid in the live one."""
    names = SQL(", ").join(map(Identifier, target.key))
    connection.execute(SQL("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(keys, names, source))
    with connection.cursor() as cursor, cursor.copy(SQL("COPY {} FROM STDIN").format(keys)) as stream:
        for key in owned:
            stream.write_row(key)
    connection.execute(SQL("ANALYZE {}").format(keys))


def _without(view: Identifier, source: Identifier, keys: Identifier, target: Target) -> Composed:
    same = SQL(" AND ").join(SQL("k.{0} = t.{0}").format(Identifier(name)) for name in target.key)
    return SQL("CREATE VIEW {} AS SELECT t.* FROM {} AS t WHERE NOT EXISTS (SELECT FROM {} AS k WHERE {})").format(
        view, source, keys, same
    )
