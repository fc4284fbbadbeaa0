"""A real application of SQLAlchemy and Alembic through a run, told once: what it needed, and what it lived through."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from support.runs.harness import Rebuild
from support.runs.programs import Replank, Said
from support.schemas.octavia import MODELS, copy_source, interpreter, prepare, run_program, sqlalchemy_url
from support.schemas.octavia.service import Lived, Row, Service, service

from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from producer.planning.resolution import read_plan_file
from producer.starting.begin import begin_or_resume
from real_schema.octavia_plan import leave_out, planned, write_few
from real_schema.octavia_rows import Rows, keys_of_uuids, projects_of, read_rows
from replank.values.states import TableState
from sql.session.connection import connect

LEFT_OUT = "quotas"
"""Its only converted column holds Keystone's ids of projects, 32 digits that would be read with hyphens afterwards:
`check` says so (`odd_spelling`), and an operator leaves it out of the plan."""

NO_PREPARED = {"connect_args": {"prepare_threshold": None}, "use_insertmanyvalues": False}
"""What docs/clients.md says of SQLAlchemy with psycopg 3."""

IN_THE_SOURCE = (
    ("from sqlalchemy import text\n", "from sqlalchemy import text\n\nfrom text_or_uuid import TextOrUuid\n"),
    (
        "bindparams(\n                amp_id=amphora_id,",
        "bindparams(\n                bindparam('amp_id', amphora_id, type_=TextOrUuid()),",
    ),
    ("from sqlalchemy import select\n", "from sqlalchemy import bindparam\nfrom sqlalchemy import select\n"),
)
"""What a person changes in octavia's repositories before the run: the one value that `text()` compares with an id, to
which no column gives a type."""

SHORT, LONG = 20, 120
"""Transactions of a service in each phase."""

SLOWLY_S = 0.15
"""Between two transactions in the short form, whose time is to be spent on the run."""


@dataclass(frozen=True, kw_only=True)
class More:
    """A plan of few tables, octavia as it is through the run, what Alembic finds before its models are patched, the
    second `--apply`, and a service with patched models."""

    few: Said
    untouched: Lived
    differences_after_run: list[str]
    again: Said
    patched: Lived


@dataclass(frozen=True, kw_only=True)
class Story:
    """Before the run, the run, and after it. `differences_*` is what Alembic finds between models and database.

    `columns` are the plan's, `held` those that plain SQL finds. `more` is what the long form alone has:
    octavia's code takes 4 s of CPU each time that it is imported.
    """

    url: str
    copied: str
    source: Path
    inspected: Said
    checked: Said
    columns: tuple[tuple[str, str], ...]
    held: set[tuple[str, str]]
    applied: Said
    differences_before: list[str]
    differences_patched: list[str]
    ready: Lived
    before: Rows
    after: Rows
    more: More | None

    @property
    def written(self) -> dict[Row, dict[str, str] | None]:
        """What every service that took part says of the rows it wrote."""
        lived = [self.ready] if self.more is None else [self.ready, self.more.untouched]
        return {row: columns for one in lived for row, columns in one.rows.items()}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where it happens: a database, the application's source as it is and as a person made it ready, and the plan."""

    url: str
    replank: Replank
    source: Path
    ready: Path
    plan: Path

    def asked(self, *arguments: str) -> Said:
        """`replank` about octavia's models, by octavia's interpreter and source."""
        models = ("--models", MODELS, "--python", str(interpreter()), "--env", f"PYTHONPATH={self.source}")
        return self.replank(*arguments, *models, "--json")

    def apply(self) -> Said:
        config = self.source / "octavia" / "db" / "migration" / "alembic.ini"
        return self.asked("alembic", str(self.plan), "--config", str(config), "--apply")

    def differences(self) -> list[str]:
        return list(json.loads(run_program("compare", sqlalchemy_url(self.url), source=self.source)))


