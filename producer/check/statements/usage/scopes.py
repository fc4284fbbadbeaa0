"""Which column a name in a statement means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from producer.check.statements.usage.known import Columns, Kind


@dataclass(frozen=True, kw_only=True)
class Relation:
    """Something that columns are read from. `complete`: whether `columns` has all of them."""

    alias: str
    columns: Columns
    complete: bool


@dataclass(kw_only=True)
class Scope:
    """The relations of one level of a query, and the level around it."""

    outer: Scope | None = None
    relations: list[Relation] = field(default_factory=list)
    with_queries: dict[str, tuple[Columns, bool]] = field(default_factory=dict)

    def with_query(self, name: str) -> tuple[Columns, bool] | None:
        """What a WITH query of this name gives."""
        for scope in self._outwards():
            if name in scope.with_queries:
                return scope.with_queries[name]
        return None

    def column(self, qualifier: str | None, name: str) -> Kind:
        """What a reference means. An unqualified name has one meaning in a level, or the server refuses it."""
        for scope in self._outwards():
            for relation in scope.relations:
                if qualifier in (None, relation.alias) and name in relation.columns:
                    return relation.columns[name]
                if qualifier == relation.alias:
                    return None
            if qualifier is None and not all(relation.complete for relation in scope.relations):
                return None
        return None

    def star(self, qualifier: str | None) -> tuple[dict[str, Kind], bool]:
        """The columns of `*` or `alias.*`, and whether these are all."""
        chosen = [one for one in self.relations if qualifier in (None, one.alias)]
        columns = {name: kind for one in reversed(chosen) for name, kind in one.columns.items()}
        return columns, bool(chosen) and all(one.complete for one in chosen)

    def _outwards(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer
