"""What a demonstration must know of a data set: how it comes to be, its plan, and what is checked afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Columns = Mapping[tuple[str, str], Sequence[str]]
"""(schema, table) -> columns."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """Of the last run: seconds from its begin to the last swap, seconds of each stage (they overlap), the longest that
    a set's locks took, and how many of its tables were compared row by row before their swap."""

    state: str
    tables: int
    compared: int
    sets: int
    seconds: float
    stages: Mapping[str, float]
    lock_wait_ms: float
    lock_hold_ms: float


@dataclass(frozen=True, kw_only=True)
class WholePlan:
    """Besides the data migration all else that a plan may have: gates, clients that wait for the new schema, `finish`.

    last_before_data: the step behind which the data migration begins; attested, overridden: the gates that people speak
    for, and those that only a rehearsal passes; made_schemas: what phases 1 and 2 make for the application to read;
    prisma_schema: the text of schema.prisma.
    """

    last_before_data: str
    attested: Sequence[str]
    overridden: Sequence[str]
    old_clients: str
    new_clients: str
    made_schemas: Sequence[str]
    prisma_schema: Callable[[], str]
    compose_plan: Callable[[Sequence[Mapping[str, Any]], str, int], str]
    """The tables that `inspect` proposes, the database's name, rows -> the plan as TOML."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """`name` is the database's, and the workload's (`demo.datasets.find_workload`).

    title: of the result; rows, rate, clients: where nothing else is asked for; create: owner's URL, rows -> table ->
    rows; described: what it created, in words; at_work: printed when clients write at a {rate}; schemas: which the
    application uses; settings: the server's; judge: URL, the run, the report's success criteria -> whether all is as
    planned, in words too; extensions: which the plan needs; offline: columns that become uuid on a copy, too;
    whole_plan: None where the plan is what `inspect` proposes and a run is all.
    """

    name: str
    title: str
    rows: int
    rate: float
    clients: int
    create: Callable[[str, int], Mapping[str, int]]
    described: Callable[[Mapping[str, int]], str]
    at_work: str
    schemas: Sequence[str]
    settings: Mapping[str, str]
    judge: Callable[[str, Migration, Sequence[Mapping[str, Any]]], tuple[bool, str]]
    extensions: Sequence[str] = ()
    offline: Columns = field(default_factory=dict)
    whole_plan: WholePlan | None = None
