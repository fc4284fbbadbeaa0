"""A cache table that is being filled beside the old one: the value that every stage of its rebuild works from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from replank.values.table_spec import ColumnSpec, TableSpec, building_schema


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """A table whose changed rows are marked. `key` is the column whose values are written to the marks."""

    schema: str
    name: str
    key: str
    relations: tuple[tuple[str, str], ...]
    """The table and its partitions, as (schema, name): TRUNCATE fires on each for itself."""
    capture: Literal["statement", "row"]


@dataclass(frozen=True, kw_only=True)
class CacheSpec(TableSpec):
    """A cache table of a run, with the query that gives its rows.

    `given` are the columns that the query gives, `cut_by` is the one that it is cut and marked by (empty
    where it is neither), `cut_type` that column's type in the query's result,
    `cut_operators` the schema of that type's comparison operators.
    """

    cache_no: int
    query: str
    given: tuple[str, ...]
    cut_by: str
    cut_type: str
    cut_operators: str
    chunks: int
    sources: tuple[SourceSpec, ...]
    swapped_before: bool
    """This run has rebuilt the table itself: then its name is taken among the past tables."""

    @property
    def past_schema(self) -> str:
        prefix = "replank_past_cache" if self.swapped_before else "replank_past"
        return building_schema(prefix, self.schema)

    @property
    def marks_name(self) -> str:
        return f"marks_{self.run_id}_{self.cache_no}"

    def mark_name(self, number: int) -> str:
        """The function that marks changes of the source `number`, from 1."""
        return f"mark_{self.run_id}_{self.cache_no}_{number}"

    @property
    def trigger_prefix(self) -> str:
        """Beginning of its triggers' names. By them the triggers are recognised as Replank's."""
        return f"replank_capture_cache_{self.run_id}_{self.cache_no}_"

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CacheSpec:
        return cls(
            **{
                **document,
                "columns": tuple(ColumnSpec(**column) for column in document["columns"]),
                "key": tuple(document["key"]),
                "partitions": (),
                "given": tuple(document["given"]),
                "sources": tuple(_source(source) for source in document["sources"]),
            }
        )


def _source(document: Mapping[str, Any]) -> SourceSpec:
    relations = tuple((schema, name) for schema, name in document["relations"])
    return SourceSpec(**{**document, "relations": relations})
