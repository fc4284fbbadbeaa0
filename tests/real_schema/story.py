"""One migration of the real platform's database, told once; the tests judge what it left.

Two groups of clients write to every table that new rows can be made for. The first works from before
the run until every table is ready for its cutover, which `--hold-cutover` holds back; its last writes
come after the verification. Then it stops: what it wrote must be equal in the past and the live tables.
The second group writes from then on through every swap and beyond. A row of its own is changed after
the swap as well, so past and live may differ there, and there only: these rows are judged by what the
clients saw acknowledged, all others by comparing both tables.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.filling.filler import fill, kinds
from support.filling.values import Kind
from support.oracles.journal_oracle import snapshot_catalogue
from support.runs.programs import Replank, Said
from support.schemas.litellm import apply_migrations
from support.writers.journal_writers import Journal, JournalWriters

from demo.embedded import EmbeddedValkey

ROWS = int(os.environ.get("REPLANK_REAL_ROWS", "50000"))
WORKERS = 4
CLIENTS = 4
RATE = 200.0
"""Writes per second of all clients together."""

RUN_DEADLINE_S = 240.0 + ROWS / 1_000
WRITES_BETWEEN = 150
"""Acknowledged writes before the run, after the last verification, before the first and after the last swap."""

Column = tuple[str, str, str]  # schema, table, column


@dataclass(frozen=True, kw_only=True)
class Story:
    """What is known after the run. `before` and `after` are catalogues of the schema `public`."""

    url: str
    rows: int
    kinds: dict[Column, Kind]
    before: dict[str, str]
    after: dict[str, str]
    inspected: Said
    checked: Said
    ran: Said
    ran_again: Said
    until_ready: Journal
    through_swap: Journal

    @property
    def converted(self) -> dict[tuple[str, str], dict[str, str]]:
        """(schema, table) -> column -> new type, as `inspect` proposed it."""
        proposal: Any = self.inspected.document
        return {
            (table["schema"], table["name"]): {column["name"]: column["to"] for column in table["columns"]}
            for table in proposal["tables"]
        }


def tell(url: str, broker: EmbeddedValkey, folder: Path) -> Story:
    """Migrate the platform's database; raises AssertionError where the story cannot go on."""
    apply_migrations(url)
    filled = fill(url, rows=ROWS, odd_spellings=True)
    replank = Replank(database_url=url, broker_url=broker.url())
    plan = folder / "plan.toml"
    held = kinds(url)
    before = snapshot_catalogue(url, ["public"])
    inspected = replank("inspect", "--every-uuid", "--out", str(plan), "--json")
    assert inspected.status == 0, inspected.words
    checked = replank("check", str(plan), "--json")
    assert checked.status == 0, checked.words
    ran, until_ready, through_swap = _run(replank, plan, tables=len(inspected.document["tables"]))
    return Story(
        url=url,
        rows=sum(filled.values()),
        kinds=held,
        before=before,
        after=snapshot_catalogue(url, ["public"]),
        inspected=inspected,
        checked=checked,
        ran=ran,
        ran_again=replank("run", str(plan), "--json"),
        until_ready=until_ready,
        through_swap=through_swap,
    )


def _run(replank: Replank, plan: Path, *, tables: int) -> tuple[Said, Journal, Journal]:
    url = replank.database_url
    with (
        JournalWriters(url=url, clients=CLIENTS, rate=RATE, seed=1) as first,
        replank.under_way("run", str(plan), f"--workers={WORKERS}", "--hold-cutover", "--json") as run,
    ):
        first.wait_for_writes(WRITES_BETWEEN)
        run.wait_until_ready(url, tables=tables, deadline_s=RUN_DEADLINE_S)
        first.wait_for_writes(WRITES_BETWEEN)
        until_ready = first.stop()
        with JournalWriters(url=url, clients=CLIENTS, rate=RATE, seed=2) as second:
            second.wait_for_writes(WRITES_BETWEEN)
            released = replank("cutover")
            assert released.status == 0, released.words
            said = run.wait(RUN_DEADLINE_S)
            second.wait_for_writes(WRITES_BETWEEN)
            through_swap = second.stop()
    assert said.status == 0, said.words
    return said, until_ready, through_swap
