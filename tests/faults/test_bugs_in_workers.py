"""A bug in a worker ends one job, is seen, and stops nothing else."""

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for

from benchmarks.looking.painted_run import paint_run
from faults.monitor import monitoring
from faults.sending import dispatching
from replank.values.states import JobKind
from sql.ledger.jobs.job_queue import Sendable

pytestmark = pytest.mark.faults

SECRET = "of-a-customer"
_JOB = """
INSERT INTO replank.job (run_id, step, table_no, cache_no, kind, generation, detail)
SELECT 1, '08-migrate-uuid-types', CASE WHEN %(kind)s <> 'cache' THEN 2 END, CASE WHEN %(kind)s = 'cache' THEN 1 END,
       %(kind)s, 7, jsonb_build_object('what', %(what)s::text) RETURNING job_id
"""


def _jobs(url: str) -> dict[JobKind, int]:
    """A job of each kind that can be read, and not be done: its table's oid is no number, its cache's work is none."""
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE replank.job SET state = 'done' WHERE state = 'leased'")
        connection.execute("UPDATE replank.run SET window_now = 16")
        connection.execute(
            "UPDATE replank.run_table SET spec = spec || jsonb_build_object('oid', jsonb_build_array(%s::text))",
            [SECRET],
        )
        connection.execute(
            "INSERT INTO replank.cache (run_id, cache_no, name, kind, spec)"
            """ VALUES (1, 1, 'prewarm', 'prewarm', '{"kind": "prewarm"}')"""
        )
        made = {}
        for kind in JobKind:
            found = connection.execute(_JOB, {"kind": str(kind), "what": SECRET}).fetchone()
            assert found is not None
            made[kind] = int(found[0])
    return made


def test_a_foreign_exception_in_each_kind_of_job(site: Site, ledger: LedgerView) -> None:
    # Given: a job of each kind that meets an exception which is neither the driver's nor Replank's, and one worker
    paint_run(site.database_url, jobs=8)
    made = _jobs(site.database_url)
    worker = site.worker("--concurrency", "1", "--name", "bugs@here")
    with monitoring(site) as monitor, dispatching(site) as dispatcher:
        # When: their messages come
        jobs = [Sendable(job_id=job, kind=kind, table_no=2) for kind, job in made.items()]
        assert dispatcher.send(1, jobs, {}) == []
        # Then: Celery calls each a failure, by type and place
        for kind, job in made.items():
            task = monitor.wait_for("FAILURE", job)
            assert task.result.startswith("failed: internal error, "), kind
            assert ".py:" in task.result
        assert SECRET not in monitor.everything()
    # And the ledger has type, message and last frame, at the first attempt
    found = ledger.rows(
        "SELECT job_id, state, attempt, error_class, message, worker FROM replank.job WHERE generation = 7"
    )
    assert [(state, attempt, error_class) for _, state, attempt, error_class, _, _ in found] == [
        ("failed", 1, "internal error")
    ] * len(JobKind)
    for *_, message, _ in found:
        assert ("TypeError: " in str(message)) or ("KeyError: " in str(message))
        assert ".py:" in str(message)
    # And one process has done them all, one after the other
    assert len({str(name) for *_, name in found}) == 1
    # And the log has each traceback with run and job, in lines of their own
    for job in made.values():
        wait_for(f"job {job} in the log", lambda job=job: f"event='a bug ended a job' run=1 job={job}" in worker.stderr)
    assert worker.stderr.count("Traceback (most recent call last):") == len(made)
    assert worker.stderr.count("level='error'") == len(made)
    assert "WARNING" not in worker.stderr


def test_local_workers_write_a_log_that_run_and_explain_name(site: Site, ledger: LedgerView) -> None:
    # Given: a row that is no uuid
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE orders SET id = %s WHERE number = 42", [SECRET])
    # When: a run with workers of its own meets it
    finished = site.run(workers=1, XDG_STATE_HOME=str(site.folder / "state")).wait()
    assert finished.exit_code == 1
    # Then: its first line names the file, which nobody else can read
    (file,) = (site.folder / "state" / "replank").glob("workers-*.log")
    assert finished.stderr.splitlines()[0] == f"The local workers write their log to {file}"
    assert file.stat().st_mode & 0o777 == 0o600
    # And the file has the worker's lines, each with its level
    text = file.read_text()
    for level, words in (("info", "the worker starts"), ("info", "job done"), ("error", "job needs the operator")):
        assert f"level='{level}' event='{words}'" in text
    assert "Traceback" not in text
    assert "WARNING" not in text
    # And `explain` repeats it
    failed = ledger.number("SELECT job_id FROM replank.job WHERE state = 'failed'")
    explained = site.call("explain", str(failed), "--json")
    assert [log["file"] for log in explained.document["worker_logs"]] == [str(file)]
    assert str(file) in site.call("explain", str(failed)).stderr
