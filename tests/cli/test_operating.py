"""The operator's commands through the real command line: finding, understanding, pausing, stopping, going on."""

import csv
import time
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import stays, wait_for
from support.schemas.small_shop import differences

from cli.evidence import document_of, refused

pytestmark = pytest.mark.cli

BAD = ("broken-42", "broken-77")


def _change(site: Site, statement: LiteralString, *values: str) -> None:
    with psycopg.connect(site.database_url) as connection:
        connection.execute(statement, values or None)


def _words(said: str) -> str:
    return " ".join(said.split())


def _list(site: Site, *arguments: str) -> list[dict[str, Any]]:
    found = document_of(site.call(*arguments))
    assert isinstance(found, list)
    return found


def _object(site: Site, *arguments: str) -> dict[str, Any]:
    found = document_of(site.call(*arguments))
    assert isinstance(found, dict)
    return found


def test_what_failed_is_found_explained_and_tried_again_piece_by_piece(site: Site) -> None:
    # Given two orders whose ids are no uuids
    for number, value in zip((42, 77), BAD, strict=True):
        _change(site, "UPDATE orders SET id = %s WHERE number = %s::int", value, str(number))
    stopped = site.run().wait()
    assert stopped.exit_code == 1, stopped.stderr

    # Then the run says exactly what frees it, and that a retry alone does not
    assert (
        "To continue: correct or delete the row in the live table, then `replank retry --cause 22P02`; "
        "then `replank run PLAN`" in _words(stopped.stderr)
    )

    # Then only the two rows are left, each named by its key, and everything else of their chunks is done
    found = _list(site, "failures", "--json")
    assert sorted(failure["row"]["id"] for failure in found) == sorted(BAD)
    assert all(f"`replank retry {failure['job']}`" in failure["suggestion"] for failure in found)
    said = _words(site.call("failures").stderr)
    for part in (
        "value does not convert 22P02: 2 jobs, for example job",
        "replank retry --table public.orders --cause",
    ):
        assert part in said
    jobs = _object(site, "status", "--json")["jobs"]
    assert (jobs["failed"], jobs["waiting"], jobs["leased"]) == (2, 0, 0)
    assert jobs["split"] > 0

    # Then `explain` says how it came, and what the job would do; nothing is executed
    first = next(str(failure["job"]) for failure in found if failure["row"]["id"] == BAD[0])
    told = _object(site, "explain", first, "--json")
    assert told["row"] == {"id": BAD[0]}
    assert {each["outcome"] for each in told["attempts"]} == {"split", "failed"}
    assert told["sql"][0].startswith("INSERT INTO")
    assert "Insert on" in told["plan"][0]
    assert not any("actual" in line for line in told["plan"])
    assert (told["state"], told["sqlstate"]) == ("failed", "22P02")
    told_people = _words(site.call("explain", first).stderr)
    for part in ("its SQL:", "its plan (not executed):", "attempts that failed or ended early:", BAD[0]):
        assert part in told_people
    refused(site.call("explain", "999999"), "no job 999999", exit_code=2)

    # When it is asked to leave out what would be missing, it refuses and says what to do instead
    refused(site.call("skip", first, "--reason", "no time"), "would be missing in the new table", "retry", exit_code=2)
    refused(site.call("retry", "999999"), "no job 999999", exit_code=2)
    refused(site.call("retry", "--cause", "40001"), "22P02", exit_code=2)
    refused(site.call("retry", "--table", "nothing"), "public.customers, public.orders", exit_code=2)
    refused(site.call("retry", "--all", "--cause", "22P02"), "either --all", exit_code=2)

    # When one is corrected and tried again, then the other is still there
    _change(site, "UPDATE orders SET id = gen_random_uuid() WHERE id = %s", BAD[0])
    assert "1 job waits again" in site.call("retry", first, "--as", "anna").stderr
    assert site.run().wait().exit_code == 1
    assert [failure["row"]["id"] for failure in _list(site, "failures", "--json")] == [BAD[1]]

    # When the other is corrected too, then the run ends well
    _change(site, "UPDATE orders SET id = gen_random_uuid() WHERE id = %s", BAD[1])
    tried = site.call("retry", "--table", "orders", "--cause", "value does not convert", "--smaller")
    assert "wait" in tried.stderr
    assert tried.exit_code == 0, tried.stderr
    finished = site.run().wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert _list(site, "failures", "--json") == []
    with psycopg.connect(site.database_url) as connection:
        actors = connection.execute("SELECT actor, subject FROM replank.event WHERE kind = 'retry' ORDER BY event_id")
        assert actors.fetchone() == ("anna", f"job {first}")


