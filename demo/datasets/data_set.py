"""What a demonstration must know of a data set: how it comes to be, its plan, and what is checked afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Columns = Mapping[tuple[str, str], Sequence[str]]
"""(schema, table) -> columns."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """Of the last run: seconds from its begin to the last swap, seconds of each stage (they overlap), the longest that
    a set's locks took, and how many of its tables were compared row by row before their swap."""

    run_id: int
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


class AlembicFailed(RuntimeError):
    """Alembic ended with an error; the message has its last words."""


class CallAlembic(Protocol):
    """Alembic as a developer calls it: the database's URL, its arguments, the project's folder -> what it says.

    Raises AlembicFailed.
    """

    def __call__(self, url: str, *arguments: str, folder: Path) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What a developer does by hand: in this file of the project, this text becomes that one."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Project:
    """An application's own source, with models and Alembic's history, which follow the run.

    models: the MetaData, as `--models` wants it; copy: makes the folder, which must not be there yet; by_hand:
    (table, column) -> the edit for a change that `replank alembic` lists and leaves to a developer.
    """

    models: str
    copy: Callable[[Path], Path]
    alembic: CallAlembic
    by_hand: Mapping[tuple[str, str], Edit]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """`name` is the database's, and the workload's (`demo.datasets.find_workload`).

    title: of the result; rows, rate, clients: where nothing else is asked for; create: owner's URL, rows -> table ->
    rows; described: what it created, in words; at_work: printed when clients write at a {rate}; schemas: which the
    application uses; settings: the server's; judge: URL, the run, the report's success criteria -> whether all is as
    planned, in words too; extensions: which the plan needs; offline: columns that become uuid on a copy, too;
    whole_plan: None where the plan is what `inspect` proposes and a run is all; project: None where no source is shown.
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
    project: Project | None = None
