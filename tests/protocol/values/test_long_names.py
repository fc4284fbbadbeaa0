"""Names as long as PostgreSQL lets them be, in letters of one, two and four bytes: what is made of them stays apart.

PostgreSQL cuts longer names without a word (at 63 bytes, not letters), so two names of ours could become one.
"""

import random
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Composed, Identifier
from support.oracles.journal_oracle import foreign_keys_hold
from support.oracles.oracle import differences, live, one
from support.oracles.returning import catalogue, changed, everything_left, go_back, keep, unlike
from support.runs.harness import Rebuild, Url, table
from support.schemas.names import longest

from producer.rollback.finish import Finishing
from replank.values.states import RunState, TableState

pytestmark = [pytest.mark.protocol, pytest.mark.core]

Begin = Callable[..., Rebuild]

LETTERS = pytest.mark.parametrize("letter", ["x", "ж", "🙂"], ids=["one byte", "two bytes", "four bytes"])


class Names:
    """Names of 63 bytes; those that a name of ours could be made of in one place differ at their ends alone.

    Tables 1 and p, o in a schema of its own; 2 and 3, which get partitions, are of `other` letters.
    """

    def __init__(self, letter: str, other: str) -> None:
        self._letter = letter
        self.schema, self.old, self.parted = self("s"), self("o"), self("p")
        self.first, self.second, self.third = self("1"), longest(other, "2"), longest(other, "3")
        self.key, self.ref, self.number = self("k"), self("r"), self("n")
        self.revision, self.one, self.two = self("v"), longest("x", "w"), longest("x", "z")
        self.check, self.foreign, self.unique, self.index = (self(ending) for ending in "cfui")
        self.primary = self("y")

    def __call__(self, ending: str) -> str:
        return longest(self._letter, ending)

    def said(self, statement: str, **names: str) -> Composed:
        """`{key}` is the quoted name `key` of these, or of `names`."""
        return SQL(statement).format(**{name: Identifier(value) for name, value in {**vars(self), **names}.items()})


def _create(app: psycopg.Connection, names: Names) -> None:
    app.execute(names.said("CREATE SCHEMA {schema}"))
    for number, name in enumerate((names.first, names.second, names.third)):
        app.execute(
            names.said(
                "CREATE TABLE {t} ({key} text CONSTRAINT {primary} PRIMARY KEY, {number} int,"
                " CONSTRAINT {check} CHECK ({number} >= 0))",
                t=name,
                primary=names(f"y{number}"),
            )
        )
    app.execute(
        names.said(
            "CREATE TABLE {parted} ({key} text, {ref} text CONSTRAINT {foreign} REFERENCES {first}, {number} int,"
            " CONSTRAINT {primary} PRIMARY KEY ({key}), CONSTRAINT {unique} UNIQUE ({number}, {key}))"
            " PARTITION BY HASH ({key})"
        )
    )
    app.execute(names.said("CREATE INDEX {index} ON {parted} ({ref})"))
    for number in range(2):
        made = f"CREATE TABLE {{part}} PARTITION OF {{parted}} FOR VALUES WITH (MODULUS 2, REMAINDER {number})"
        app.execute(names.said(made, part=names(f"p{number}")))
    app.execute(names.said("CREATE TABLE {schema}.{old} ({key} text PRIMARY KEY, {number} int)"))
    _insert(app, names, 1, 40)


def _insert(app: psycopg.Connection, names: Names, first: int, last: int, *, uuids: bool = False) -> None:
    made = SQL("md5(g::text)::uuid" if uuids else "md5(g::text)::uuid::text")
    rows = SQL("generate_series({}, {}) AS g").format(first, last)
    plain = names.said("({key}, {number})") + SQL("SELECT {}, g FROM {}").format(made, rows)
    for name in (names.first, names.second, names.third):
        app.execute(names.said("INSERT INTO {t} ", t=name) + plain)
    app.execute(names.said("INSERT INTO {schema}.{old} ") + plain)
    referring = SQL("SELECT {}, {}, g FROM {}").format(made, made, rows)
    app.execute(names.said("INSERT INTO {parted} ({key}, {ref}, {number}) ") + referring)