def tell(postgres: EmbeddedPostgres, broker: EmbeddedValkey | None, url: str, copied: str, folder: Path) -> Story:
    """With a broker in the long form: the product's own processes run the plan, and octavia as it is takes part too.

    `copied`: the name of a database that is made as it is before the run.
    """
    long = broker is not None
    place = _place(url, broker.url() if broker is not None else "", folder)
    differences_before = prepare(url, place.source, projects=20 if long else 8)
    inspected = place.asked("inspect", "--out", str(place.plan))
    assert inspected.status == 0, inspected.words
    leave_out(place.plan, LEFT_OUT)
    checked = place.replank("check", str(place.plan), "--json")
    few = place.asked("alembic", str(write_few(place.plan, folder / "few.toml")), "--models-only") if long else None
    copy = postgres.create_database(copied, template=psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    before, held = read_rows(url), keys_of_uuids(url)
    ready, untouched = _run(place, LONG if long else SHORT, in_processes=long)
    after = read_rows(url)
    differences_after_run = place.differences() if long else []
    applied = place.apply()
    assert applied.status == 0, applied.words
    return Story(
        url=url,
        copied=copy,
        source=place.source,
        inspected=inspected,
        checked=checked,
        columns=planned(place.plan),
        held=held,
        applied=applied,
        differences_before=differences_before,
        differences_patched=place.differences(),
        ready=ready,
        before=before,
        after=after,
        more=None
        if few is None or untouched is None
        else More(
            few=few,
            untouched=untouched,
            differences_after_run=differences_after_run,
            again=place.apply(),
            patched=_patched(place),
        ),
    )


def _patched(place: Place) -> Lived:
    """What a service lives through on the live tables whose models were patched, without any other change."""
    with service(sqlalchemy_url(place.url), place.source, project=projects_of(place.url)[2]) as one:
        one.enter("after")
        one.wait_for(LONG)
        return one.stop()


def _place(url: str, broker_url: str, folder: Path) -> Place:
    for name in ("source", "ready"):
        (folder / name).mkdir()
    ready = copy_source(folder / "ready")
    repositories = ready / "octavia" / "db" / "repositories.py"
    text = repositories.read_text(encoding="utf-8")
    for old, new in IN_THE_SOURCE:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    repositories.write_text(text, encoding="utf-8")
    return Place(
        url=url,
        replank=Replank(database_url=url, broker_url=broker_url),
        source=copy_source(folder / "source"),
        ready=ready,
        plan=folder / "plan.toml",
    )


def _run(place: Place, enough: int, *, in_processes: bool) -> tuple[Lived, Lived | None]:
    """The plan is run while services work: what they lived through. That of octavia as it is only in the long form."""
    columns, projects = planned(place.plan), projects_of(place.url)
    with ExitStack() as stack:
        pace = {} if in_processes else {"pause_s": SLOWLY_S}
        url = sqlalchemy_url(place.url)
        prepared = service(url, place.ready, project=projects[0], text_or_uuid=columns, **pace, **NO_PREPARED)
        services = [stack.enter_context(prepared)]
        if in_processes:
            own = service(sqlalchemy_url(place.url, "psycopg2"), place.source, project=projects[1])
            services.append(stack.enter_context(own))
        _wait(services, enough)
        if in_processes:
            _run_in_processes(place, services, enough, tables=len({table for table, _ in columns}))
        else:
            _run_here(place, services, enough)
        _wait(services, enough)
        lived = [one.stop() for one in services]
    return lived[0], lived[1] if in_processes else None


def _run_here(place: Place, services: Sequence[Service], enough: int) -> None:
    """By the product's coordinator and executor, turn by turn in this process."""
    with connect(place.url, name="test") as connection:
        begin_or_resume(connection, read_plan_file(place.plan), hold_cutover=True)
    rebuild = Rebuild.attach(place.url)
    with rebuild.closing():
        while rebuild.take_script():
            rebuild.refuse_stuck()
        rebuild.until(TableState.READY)
        _wait(services, enough)
        _enter(services, "at")
        rebuild.finish()
        _enter(services, "after")


def _run_in_processes(place: Place, services: Sequence[Service], enough: int, *, tables: int) -> None:
    """By `replank run` with two workers."""
    command = ("run", str(place.plan), "--workers=2", "--hold-cutover", "--json")
    with place.replank.under_way(*command) as run:
        run.wait_until_ready(place.url, tables=tables, deadline_s=400.0)
        _wait(services, enough)
        _enter(services, "at")
        assert place.replank("cutover").status == 0
        said = run.wait(deadline_s=200.0)
        _enter(services, "after")
    assert said.status == 0, said.words


def _wait(services: Sequence[Service], transactions: int) -> None:
    for one in services:
        one.wait_for(transactions)


def _enter(services: Sequence[Service], phase: Any) -> None:
    for one in services:
        one.enter(phase)
