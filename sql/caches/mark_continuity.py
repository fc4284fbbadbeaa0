"""Whether the marks of a cache have stood without a gap since its filling began; as `sql.rows.capture_continuity`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replank.values.cache_spec import CacheSpec
from sql.rows.capture_continuity import Subject, standings, why_missed
from sql.session.connection import Connection

Stood = Mapping[str, Sequence[str]]
"""By the number of each source."""


class DefinitionChanged(Exception):
    """The table's definition is not the one that its next contents were built for: they are built again."""


def _subjects(spec: CacheSpec) -> list[Subject]:
    return [
        Subject(
            table_no=number,
            oid=None,
            schema=source.schema,
            name=source.name,
            beside=(spec.next_schema, spec.name),
            function=spec.mark_name(number),
            log=spec.marks_name,
        )
        for number, source in enumerate(spec.sources, start=1)
    ]


def stood(connection: Connection, spec: CacheSpec) -> dict[str, list[str]]:
    """What its marks stand on now."""
    found = standings(connection, _subjects(spec)) if spec.sources else {}
    return {str(number): sorted(standing) for number, standing in found.items()}


def refuse_gaps(connection: Connection, spec: CacheSpec, before: Stood) -> None:
    """Raises DefinitionChanged where a change of a source may have been missed since `before`."""
    if not spec.sources:
        return
    now = standings(connection, _subjects(spec))
    for number, source in enumerate(spec.sources, start=1):
        why = why_missed(before.get(str(number), ()), now[number])
        if why:
            raise DefinitionChanged(f"of its source {source.schema}.{source.name}: {why}")