def _write(app: psycopg.Connection, names: Names, at: int, *, uuids: bool = False) -> None:
    _insert(app, names, at, at + 4, uuids=uuids)
    for name in (names.second, names.parted):
        changed = names.said("UPDATE {t} SET {number} = {number} + 1000 WHERE {number} = %s", t=name)
        app.execute(changed, [at])
        app.execute(names.said("DELETE FROM {t} WHERE {number} = %s", t=name), [at + 1])


def _planned(names: Names) -> list[Any]:
    """Two tables that the run partitions, one that is partitioned, one that gets two unique columns, one elsewhere."""
    revised = {
        "name": names.revision,
        "type": "int",
        "default": "1",
        "on_update": names.said("OLD.{revision} + 1").as_string(None),
    }
    unique = [
        {"name": name, "type": "int", "value": names.said("live.{number}").as_string(None), "unique": True}
        for name in (names.one, names.two)
    ]
    by_hash = {"by": "hash", "column": names.key, "count": 2}
    return [
        table(names.first, names.key, add=[revised, *unique]),
        table(names.second, names.key, add=[revised], partition=by_hash),
        table(names.third, names.key, add=[revised], partition=by_hash),
        table(names.parted, names.key, names.ref, add=[revised]),
        table(names.old, names.key, schema=names.schema),
    ]


def test_a_run_there_and_back_and_there_again(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    names = Names("ж", "🙂")
    _create(app, names)
    schemas = ["public", names.schema]
    before = catalogue(database, schemas)
    rebuild = begin(*_planned(names))
    for number, state in enumerate((TableState.CAPTURED, TableState.COPYING, TableState.READY), start=1):
        rebuild.until(state)
        _write(app, names, 100 * number)
    rebuild.finish()
    _write(app, names, 500, uuids=True)
    kept = {name: live(name) for name in (names.first, names.second, names.third, names.parted)}
    kept[names.old] = live(names.old, names.schema)
    for name, place in kept.items():
        keep(app, place, name)
    go_back(rebuild)
    for name, place in kept.items():
        assert unlike(app, place, name, [names.said("t.{key}::text, t.{number}").as_string(None)]) == []
    assert everything_left(app) == []
    assert changed(before, catalogue(database, schemas)) == {}
    # And again, to the end
    again = begin(*_planned(names))
    again.finish()
    for spec in (each.spec for each in again.tables):
        converted = {column.name for column in spec.columns if column.converted}
        added = {column.name for column in spec.columns if column.added}
        assert converted
        wrong = differences(app, (spec.past_schema, spec.name), live(spec.name, spec.schema), converted, without=added)
        assert wrong == []
    assert foreign_keys_hold(database) == []
    rebuild.close()
    finishing = Finishing(connection=again.connection, say=print, sleep=lambda _: None, random_source=random.Random(1))
    assert finishing.finish(finishing.run_to_finish()).state is RunState.FINISHED
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank\\_%'") == 0


@LETTERS
def test_in_place_there_and_back(app: psycopg.Connection, begin: Begin, letter: str) -> None:
    """Each column that is filled and may not be NULL has a CHECK while it is proved, and all of them stand together."""
    names = Names(letter, letter)
    _create(app, names)
    text = names.said("live.{number}::text").as_string(None)
    columns = [
        {"name": name, "type": "text", "value": text, "not_null": True, "unique": True}
        for name in (names.one, names.two)
    ]
    rebuild = begin(table(names.first, method="backfill", add=columns))
    rebuild.until(TableState.EXTENDED)
    _insert(app, names, 100, 104)
    rebuild.finish()
    for name in (names.one, names.two):
        assert (
            one(app, names.said("SELECT count(*) FROM {first} WHERE {c} = {number}::text", c=name).as_string(app)) == 45
        )
        with pytest.raises(psycopg.errors.NotNullViolation):
            app.execute(names.said("UPDATE {first} SET {c} = NULL", c=name))
    go_back(rebuild)
    assert everything_left(app) == []