def test_a_table_is_paused_and_throttled_while_the_other_goes_on(site: Site, ledger: LedgerView) -> None:
    # Given jobs that are cut, of which some were sent already
    run = site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"copying"})
    refused(site.call("pause", "--table", "nothing"), "public.customers, public.orders", exit_code=2)
    refused(site.call("pause", "--phase", "5"), "3 (data migration)", exit_code=2)
    refused(site.call("throttle", "--phase", "1", "--max-window", "2"), "no jobs", exit_code=2)

    # When one table is paused
    paused = site.call("pause", "--table", "orders", "--reason", "too hot", "--as", "anna")
    assert "public.orders is paused" in paused.stderr
    assert site.call("throttle", "--table", "customers", "--max-window", "1").exit_code == 0
    site.worker("--concurrency=2")

    # Then the other comes to its cutover, and of the paused one not even what was sent before is begun
    def states() -> dict[object, object]:
        return {name: state for name, state in ledger.rows("SELECT table_name, state FROM replank.run_table")}

    wait_for("customers to be ready", lambda: states().get("customers") == "ready", explain=ledger.explain)
    assert stays(lambda: states()["orders"] == "copying", for_s=1)
    begun = "SELECT count(*) FROM replank.job j JOIN replank.run_table t USING (run_id, table_no)"
    assert ledger.number(begun + " WHERE t.table_name = 'orders' AND j.attempt > 0") == 0
    # And status says who, since when and why
    told = _object(site, "status", "--json")
    (pause,) = (one for one in told["restraints"] if one["kind"] == "pause")
    assert (pause["scope"], pause["by"], pause["reason"]) == ("public.orders", "anna", "too hot")
    assert pause["freed_by"] == "replank resume --table public.orders"
    assert [one["max_jobs"] for one in told["restraints"] if one["kind"] == "throttle"] == [1]
    assert (told["state"], told["paused"]) == ("running", False)
    said = _words(site.call("status").stderr)
    assert "public.orders is paused by anna since" in said
    assert "public.customers is throttled to 1 job at once" in said

    # When the cutover is released, the set waits for its paused member
    assert "still waits while public.orders is paused" in site.call("cutover").stderr
    assert run.running
    # When it is resumed, the run ends well
    assert site.call("resume", "--table", "orders").exit_code == 0
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []


def test_panic_stops_everything_at_once_and_resume_goes_on(site: Site, ledger: LedgerView) -> None:
    # Given workers in the middle of jobs that do not end
    site.run(workers=0)
    ledger.wait_for_states({"copying"})
    site.end()
    with locked(site.database_url, "replank_next", "orders"):
        run = site.run(workers=2)
        wait_for("a job under way", lambda: ledger.leases(), explain=ledger.explain)
        # When
        began = time.monotonic()
        said = site.call("panic", "--reason", "disk on fire", "--as", "anna")
        assert said.exit_code == 0, said.stderr
        print(f"{said.stderr} whole command: {time.monotonic() - began:.2f} s")
        # Then nothing of it works any more, though the lock is still held
        assert "everything is stopped" in said.stderr
        assert ledger.leases() == []
        assert ledger.number(_AT_WORK) == 0
        assert stays(lambda: ledger.leases() == [] and ledger.number(_AT_WORK) == 0, for_s=1.5)
    assert run.running
    status = _object(site, "status", "--json")
    (pause,) = status["restraints"]
    assert (pause["cause"], pause["by"], pause["scope"]) == ("panic", "anna", "the whole run")
    assert ledger.number("SELECT max(attempt - forgiven) FROM replank.job WHERE state = 'waiting'") == 0
    # And it goes on
    assert site.call("resume").exit_code == 0
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []


def test_rows_kept_aside_are_corrected_from_a_file_and_come_back(site: Site, ledger: LedgerView) -> None:
    # Given a customer whose id is no uuid, and her orders, kept aside in a run that waits for its cutover
    plan = site.plan.read_text(encoding="utf-8").replace('to = "uuid"', 'to = "uuid"\non_invalid = "quarantine"')
    site.plan.write_text(plan, encoding="utf-8")
    _change(site, "UPDATE customers SET id = 'nobody' WHERE name = 'Customer 7'")
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    wait_for("the last drains", lambda: ledger.unfinished_jobs() == 0, explain=ledger.explain)
    kept = _object(site, "quarantine", "list", "--json")["tables"]
    assert kept["public.customers"] == 1
    assert kept["public.orders"] > 0
    file = site.folder / "aside.csv"
    assert site.call("quarantine", "export", "--out", str(file)).exit_code == 0

    # When they are looked at again as they are, then they stay
    assert (
        f"{kept['public.orders']} rows of public.orders"
        in site.call("quarantine", "return", "--table", "orders").stderr
    )
    # When the file has a value that is no uuid either, then nothing is changed
    before = ledger.rows("SELECT count(*) FROM customers WHERE id = 'nobody'")
    _rewrite(file, "nobody", "still nobody")
    refused(site.call("quarantine", "fix", str(file)), "does not convert either", "Nothing was changed", exit_code=2)
    assert ledger.rows("SELECT count(*) FROM customers WHERE id = 'nobody'") == before == [(1,)]
    refused(site.call("quarantine", "fix", str(site.plan)), "is missing", exit_code=2)

    # When it is corrected, then she and her orders come back with the next drain
    _rewrite(file, "still nobody", "11111111-2222-4333-8444-555555555555")
    fixed = site.call("quarantine", "fix", str(file), "--as", "anna")
    assert fixed.exit_code == 0, fixed.stderr
    assert "values corrected in the live tables" in fixed.stderr
    assert site.call("cutover").exit_code == 0
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert _object(site, "quarantine", "list", "--json")["tables"] == {}
    assert ledger.number("SELECT count(*) FROM orders WHERE customer_id = '11111111-2222-4333-8444-555555555555'") > 0
    refused(site.call("quarantine", "fix", str(file)), "No run is open", exit_code=2)


def _rewrite(file: Path, old: str, new: str) -> None:
    """As a person does it in a table calculation: only the column `value`."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "value": row["value"].replace(old, new)} for row in rows)


_AT_WORK = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'replank w%'"
    " AND state <> 'idle' AND wait_event_type = 'Lock'"
)
