"""Whether the marks of a cache had no gap since its filling began; as `sql.rows.capture_continuity`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replank.values.cache_spec import CacheSpec
from sql.rows.capture_continuity import CapturedTable, read_capture_facts, why_capture_broke_since
from sql.session.connection import Connection

MarkFacts = Mapping[str, Sequence[str]]
"""By the number of each source."""


class DefinitionChanged(Exception):
    """The table's definition is not the one that its next contents were built for: they are built again."""


def _captured_tables(spec: CacheSpec) -> list[CapturedTable]:
    return [
        CapturedTable(
            table_no=number,
            oid=None,
            schema=source.schema,
            name=source.name,
            counterpart=(spec.next_schema, spec.name),
            function=spec.mark_name(number),
            log=spec.marks_name,
        )
        for number, source in enumerate(spec.sources, start=1)
    ]


def read_mark_facts(connection: Connection, spec: CacheSpec) -> dict[str, list[str]]:
    """What its marks stand on now."""
    found = read_capture_facts(connection, _captured_tables(spec)) if spec.sources else {}
    return {str(number): sorted(facts) for number, facts in found.items()}


def refuse_gaps(connection: Connection, spec: CacheSpec, before: MarkFacts) -> None:
    """Raises DefinitionChanged where a change of a source may have been missed since `before`."""
    if not spec.sources:
        return
    now = read_capture_facts(connection, _captured_tables(spec))
    for number, source in enumerate(spec.sources, start=1):
        why = why_capture_broke_since(before.get(str(number), ()), now[number])
        if why:
            raise DefinitionChanged(f"of its source {source.schema}.{source.name}: {why}")
