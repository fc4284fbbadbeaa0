"""Capture that somebody switched off, as `pg_restore --disable-triggers` does: back only where nothing is missing."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import one
from support.oracles.returning import everything_left, go_back
from support.runs.harness import Rebuild, table

from monitoring.status.read_status import read_status
from monitoring.status.rollback_possible import RollbackFacts, describe_rollback
from producer.rollback.question import read_extent
from replank.errors import NeedsOperator
from replank.values.states import RunState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

OFF_AND_ON = "ALTER TABLE {0} DISABLE TRIGGER ALL; {1}; ALTER TABLE {0} ENABLE TRIGGER ALL"

BY_MONTH = {
    "by": "range",
    "column": "at",
    "bounds": ["2026-01-01", "2026-02-01", "2026-03-01"],
    "timezone": "UTC",
    "consent": ["uniqueness"],
}


def _done(app: psycopg.Connection, begin: Begin, **more: object) -> Rebuild:
    app.execute("CREATE TABLE single (id text PRIMARY KEY, n int, touched int)")
    app.execute("INSERT INTO single SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    rebuild = begin(table("single", "id", **more), capture_attempts=3, lock_timeout_ms=100)
    rebuild.finish()
    app.execute("UPDATE single SET n = -n WHERE n < 4")
    return rebuild


def _way_back(rebuild: Rebuild) -> RollbackFacts:
    found = read_status(rebuild.connection).rollback_facts
    assert found is not None
    return found


def test_nothing_was_missed_and_the_comparison_proves_it(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _done(app, begin)
    assert (_way_back(rebuild).closed, _way_back(rebuild).doubtful) == ((), ())
    app.execute(OFF_AND_ON.format("single", "SELECT 1"))
    # Then the status does not say that all is well
    found = _way_back(rebuild)
    assert found.closed == ()
    assert "public.single" in found.doubtful[0]
    assert found.to_json()["doubtful"] == list(found.doubtful)
    app.execute("SET session_replication_role = replica; UPDATE single SET n = 100 WHERE n = 10")
    app.execute("RESET session_replication_role")
    # A write that plain triggers do not see was missed: it is named, and nothing has changed places
    with pytest.raises(NeedsOperator, match=r"differ in rows for which no change was captured.*capture disabled"):
        go_back(rebuild)
    assert rebuild.run.state is RunState.DONE
    # From then on everything is captured, whatever the session: so the row can be sent along. It is missing until then
    assert "public.single" in _way_back(rebuild).doubtful[0]
    app.execute("SET session_replication_role = replica; UPDATE single SET n = n WHERE n = 100")
    go_back(rebuild)
    assert one(app, "SELECT array_agg(n ORDER BY n) FROM single WHERE n < 4 OR n = 100") == [-3, -2, -1, 100]
    assert one(app, "SELECT pg_typeof(id)::text FROM single LIMIT 1") == "text"
    assert everything_left(app) == []


@pytest.mark.parametrize(
    "missed", ["UPDATE single SET n = 9000 WHERE n = 9", "DELETE FROM single WHERE n = 9", "TRUNCATE single"]
)
def test_what_was_missed_is_found(app: psycopg.Connection, begin: Begin, missed: str) -> None:
    rebuild = _done(app, begin)
    app.execute(OFF_AND_ON.format("single", missed))
    with pytest.raises(NeedsOperator, match=r"public\.single: past and new table differ in rows"):
        go_back(rebuild)
    assert one(app, "SELECT pg_typeof(id)::text FROM replank_past.single LIMIT 1") == "text"


def test_a_column_that_the_run_has_filled_cannot_be_compared(app: psycopg.Connection, begin: Begin) -> None:
    """The change that was missed would be lost without a word: so the way back is closed."""
    rebuild = _done(app, begin, fill=[{"name": "touched", "value": "live.n"}])
    app.execute(OFF_AND_ON.format("single", "UPDATE single SET touched = 77 WHERE n = 9"))
    found = _way_back(rebuild)
    assert "columns that the run has filled" in found.closed[0]
    assert any("a rollback is not possible" in warning for warning in found.warnings)
    with pytest.raises(NeedsOperator, match="a rollback would lose changes"):
        go_back(rebuild)


def test_triggers_that_are_gone_close_the_way_back(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _done(app, begin)
    app.execute("DROP TRIGGER replank_capture_back_update ON single")
    assert "are gone" in _way_back(rebuild).closed[0]
    with pytest.raises(NeedsOperator, match="were dropped"):
        go_back(rebuild)
    app.execute("DROP TABLE replank_past.single")
    assert "its past table is gone" in _way_back(rebuild).closed[0]


def test_a_partition_that_is_switched_off_is_seen(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE event (id text PRIMARY KEY, at timestamptz NOT NULL)")
    app.execute(
        "INSERT INTO event SELECT gen_random_uuid()::text, timestamptz '2026-01-01' + g * interval '1 day'"
        " FROM generate_series(1, 40) AS g"
    )
    rebuild = begin(table("event", "id", partition=BY_MONTH), capture_attempts=3, lock_timeout_ms=100)
    rebuild.finish()
    part = one(app, "SELECT tableoid::regclass::text FROM event WHERE at = '2026-01-08'")
    app.execute(f"ALTER TABLE {part} DISABLE TRIGGER ALL")
    assert "public.event" in _way_back(rebuild).doubtful[0]
    app.execute(f"DELETE FROM {part} WHERE at = '2026-01-08'")  # noqa: S608
    with pytest.raises(NeedsOperator, match="differ in rows"):
        go_back(rebuild)
    # It is switched on again, so what is written from now on comes along
    app.execute(f"UPDATE {part} SET at = '2026-01-09 12:00' WHERE at = '2026-01-09'")  # noqa: S608
    app.execute("DELETE FROM replank_past.event WHERE at = '2026-01-08'")
    go_back(rebuild)
    assert one(app, "SELECT count(*) FROM event WHERE at = '2026-01-09 12:00'") == 1
    assert one(app, "SELECT count(*) FROM event") == 39
    assert everything_left(app) == []


def test_nothing_that_is_said_of_a_closed_way_back_contradicts_it(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _done(app, begin)
    run = rebuild.run

    def said() -> str:
        extent = read_extent(rebuild.connection, run, None)
        outlook = describe_rollback(run, _way_back(rebuild))
        return "\n".join([*extent.lines, *_way_back(rebuild).warnings, outlook])

    # Open
    assert "public.single: the past table becomes live again" in said()
    assert "`replank rollback` rolls back without loss" in said()
    # Closed: capture is gone
    app.execute("DROP TRIGGER replank_capture_back_update ON single")
    assert "public.single: this will be refused" in said()
    assert "public.single: the past table becomes live again" not in said()
    assert "rolls back without loss" not in said()
    assert "until then they stay in schema replank_past" in said()
    # Closed: what would come back is gone, and nobody says that it stands
    app.execute("DROP TABLE replank_past.single")
    assert "its past table is gone. `replank finish` removes what was kept for a rollback" in said()
    assert "stay in schema replank_past" not in said()
    assert "a rollback without loss is no longer possible: public.single" in said()
