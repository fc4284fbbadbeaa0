"""Workers that take some queues only: jobs that nobody takes hold up no others."""

import psycopg
import pytest
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import differences, write_plan

pytestmark = pytest.mark.faults

WINDOW = 2
INDEX_QUEUE = "replank.index"
_SENT = "SELECT count(*) FROM replank.job WHERE kind = 'index' AND state = 'waiting' AND sent_at IS NOT NULL"
_COPIES_DONE = (
    "SELECT count(*) FROM replank.run_table t WHERE table_name = 'orders' AND state = 'indexing'"
    " AND NOT EXISTS (SELECT FROM replank.job j WHERE j.table_no = t.table_no AND kind = 'copy' AND j.state <> 'done')"
)


@pytest.fixture
def indexed(site: Site) -> Site:
    """The small shop under a window of two jobs; its small table has more indexes than that."""
    with psycopg.connect(site.database_url) as connection:
        connection.execute("CREATE INDEX ON customers (name)")
        connection.execute("CREATE INDEX ON customers (lower(name))")
        name = connection.info.dbname
    options = f"[options]\nchunk_mb = 1\nmax_jobs_in_flight = {WINDOW}\n"
    write_plan(site.plan, database=name, chunk_mb=None, extra=options)
    return site


def test_jobs_that_nobody_takes_do_not_fill_the_window(indexed: Site, ledger: LedgerView) -> None:
    # Given: a table whose index jobs are sent, and no worker that takes them; a writer holds up the other table
    indexed.worker("--concurrency", "2", "--queues", "replank.copy,replank.verify", "--name", "copier@here")
    with psycopg.connect(indexed.database_url) as writer:
        writer.execute("UPDATE orders SET note = 'held' WHERE number = 1")
        run = indexed.run(workers=0)
        wait_for("index jobs to be sent", lambda: ledger.number(_SENT) >= WINDOW, explain=ledger.explain)

    # When: the other table may begin, then: its copies are done, though nobody takes the index jobs
    wait_for("all copies", lambda: ledger.number(_COPIES_DONE) > 0, deadline_s=30, explain=ledger.explain)
    assert ledger.jobs("done", "index") == 0

    # Then: status names the queue and the command, also for programs
    status = wait_for(
        "status to name the queue",
        lambda: next((s for s in [indexed.call("status", "--json")] if INDEX_QUEUE in s.stderr + s.stdout), None),
    )
    queues = {queue["queue"]: queue for queue in status.document["queues"]}
    assert queues[INDEX_QUEUE]["processes"] == 0
    assert queues[INDEX_QUEUE]["waiting"] >= WINDOW
    assert queues["replank.copy"]["processes"] == 2
    assert f"replank worker --queues {INDEX_QUEUE}" in status.document["workers"]["reason"]

    # Then: more processes of the worker that is there would change nothing, and `scale` says so
    scaled = indexed.call("scale", "2")
    assert scaled.exit_code == 0
    assert f"No worker takes jobs of {INDEX_QUEUE}" in scaled.stderr
    assert f"replank worker --queues {INDEX_QUEUE}" in scaled.stderr

    # When: a worker for that queue comes and has much to do, then: `scale` lets that one grow
    with locked(indexed.database_url, "replank_next", "customers"):
        indexed.worker("--concurrency", "1", "--queues", INDEX_QUEUE, "--name", "indexer@here")
        wait_for("an index job under way", lambda: ledger.jobs("leased", "index"), explain=ledger.explain)
        scaled = indexed.call("scale", "4")
        assert "copier@here 2 → 2" in scaled.stderr
        assert "indexer@here 1 → 2" in scaled.stderr

    # Then: the run ends
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(indexed.database_url) == []
    assert ledger.unfinished_jobs() == 0
