"""Leaving a failed job out: where it loses nothing it is kept for good, everywhere else it is refused."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import differences, live, one, past
from support.runs.harness import Rebuild, table

from monitoring.status.read_status import read_status
from producer.operator.operator import Operator
from producer.operator.skipping import skip
from replank.errors import WrongUse
from replank.values.states import TableState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
ANNA = Operator(name="anna", via="page")


def _fail(rebuild: Rebuild, kind: str) -> list[int]:
    found = rebuild.jobs(kind)
    rebuild.connection.execute(
        "UPDATE replank.job SET state = 'failed', finished_at = now() WHERE job_id = ANY (%s)", [found]
    )
    return found


def test_a_vacuum_may_be_left_out_a_verification_may_not(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 100) AS g")
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.VERIFYING)
    vacuum, verify = _fail(rebuild, "vacuum"), _fail(rebuild, "verify")
    connection, run = rebuild.connection, rebuild.run

    # All or none: one of them may not be left out, so nothing is
    with pytest.raises(WrongUse, match=r"Nothing was skipped.*it would be unknown whether both tables are equal"):
        skip(connection, run, [*vacuum, *verify], "no time", by=ANNA)
    assert len(rebuild.failures()) == len(vacuum) + len(verify)
    with pytest.raises(WrongUse, match="Give the reason"):
        skip(connection, run, vacuum, " ", by=ANNA)

    # A vacuum may: its reason stays, with who and what it means
    said = skip(connection, run, vacuum, "autovacuum is on", by=ANNA)
    assert "autovacuum will process the table later" in said
    (left_out,) = read_status(connection).left_out
    assert (left_out.job_id, left_out.kind, left_out.name) == (vacuum[0], "vacuum", "public.t")
    assert "autovacuum is on (anna)" in (left_out.reason or "")
    with pytest.raises(WrongUse, match="is skipped, not failed"):
        skip(connection, run, vacuum, "again", by=ANNA)
    assert one(app, "SELECT actor FROM replank.event WHERE kind = 'skip'") == "anna"

    rebuild.retry()
    rebuild.finish()
    assert one(app, "SELECT state FROM replank.job WHERE job_id = %s", vacuum[0]) == "skipped"
    assert differences(app, past("t"), live("t"), {"id"}) == []
    assert read_status(connection).left_out


@pytest.mark.parametrize(
    ("state", "kind"), [(TableState.COPYING, "copy"), (TableState.FIRST_DRAIN, "drain"), (TableState.INDEXING, "index")]
)
def test_what_would_lose_rows_is_refused(app: psycopg.Connection, begin: Begin, state: TableState, kind: str) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text FROM generate_series(1, 10)")
    rebuild = begin(table("t", "id"))
    rebuild.until(state)
    found = _fail(rebuild, kind)
    with pytest.raises(WrongUse, match=f"{kind} of public.t"):
        skip(rebuild.connection, rebuild.run, found, "no time", by=ANNA)
    assert {failure.job_id for failure in rebuild.failures()} == set(found)
