"""A second platform that other people wrote, with varchar(36) keys: one `inspect`, one `run`, no hand on the plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.filling.filler import fill, kinds
from support.oracles.journal_oracle import compare_tables, diff_catalogue, foreign_keys_hold, snapshot_catalogue
from support.runs.programs import Replank, Said
from support.schemas.octavia import create_tables
from support.servers.shared import new_database
from support.writers.journal_writers import JournalWriters

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

pytestmark = [pytest.mark.real_schema, pytest.mark.slow]

ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The platform before and after its run, with what plain SQL says of its rows."""

    url: str
    replank: Replank
    plan: Path
    proposal: Any
    held: set[tuple[str, str, str]]
    before: dict[str, str]
    checked: Said
    ran: Said
    lost: list[str]
    differences: dict[Any, Any]

    @property
    def proposed(self) -> set[tuple[str, str, str]]:
        return {(t["schema"], t["name"], c["name"]) for t in self.proposal["tables"] for c in t["columns"]}


@pytest.fixture(scope="module")
def platform(
    postgres: EmbeddedPostgres, broker: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """Converted once, while clients write until its cutover is released."""
    plan = tmp_path_factory.mktemp("octavia") / "plan.toml"
    with new_database(postgres, "octavia") as url:
        create_tables(url)
        fill(url, rows=ROWS)
        replank = Replank(database_url=url, broker_url=broker.url())
        held, before = kinds(url), snapshot_catalogue(url, ["public"])
        proposal = replank("inspect", "--every-uuid", "--out", str(plan), "--json").document
        checked = replank("check", str(plan), "--json")
        with (
            JournalWriters(url=url, clients=2, rate=100.0, seed=3) as clients,
            replank.under_way("run", str(plan), "--workers=2", "--hold-cutover", "--json") as run,
        ):
            clients.wait_for_writes(100)
            run.wait_until_ready(url, tables=len(proposal["tables"]), deadline_s=120.0)
            clients.wait_for_writes(50)
            journal = clients.stop()
            assert replank("cutover").status == 0
            ran = run.wait(deadline_s=120.0)
        converted = {(t["schema"], t["name"]): {c["name"]: c["to"] for c in t["columns"]} for t in proposal["tables"]}
        compared = {
            (schema, name): compare_tables(url, live=(schema, name), past=("replank_past", name), converted=columns)
            for (schema, name), columns in converted.items()
        }
        yield Platform(
            url=url,
            replank=replank,
            plan=plan,
            proposal=proposal,
            held={column for column, kind in held.items() if kind == "uuid"},
            before=before,
            checked=checked,
            ran=ran,
            lost=journal.find_lost(url),
            differences={name: found for name, found in compared.items() if found},
        )


def test_exactly_the_columns_of_uuids_are_proposed(platform: Platform) -> None:
    assert len(platform.held) > 60
    assert platform.proposed == platform.held


def test_nothing_stands_against_the_plan_and_the_run_is_done(platform: Platform) -> None:
    assert platform.checked.status == 0, platform.checked.words
    assert platform.ran.document["state"] == "done", platform.ran.words


def test_every_row_is_there_and_nothing_acknowledged_is_lost(platform: Platform) -> None:
    assert platform.differences == {}
    assert platform.lost == []
    assert foreign_keys_hold(platform.url) == []


def test_the_catalogue_is_as_before_but_for_the_types(platform: Platform) -> None:
    found = diff_catalogue(platform.before, snapshot_catalogue(platform.url, ["public"]))
    columns = {f"column {schema}.{table}.{column}" for schema, table, column in platform.proposed}
    others = [name for name, _, _ in found if name not in columns and not name.startswith("sequence value ")]
    assert others == []
    told = platform.replank("catalogue-diff", "--json")
    assert told.status == 0, told.words
    assert told.document["unexplained"] == []
    assert len(told.document["explained"]) == len(columns)
