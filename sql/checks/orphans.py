"""Rows whose foreign key leads nowhere: counted as PostgreSQL would find them if it validated the key now.

A key that the catalogue calls valid may have such rows too: loaded with triggers off (`session_replication_role`,
`pg_restore --disable-triggers`, DISABLE TRIGGER, a subscription), or left behind by an operator or a collation that
compares otherwise than it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import ColumnSpec
from sql.catalogue.catalogue import ForeignKey
from sql.next_table.foreign_keys import refers, without_parent
from sql.session.connection import Connection, run
from sql.values.conversion import is_convertible
from sql.values.equality_operators import leads_to

EXAMPLES = 5
EXAMPLE_LENGTH = 80


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A foreign key whose rows are to be counted.

    `dropped` are those of its columns whose texts are not all kept: where the plan lets such a text become NULL, or
    quarantines its row, the row does not refer to anything afterwards.
    """

    key: ForeignKey
    dropped: Mapping[str, ColumnSpec]
    version: int

    @property
    def child(self) -> Composable:
        """The referring relation in a FROM clause. A foreign key means partitions, and no inheritance children."""
        only = SQL("" if self.key.partitioned else "ONLY ")
        return SQL("{}{}").format(only, Identifier(self.key.schema, self.key.table_name))

    @property
    def parent(self) -> Composable:
        only = SQL("" if self.key.ref_partitioned else "ONLY ")
        return SQL("{}{}").format(only, Identifier(self.key.ref_schema, self.key.ref_table))

    def text_kept(self) -> list[Composable]:
        """Conditions on `child`: its texts are none that are given up."""
        return [
            SQL("coalesce({}, true)").format(is_convertible(column, Identifier("child", name), self.version))
            for name, column in self.dropped.items()
        ]


def count_orphans(connection: Connection, suspects: Sequence[Suspect]) -> list[int]:
    """The orphans of each key, all of which start from one relation: that is read once, and each parent once a key.

    One statement, so one snapshot of all: no commit in between makes an orphan. Keys with a PERIOD, which several
    parents may cover together, are read by themselves.
    """
    plain = [suspect for suspect in suspects if not suspect.key.period]
    counts = dict(zip((s.key.oid for s in plain), _counted(connection, plain), strict=True))
    for suspect in (s for s in suspects if s.key.period):
        found = run(connection, SQL("SELECT count(*) {}").format(_orphans(suspect))).fetchone()
        counts[suspect.key.oid] = 0 if found is None else int(found[0])
    return [counts[suspect.key.oid] for suspect in suspects]


def _counted(connection: Connection, suspects: Sequence[Suspect]) -> list[int]:
    if not suspects:
        return []
    joined: list[Composable] = []
    counted: list[Composable] = []
    for number, suspect in enumerate(suspects):
        key, parent = suspect.key, f"p{number}"
        values = [Identifier("child", name) for name in key.columns]
        wanted = SQL(", ").join(map(Identifier, dict.fromkeys(key.ref_columns)))
        joined.append(
            SQL('LEFT JOIN (SELECT true AS "replank there", {} FROM {}) AS {} ON {}').format(
                wanted,
                suspect.parent,
                Identifier(parent),
                leads_to(values, key.ref_columns, key.equality, parent=parent),
            )
        )
        conditions = [refers(values, full=key.full), *suspect.text_kept()]
        counted.append(
            SQL("count(*) FILTER (WHERE {} AND {} IS NULL)").format(
                SQL(" AND ").join(conditions), Identifier(parent, "replank there")
            )
        )
    statement = SQL("SELECT {} FROM {} AS child {}").format(
        SQL(", ").join(counted), suspects[0].child, SQL(" ").join(joined)
    )
    found = run(connection, statement).fetchone()
    assert found is not None
    return [int(count) for count in found]


def example_orphans(connection: Connection, suspect: Suspect) -> tuple[str, ...]:
    """Some of the values that lead nowhere, as `column = value`."""
    shown = SQL(" || ', ' || ").join(
        SQL("{} || ' = ' || coalesce(pg_catalog.left({}::text, {}), 'NULL')").format(
            name, Identifier("child", name), EXAMPLE_LENGTH
        )
        for name in suspect.key.columns
    )
    statement = SQL("SELECT {} {} LIMIT {}").format(shown, _orphans(suspect), EXAMPLES)
    return tuple(text for (text,) in run(connection, statement).fetchall())


def orphans_query(connection: Connection, suspect: Suspect) -> str:
    """For people: the rows themselves."""
    return SQL("SELECT child.* {}").format(_orphans(suspect)).as_string(connection)


def _orphans(suspect: Suspect) -> Composable:
    """FROM and WHERE."""
    key = suspect.key
    found = without_parent(
        key.columns,
        key.ref_columns,
        key.equality,
        child=suspect.child,
        parent=suspect.parent,
        period=key.period,
        full=key.full,
    )
    return SQL(" AND ").join([found, *suspect.text_kept()])
