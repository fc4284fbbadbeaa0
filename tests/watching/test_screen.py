"""`status --watch` on screens of several sizes, over a ledger of a run in its middle; and the questions it asks."""

import io
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from rich.console import Console
from rich.live import Live
from support.servers.shared import new_database

from benchmarks.looking.big_ledger import fill_ledger
from demo.embedded import EmbeddedPostgres
from monitoring.estimate.eta import estimate
from monitoring.estimate.read_snapshot import read_snapshot
from monitoring.status.queues import Resent
from monitoring.status.read_status import read_status
from monitoring.terminal.follow import Follower, Observation, follow
from monitoring.terminal.screen import render
from monitoring.terminal.watch import View, draw, read_view
from producer.coordinator.progress import Progress
from replank.values.states import ResendCause
from sql.ledger.jobs import work
from sql.ledger.tables import conversion_sets, tables
from sql.session.connection import Connection, connect

JOBS = 4_000


@pytest.fixture(scope="module")
def ledger(postgres: EmbeddedPostgres) -> Iterator[str]:
    with new_database(postgres) as url:
        fill_ledger(url, jobs=JOBS)
        yield url


@pytest.fixture
def connection(ledger: str) -> Iterator[Connection]:
    with connect(ledger, name="test") as opened:
        yield opened


@pytest.fixture
def view(connection: Connection) -> View:
    return read_view(connection)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 10), (30, 5)])
def test_it_fits_and_never_wraps(view: View, width: int, height: int) -> None:
    lines = draw(view, width=width, height=height)
    assert len(lines) <= height
    assert all(line.cell_len <= width and "\n" not in line.plain for line in lines)


def test_eighty_by_twenty_four_says_what_matters(view: View) -> None:
    lines = [line.plain for line in draw(view, width=80, height=24)]
    shown = "\n".join(lines)
    for words in ("run 1 running", "rows/s", "window 8/16", "No coordinator is running", "steps", "jobs:"):
        assert words in shown, words
    # The nine failed jobs are one cause, with what to do
    assert sum(line.startswith("! 9 × value does not convert (22P02)") for line in lines) == 1
    # A copying table's strip shows failures however few they are
    copying = next(line for line in lines if " copying " in line)
    assert "█" in copying
    assert "!" in copying
    assert "·" in copying
    # Who works on what, and what happened last
    assert sum("worker-" in line and "copy public.table_" in line for line in lines) >= 2
    assert "verification" in lines[-1] or "older events" in lines[-1]


def test_more_room_shows_more(view: View) -> None:
    wide = [line.plain for line in draw(view, width=200, height=60)]
    assert sum("public.table_" in line and "%" in line for line in wide) == 8
    assert any("/5,000,000" in line for line in wide)
    assert len(wide) > len(draw(view, width=80, height=24))


def test_counts_are_those_of_plain_sql(ledger: str, connection: Connection) -> None:
    status = read_status(connection)
    with psycopg.connect(ledger) as plain:
        counts = dict(plain.execute("SELECT state, count(*) FROM replank.job GROUP BY 1").fetchall())
        chunks = dict(
            plain.execute(
                "SELECT state, count(*) FROM replank.job WHERE table_no = 5 AND kind = 'copy' GROUP BY 1"
            ).fetchall()
        )
        rows = dict(
            plain.execute(
                "SELECT t.table_name, CASE WHEN t.state IN ('ready', 'done') THEN t.rows_estimate ELSE sum(j.rows) END"
                " FROM replank.job j JOIN replank.run_table t USING (run_id, table_no)"
                " WHERE j.kind = 'copy' AND j.state = 'done' GROUP BY 1, t.state, t.rows_estimate"
            ).fetchall()
        )
    assert {state: count for state, count in status.jobs.items() if count} == counts
    assert dict(next(t for t in status.tables if t.name == "public.table_5").chunks) == chunks
    assert {t.name.removeprefix("public."): t.rows_done for t in status.tables if t.rows_done} == rows
    # Nobody drives it, so no time that is left is told, though there is one
    assert status.eta_s is None
    run_id = status.run.run_id
    tallies, present = work.read_tallies(connection, run_id), tables.read_tables(connection, run_id)
    sets = conversion_sets.read_sets(connection, run_id)
    left = estimate(read_snapshot(connection, status.run, tallies, found=present, sets=sets, of_caches=[]))
    assert left is not None
    assert 0 < left.low < left.high


