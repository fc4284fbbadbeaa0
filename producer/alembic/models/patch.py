"""The models' source after the run: rewritten where a type is a literal there, told by file and line elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from producer.alembic.models.changes import ModelChange, Patch
from producer.alembic.models.differences import Difference
from producer.alembic.models.models import ModelClass, Models, ModelTable
from producer.alembic.models.retyping import retyped
from producer.alembic.models.source import Owner, Place, Source
from producer.history.changes.changes import Table

Key = tuple[str, Owner, str]
"""File, what the column is said in, and its name there."""


def make_patch(
    models: Models, found: Sequence[Difference], sources: Mapping[str, Source], default_schema: str
) -> Patch:
    """A literal is rewritten if every column that it stands for changes so: a mixin's stands for many."""
    known = models.by_table(default_schema)
    to = {(one.table, one.column): one.new for one in found if one.kind == "type"}
    keys = {(name, c.name): _key(table, c.name, sources) for name, table in known.items() for c in table.columns}
    uses: dict[Key, set[tuple[Table, str]]] = {}
    for column, key in keys.items():
        if key is not None:
            uses.setdefault(key, set()).add(column)
    wanted: dict[str, dict[tuple[Owner, str], str]] = {}
    changes: list[ModelChange] = []
    for one in found:
        key = keys.get((one.table, one.column))
        place = None if key is None else sources[key[0]].places[key[1], key[2]]
        if one.kind == "type" and place is not None and place.follows_key and _led_to(known[one.table], one, to):
            continue
        patched = False
        if one.kind == "type" and key is not None and place is not None and place.literal is not None:
            patched = {to.get(use) for use in uses[key]} == {one.new} and one.new.startswith("Uuid(")
        if patched and key is not None:
            wanted.setdefault(key[0], {})[key[1], key[2]] = one.new
        changes.append(_change(one, known[one.table], key, place, patched=patched))
    files = {path: (sources[path].text, retyped(sources[path].text, columns)) for path, columns in wanted.items()}
    return Patch(changes=tuple(changes), files=files)


def _key(table: ModelTable, column: str, sources: Mapping[str, Source]) -> Key | None:
    """Where the source says a column: in the nearest class that has it, or in `Table(…)`."""
    model_column = table.column(column)
    names = () if model_column is None else model_column.attributes
    for each in _classes(table):
        for name in names:
            owner: Owner = ("class", each.name)
            if each.file in sources and (owner, name) in sources[each.file].places:
                return each.file, owner, name
    owner = ("table", table.name)
    files = [path for path, source in sources.items() if (owner, column) in source.places]
    # Two tables of one name, in two schemas: a person knows which is which.
    return (files[0], owner, column) if len(files) == 1 else None


def _led_to(table: ModelTable, one: Difference, to: Mapping[tuple[Table, str], str]) -> bool:
    """Whether the column that a foreign key leads to changes in the same way, and this one with it."""
    return any(
        to.get(((key.ref_schema or one.table[0], key.ref_table), ref)) == one.new
        for key in table.foreign_keys
        for column, ref in zip(key.columns, key.ref_columns, strict=True)
        if column == one.column
    )


def _classes(table: ModelTable) -> Iterator[ModelClass]:
    for model in table.models:
        yield from model.classes


def _change(one: Difference, table: ModelTable, key: Key | None, place: Place | None, *, patched: bool) -> ModelChange:
    first = next(_classes(table), None)
    if key is not None and place is not None:
        file, line = key[0], place.line
    else:
        file, line = (first.file, first.line) if first is not None else ("", 0)
    old = place.literal if patched and place is not None and place.literal is not None else one.old
    return ModelChange(
        table=".".join(one.table), column=one.column, file=file, line=line, old=old, new=one.new, patched=patched
    )
