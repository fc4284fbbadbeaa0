"""Tables whose bytes lie out of line (TOAST): they are cut by what they hold, and every job can be made smaller."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.oracles.oracle import built, count, differences, live, one, past
from support.runs.attacks import Attack
from support.runs.harness import AxisName, Rebuild, table

from producer.operator.operator import Operator
from producer.operator.retrying import Selection, retry
from replank.values.states import JobKind, TableState
from sql.ledger.jobs import job_reports

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

MB = 1024 * 1024
WIDE = 60_000
ROWS = 150
BYTES = ROWS * WIDE
"""9 MB out of line, and two blocks of heap."""

PLAIN = "CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL, body text)"
PARTITIONED = """
CREATE TABLE t (id text NOT NULL, part int NOT NULL, n int NOT NULL, body text, PRIMARY KEY (part, id))
    PARTITION BY LIST (part);
CREATE TABLE t_0 PARTITION OF t FOR VALUES IN (0); CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1)
"""
FILL = {
    PLAIN: "INSERT INTO t SELECT gen_random_uuid()::text, g, repeat(md5(g::text), %s) FROM generate_series(1, %s) AS g",
    PARTITIONED: "INSERT INTO t SELECT gen_random_uuid()::text, g %% 2, g, repeat(md5(g::text), %s)"
    " FROM generate_series(1, %s) AS g",
}
SWITCHED: dict[str, Any] = {"add": [{"name": "x", "type": "integer", "value": "public.switched(live.n)"}]}
LIMITED = """
CREATE TABLE switch (most int, culprit int);
CREATE FUNCTION switched(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    s public.switch; done int := coalesce(nullif(current_setting('test.done', true), ''), '0')::int + 1;
BEGIN
    SELECT * INTO s FROM public.switch;
    PERFORM set_config('test.done', done::text, true);
    IF done > s.most OR n = s.culprit THEN RAISE 'out of memory' USING ERRCODE = '53200'; END IF;
    RETURN n;
END $$
"""
"""Stands for a server without memory: from `most` rows of one transaction on, or for one row."""


def fill(app: psycopg.Connection, shape: str) -> None:
    app.execute(shape.encode())
    app.execute("ALTER TABLE t ALTER body SET STORAGE EXTERNAL")
    if shape is PARTITIONED:
        app.execute("ALTER TABLE t_0 ALTER body SET STORAGE EXTERNAL")
        app.execute("ALTER TABLE t_1 ALTER body SET STORAGE EXTERNAL")
    app.execute(FILL[shape].encode(), [WIDE // 32, ROWS])
    app.execute("ANALYZE t")


def largest(rebuild: Rebuild, kind: JobKind) -> int:
    """Rows of the largest job of a kind: all rows are as wide."""
    generation = rebuild.table("t").generation
    done = job_reports.results(rebuild.connection, rebuild.spec("t"), kind, generation)
    assert done
    return max(job.rows for job in done)


@pytest.mark.attack("D5", "a few blocks of heap with hundreds of times as much out of line (TOAST)")
@pytest.mark.parametrize(
    ("shape", "axis"), [(PLAIN, "heap"), (PLAIN, "primary_key"), (PARTITIONED, "heap")], ids=["heap", "key", "parts"]
)
def test_chunks_are_cut_by_bytes(
    app: psycopg.Connection, begin: Begin, attack: Attack, shape: str, axis: AxisName
) -> None:
    # Given: 9 MB in a handful of blocks, and chunks of 1 MB
    fill(app, shape)
    rebuild = begin(table("t", "id", axis=axis), chunk_mb=1)
    rebuild.until(TableState.FIRST_DRAIN)
    # Then: copies of about 1 MB, and verification's of about 2 MB, on both sides
    assert largest(rebuild, JobKind.COPY) * WIDE < 2.5 * MB
    copies = one(app, "SELECT count(*) FROM replank.job WHERE kind = 'copy' AND state = 'done'")
    assert BYTES / MB <= int(str(copies)) < 4 * BYTES / MB
    rebuild.ready()
    assert largest(rebuild, JobKind.VERIFY) * WIDE < 5 * MB
    sides = "SELECT count(*) FROM replank.job WHERE kind = 'verify' AND state = 'done' AND detail ->> 'side' = %s"
    assert min(int(str(one(app, sides, side))) for side in ("live", "next")) >= 3
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
    attack.record("cut by bytes on both axes, with and without partitions; all rows there")


@pytest.mark.attack("D5", "one row in a hundred is wide, and lies out of line")
def test_few_wide_rows_are_spread_over_the_chunks(app: psycopg.Connection, begin: Begin, attack: Attack) -> None:
    # Given: 1,000 rows of which ten have 800 kB each: 8 MB out of line, and a heap that would be one chunk
    app.execute(PLAIN.encode())
    app.execute("ALTER TABLE t ALTER body SET STORAGE EXTERNAL")
    app.execute(
        "INSERT INTO t SELECT gen_random_uuid()::text, g,"
        " repeat(md5(g::text), CASE g % 100 WHEN 0 THEN 25000 ELSE 2 END) FROM generate_series(1, 1000) AS g"
    )
    app.execute("ANALYZE t")
    # When
    rebuild = begin(table("t", "id", axis="heap"), chunk_mb=1)
    rebuild.until(TableState.FIRST_DRAIN)
    # Then: no copy had much more than it should
    ranges = app.execute("SELECT lower, upper FROM replank.job WHERE kind = 'copy' AND state = 'done'").fetchall()
    held = "SELECT coalesce(sum(octet_length(body)), 0)::int FROM t WHERE ctid >= %s::tid AND ctid < %s::tid"
    sizes = [int(str(one(app, held, _tid(lower), _tid(upper)))) for lower, upper in ranges]
    assert sum(sizes) > 8 * MB * 0.9
    assert max(sizes) < 2.5 * MB
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
    attack.record("no chunk held more than a few of them; all rows there")


def _tid(bound: list[str]) -> str:
    return f"({bound[0]},{bound[1] if len(bound) > 1 else 0})"


@pytest.mark.attack("D5", "a verification in one piece runs out of memory each time")
def test_a_verification_in_one_piece_is_made_smaller(app: psycopg.Connection, begin: Begin, attack: Attack) -> None:
    # Given: a small table, whose verification is one job, and a server that has memory for 40 of its rows
    app.execute(PLAIN.encode())
    app.execute(FILL[PLAIN].encode(), [1, ROWS])
    app.execute(LIMITED.encode())
    rebuild = begin(table("t", "id", **SWITCHED))
    rebuild.until(TableState.VERIFYING)
    app.execute("INSERT INTO switch VALUES (40, NULL)")
    # When / Then: after two attempts it is done in chunks, and those are halved until they fit
    rebuild.ready()
    assert rebuild.failures() == []
    assert largest(rebuild, JobKind.VERIFY) <= ROWS
    assert int(str(one(app, "SELECT count(*) FROM replank.job WHERE kind = 'verify' AND state = 'split'"))) >= 1
    app.execute("TRUNCATE switch")
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
    attack.record("done in chunks after two attempts, each halved until it fitted")


def test_a_verification_in_one_piece_comes_down_to_the_row(app: psycopg.Connection, begin: Begin) -> None:
    app.execute(PLAIN.encode())
    app.execute(FILL[PLAIN].encode(), [1, ROWS])
    app.execute(LIMITED.encode())
    rebuild = begin(table("t", "id", **SWITCHED))
    rebuild.until(TableState.VERIFYING)
    key = str(one(app, "SELECT id FROM t WHERE n = 77"))
    app.execute("INSERT INTO switch VALUES (NULL, 77)")
    # When
    rebuild.settle()
    # Then: one job with one row is left, which is named
    (failure,) = rebuild.failures()
    assert failure.row == {"id": key}
    # When: it is tried again in smaller pieces, then the answer says that there are none
    run = rebuild.run
    said = retry(rebuild.connection, run, Selection(), by=Operator(name="o", via="page"), smaller=True)
    assert "the range has only a single row" in said
    app.execute("TRUNCATE switch")
    rebuild.finish()
    assert count(app, live("t")) == ROWS


def test_retry_smaller_says_what_has_no_halves(app: psycopg.Connection, begin: Begin) -> None:
    # Given: a verification in one piece, and an index job, that have failed
    app.execute(PLAIN.encode())
    app.execute(FILL[PLAIN].encode(), [1, ROWS])
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.VERIFYING)
    app.execute("UPDATE replank.job SET state = 'failed' WHERE kind = 'verify'")
    app.execute("UPDATE replank.job SET state = 'failed' WHERE kind = 'vacuum'")
    run = rebuild.run
    by = Operator(name="o", via="page")
    vacuums = rebuild.jobs("vacuum", "failed")
    # When / Then
    said = retry(rebuild.connection, run, Selection(job_ids=tuple(vacuums)), by=by, smaller=True)
    assert "PostgreSQL vacuums a table in one piece" in said
    said = retry(rebuild.connection, run, Selection(), by=by, smaller=True)
    assert "1 table is verified again in chunks" in said
    rebuild.ready()
    assert (
        int(str(one(app, "SELECT count(*) FROM replank.job WHERE kind = 'verify' AND detail ->> 'side' = 'next'"))) >= 1
    )
    assert count(app, built("t")) == ROWS
    rebuild.finish()