def test_the_rate_uses_its_index(connection: Connection) -> None:
    connection.execute("SET enable_seqscan = off")
    plan = connection.execute(
        "EXPLAIN SELECT sum(rows) FROM replank.job WHERE run_id = 1 AND state = 'done' AND kind IN ('copy', 'verify')"
        " AND finished_at > statement_timestamp() - interval '10 seconds'"
    ).fetchall()
    assert any("finished_at >" in line and "Index Cond" in line for (line,) in plan)


def test_watching_ends_with_the_run_and_leaves_its_last_screen(ledger: str) -> None:
    seen: list[Observation] = []
    try:
        for look in Follower(lambda: connect(ledger, name="test")).observations():
            seen.append(look)
            with psycopg.connect(ledger) as other:
                other.execute("UPDATE replank.run SET state = 'needs_operator', reason = 'nine jobs have failed'")
        states = [str(look.view.status.run.state) for look in seen if look.view is not None]
        assert (states[0], states[-1], len(states)) == ("running", "needs_operator", len(seen))
        assert seen[-1].code == 1
        console = Console(width=80, record=True, force_terminal=False)
        assert follow(lambda: connect(ledger, name="test"), console) == 1
        assert "! nine jobs have failed" in console.export_text()
    finally:
        with psycopg.connect(ledger) as other:
            other.execute("UPDATE replank.run SET state = 'running', reason = ''")


LONG = "platform.a_table_with_quite_a_long_name_for_a_narrow_terminal"


@pytest.mark.parametrize("width", [200, 120, 80, 60])
def test_the_status_in_a_pipe_names_every_table(connection: Connection, width: int) -> None:
    """Reasons give way first, then the bar; a name that is too long goes on in the next line."""
    status = read_status(connection)
    first, *others = status.tables
    status = replace(status, tables=(replace(first, name=LONG, why="a reason " * 8), *others))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(render(status))
    text = console.export_text()
    lines = text.splitlines()
    for table in status.tables:
        assert table.name == LONG or any(line.startswith(f"{table.name} ") for line in lines), table.name
        row = next(line for line in lines if line.startswith(table.name[:14]) and table.state in line)
        assert f"{table.rows_done:,}/{table.rows_total:,}" in row
    assert LONG in "".join(line.split(" ")[0] for line in lines)
    assert "".join(text.split()).count("areason") == 8
    assert "…" not in text


def test_a_run_draws_the_same_screen(connection: Connection) -> None:
    drawn = io.StringIO()
    live = Live(console=Console(file=drawn, force_terminal=True, width=80, height=24), auto_refresh=False)
    progress = Progress(every_s=0.0)
    progress._live = live
    with live:
        progress.show(connection)
    assert "window 8/16" in drawn.getvalue()
    assert "9 × value does not convert" in drawn.getvalue()


def test_the_axis_has_its_reason_and_not_the_rebuild(connection: Connection) -> None:
    """`rebuild: the key is scattered over the heap` would be read as why the table is rebuilt."""
    (number, *_) = connection.execute("SELECT table_no, axis_reason FROM replank.run_table ORDER BY 1").fetchone() or ()
    with connection.transaction(force_rollback=True):
        connection.execute(
            "UPDATE replank.run_table SET axis = 'heap', axis_reason = 'the key is scattered' WHERE table_no = %s",
            (number,),
        )
        whys = {table.why for table in read_status(connection).tables}
    assert "rebuild, read in the order of its blocks: the key is scattered" in whys


def test_jobs_sent_again_for_want_of_a_worker_say_so() -> None:
    words = Resent(by_cause={ResendCause.NO_WORKER: 3}).words
    assert words.startswith("3 jobs were sent again in the last 5 minutes: no worker took jobs from their")
    assert "nothing is lost" in words
