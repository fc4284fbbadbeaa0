"""What is known of tables and functions when statements are read: columns that change, and what takes only texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from producer.planning.prepared_run import Subject
from replank.values.table_spec import ColumnSpec

TEXT_TYPES = frozenset({"text", "varchar", "bpchar", "char", "name", "citext"})
"""As the grammar and `pg_type` call them, without schema and length."""


@dataclass(frozen=True, kw_only=True)
class Changing:
    """A column whose type changes from text to uuid or to an enum."""

    table: str
    column: str
    becomes: str
    array: bool
    enum: bool


@dataclass(frozen=True, kw_only=True)
class Text:
    """A value whose type is text, by a cast, a function or a column that stays. `shown` is for people."""

    shown: str
    array: bool = False
    cast: bool = True
    """Whether `text_casts` has a cast from its type: from text and varchar."""


CAST_TYPES = frozenset({"text", "varchar"})
"""From which the plan's `text_casts` makes casts."""

Kind = Changing | Text | None
"""What an expression is; None: something else, or not known."""

Columns = Mapping[str, Kind]
"""The columns of a relation, in their order."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table. `partition_column` is that of a planned one which is partitioned anew."""

    schema: str
    full_name: str
    columns: Columns
    partition_column: str | None = None


@dataclass(frozen=True, kw_only=True)
class Functions:
    """The server's functions by name: (name, position from 0) that takes text and no uuid, and those that give text."""

    text_only: frozenset[tuple[str, int]] = frozenset()
    give_text: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Known:
    """Made once for all statements. `others` are the tables outside of the plan."""

    tables: Mapping[str, Sequence[Table]]
    others: Mapping[str, Sequence[Table]] = field(default_factory=dict)
    functions: Functions = field(default_factory=Functions)
    text_casts: bool = False
    """Whether the plan makes casts from text to uuid, so that comparisons and assignments work."""

    def table(self, schema: str, name: str) -> Table | None:
        """The table of this name. Without a schema, a planned one: the search_path is not known."""
        planned = next((one for one in self.tables.get(name, ()) if schema in ("", one.schema)), None)
        others = [one for one in self.others.get(name, ()) if schema in ("", one.schema)]
        return planned or (others[0] if len(others) == 1 else None)


def known(subjects: Sequence[Subject], others: Sequence[Table], functions: Functions, *, text_casts: bool) -> Known:
    """What the plan's tables tell. Only columns that leave text for uuid or an enum count as changing."""
    planned = [_table(subject) for subject in subjects]
    return Known(tables=_by_name(planned), others=_by_name(others), functions=functions, text_casts=text_casts)


def _by_name(tables: Sequence[Table]) -> dict[str, list[Table]]:
    made: dict[str, list[Table]] = {}
    for table in tables:
        made.setdefault(table.full_name.removeprefix(f"{table.schema}."), []).append(table)
    return made


def _table(subject: Subject) -> Table:
    layout = subject.spec.layout
    return Table(
        schema=subject.live.schema,
        full_name=subject.name,
        columns=_columns(subject),
        partition_column=layout.column if layout is not None and subject.spec.next_partitioned else None,
    )


def _columns(subject: Subject) -> dict[str, Kind]:
    return {column.name: _kind(subject, column) for column in subject.spec.columns if not column.added}


def _kind(subject: Subject, column: ColumnSpec) -> Kind:
    live = subject.live.column(column.name)
    if live is None:
        return None
    kept = kept_column(subject.name, column.name, live.base_name)
    if kept is None or not column.converted:
        return kept
    return Changing(
        table=subject.name, column=column.name, becomes=column.next_type, array=kept.array, enum=column.enum
    )


def kept_column(table: str, column: str, type_name: str) -> Text | None:
    """A column whose type does not change, if it is text. `type_name` is `pg_type.typname`, which begins with an
    underscore where it is an array's."""
    bare = type_name.removeprefix("_")
    if bare not in TEXT_TYPES:
        return None
    shown = f"{table}.{column}, which stays {bare}"
    return Text(shown=shown, array=type_name.startswith("_"), cast=bare in CAST_TYPES)
