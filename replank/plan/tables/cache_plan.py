"""The plan's caches: what is built again when every table has been swapped."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from replank.plan.text.plan_words import Name, Strict, split_name


class SourcePlan(Strict):
    """A table whose changes during the rebuild must not be lost. `key` is its column that says whose rows changed."""

    table_schema: Name = Field(alias="schema", default="public")
    name: Name
    key: Name | None = None

    @property
    def full_name(self) -> str:
        return f"{self.table_schema}.{self.name}"


class _Cache(Strict):
    name: Name
    after: tuple[str, ...] = ()
    """Other caches of the plan, by name, that must be rebuilt before this one begins."""

    @property
    def full_name(self) -> str:
        """For people; SQL quotes its identifiers elsewhere."""
        return self.name


class TableCachePlan(_Cache):
    """A table whose rows are those of `query`. `hits` and `misses` are columns that count its own use."""

    kind: Literal["table"]
    table_schema: Name = Field(alias="schema", default="public")
    query: str = Field(min_length=1)
    chunk_by: Name | None = None
    chunks: int = Field(default=16, ge=1, le=10_000)
    keep_in_step: tuple[SourcePlan, ...] = ()
    key: Name | None = None
    hits: Name | None = None
    misses: Name | None = None

    @property
    def full_name(self) -> str:
        return f"{self.table_schema}.{self.name}"

    @property
    def sources(self) -> tuple[tuple[SourcePlan, str], ...]:
        """Every source with the column that corresponds to `chunk_by`."""
        return tuple((source, source.key or self.key or self.chunk_by or "") for source in self.keep_in_step)

    @field_validator("keep_in_step", mode="before")
    @classmethod
    def _by_name(cls, given: object) -> object:
        """`"public.membership"` is short for `{ schema = "public", name = "membership" }`."""
        if not isinstance(given, list | tuple):
            return given
        return [_named(entry) if isinstance(entry, str) else entry for entry in given]

    @model_validator(mode="after")
    def _fits_together(self) -> TableCachePlan:
        if self.keep_in_step and self.chunk_by is None:
            raise ValueError("keep_in_step needs chunk_by: changed rows are recomputed by its values")
        if (self.hits is None) != (self.misses is None):
            raise ValueError("set both hits and misses, or neither")
        return self


class MaterializedViewPlan(_Cache):
    """A materialized view that is refreshed; its readers do not wait unless `concurrently = false`."""

    kind: Literal["materialized_view"]
    table_schema: Name = Field(alias="schema", default="public")
    concurrently: bool = True

    @property
    def full_name(self) -> str:
        return f"{self.table_schema}.{self.name}"


class PrewarmPlan(_Cache):
    """Tables and their indexes that are read into the server's memory; by default all that were swapped."""

    kind: Literal["prewarm"]
    name: Name = "prewarm"
    tables: tuple[str, ...] | None = Field(default=None, min_length=1)

    @property
    def named_tables(self) -> tuple[tuple[str, str], ...] | None:
        """`(schema, name)` of each, None where the plan names none."""
        if self.tables is None:
            return None
        return tuple(map(split_name, self.tables))


class RedisPlan(_Cache):
    """Keys of a Redis or Valkey that are deleted. The plan names the variable that holds its URL, never the URL."""

    kind: Literal["redis"]
    name: Name = "redis"
    url_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    pattern: str = Field(min_length=1)
    rate: int = Field(default=1_000, ge=1, le=1_000_000)


CachePlan = Annotated[TableCachePlan | MaterializedViewPlan | PrewarmPlan | RedisPlan, Field(discriminator="kind")]


def _named(name: str) -> dict[str, str]:
    schema, table = split_name(name)
    return {"schema": schema, "name": table}


def refuse_unordered(caches: tuple[CachePlan, ...]) -> tuple[CachePlan, ...]:
    """Every name once, and `after` names only caches that stand before: so none waits for itself."""
    before: set[str] = set()
    for cache in caches:
        if cache.full_name in before:
            raise ValueError(f"cache listed twice: {cache.full_name}")
        unknown = [name for name in cache.after if name not in before and f"public.{name}" not in before]
        if unknown:
            raise ValueError(f"{cache.full_name}: {unknown[0]} in after is not an earlier cache of the plan")
        before.add(cache.full_name)
    return caches
