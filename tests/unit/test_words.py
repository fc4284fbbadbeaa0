"""Small values: chunks, URLs without passwords, sets, sums, delays, chunk sizes."""

from __future__ import annotations

import psycopg
import pytest

from monitoring.status.durations import STAGES
from monitoring.status.suggestions import suggestion
from producer.planning.conversion_sets import conversion_sets
from producer.stages.chunker import LARGEST_CHUNK_BLOCKS, SMALLEST_CHUNK_BLOCKS, chunk_blocks
from replank.errors import NeedsOperator, TableRewritten, TryAgain, WrongUse
from replank.settings import load_settings, without_password
from replank.values.chunk import Axis, Chunk
from replank.values.table_spec import ColumnSpec, TableSpec, building_schema
from replank.wording import seconds
from sql.catalogue.catalogue import ForeignKey
from sql.drain.verification_sums import add_up
from sql.rows.copy import chunks_between
from workers.execution.verdict import judge

pytestmark = pytest.mark.unit


def test_a_chunk_reads_as_a_half_open_range() -> None:
    assert str(Chunk(axis=Axis.HEAP, lower=("0",), upper=("128",))) == "heap [0, 128)"
    assert str(Chunk(axis=Axis.PRIMARY_KEY, lower=None, upper=("a", "7"))) == "primary_key [-inf, a, 7)"


def test_chunks_cover_the_whole_axis_without_gap_or_overlap() -> None:
    chunks = chunks_between(Axis.PRIMARY_KEY, None, [("b",), ("d",)], last=True)
    assert [(c.lower, c.upper) for c in chunks] == [(None, ("b",)), (("b",), ("d",)), (("d",), None)]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anna:s3cret@db:5432/shop?sslpassword=s3cret",
        "redis://:s3cret@127.0.0.1:6379/0",
        "postgresql://db/shop?password=s3cret",
        "host=db password=s3cret",
    ],
)
def test_no_password_is_shown(url: str) -> None:
    assert "s3cret" not in without_password(url)


def test_settings_never_show_their_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLANK_DATABASE_URL", "postgresql://a:s3cret@db/shop")
    settings = load_settings(broker_url="redis://:s3cret@host/0")
    assert "s3cret" not in repr(settings)
    assert settings.database() == "postgresql://a:s3cret@db/shop"


def test_a_missing_url_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLANK_DATABASE_URL", raising=False)
    monkeypatch.delenv("REPLANK_BROKER_URL", raising=False)
    with pytest.raises(WrongUse, match="REPLANK_DATABASE_URL"):
        load_settings().database()
    with pytest.raises(WrongUse, match="REPLANK_BROKER_URL"):
        load_settings().broker()


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLANK_LEASE_S", "-1")
    with pytest.raises(WrongUse, match="REPLANK_LEASE_S"):
        load_settings()


def test_chunk_sizes_stay_within_their_bounds() -> None:
    assert chunk_blocks(0, None) == SMALLEST_CHUNK_BLOCKS
    assert chunk_blocks(16 * 1000, None) == 1000
    assert chunk_blocks(10**9, None) == LARGEST_CHUNK_BLOCKS
    assert chunk_blocks(10**9, 1) == 128


def _key(source: int, target: int) -> ForeignKey:
    return ForeignKey(
        oid=source * 1000 + target,
        name="fk",
        table_oid=source,
        ref_oid=target,
        schema="public",
        table_name=f"t{source}",
        ref_schema="public",
        ref_table=f"t{target}",
        columns=("a",),
        ref_columns=("id",),
        definition="",
        validated=True,
        partitioned=False,
        comment=None,
        equality=(("", "OPERATOR(pg_catalog.=)", ""),),
        period=False,
    )


def test_conversion_sets_are_the_components_under_foreign_keys() -> None:
    keys = [_key(2, 1), _key(3, 2), _key(4, 4), _key(6, 5), _key(7, 1)]
    assert conversion_sets([1, 2, 3, 4, 5, 6], keys) == {1: 1, 2: 1, 3: 1, 4: 2, 5: 3, 6: 3}


def _sums(live: tuple[int, int] | None, next_: tuple[int, int] | None, *, truncated: bool = False) -> dict[str, object]:
    sides = {"live": live, "next": next_}
    return {
        side: {"rows": pair[0], "total": str(pair[1]), "truncated": truncated}
        for side, pair in sides.items()
        if pair is not None
    }


def test_sums_are_added_side_by_side() -> None:
    sides = add_up([_sums((2, 10), None), _sums((1, -4), None), _sums(None, (3, 6))])
    assert (sides.rows_live, sides.rows_next, sides.equal, sides.stale) == (3, 3, True, False)


@pytest.mark.parametrize(
    ("results", "equal", "stale"),
    [
        ([_sums((2, 10), None), _sums(None, (2, 11))], False, False),
        ([_sums((2, 10), None), _sums(None, (3, 10))], False, False),
        ([_sums((2, 10), (2, 10), truncated=True)], True, True),
        ([{"snapshot_lost": "gone"}, _sums(None, (0, 0))], True, True),
        ([], True, True),
    ],
)
def test_unequal_or_stale_sums_are_never_success(results: list[dict[str, object]], equal: bool, stale: bool) -> None:
    sides = add_up(results)
    assert (sides.equal, sides.stale) == (equal, stale)


def test_large_sums_keep_every_digit() -> None:
    big = 9_223_372_036_854_775_807 * 3
    assert not add_up([_sums((1, big), None), _sums(None, (1, big + 1))]).equal


def test_errors_are_judged_by_sqlstate() -> None:
    again = judge(psycopg.errors.DeadlockDetected("x"))
    assert again is not None
    assert (again.again, again.failure.error_class, again.failure.sqlstate) == (True, "deadlock", "40P01")
    lasting = judge(psycopg.errors.InvalidTextRepresentation("x"))
    assert lasting is not None
    assert (lasting.again, lasting.failure.error_class) == (False, "value does not convert")
    assert "replank retry" in suggestion(lasting.failure.error_class)
    lost = judge(psycopg.OperationalError("the connection is closed"))
    assert lost is not None
    assert lost.again


@pytest.mark.parametrize(
    ("error", "again", "smaller", "stopped"),
    [
        (psycopg.errors.SerializationFailure, True, False, False),
        (psycopg.errors.LockNotAvailable, True, False, False),
        (psycopg.errors.QueryCanceled, True, True, False),
        (psycopg.errors.OutOfMemory, True, True, False),
        (psycopg.errors.AdminShutdown, True, False, True),
        (psycopg.errors.TooManyConnections, True, False, False),
        (psycopg.errors.InvalidTextRepresentation, False, True, False),
        (psycopg.errors.CheckViolation, False, True, False),
        (psycopg.errors.RaiseException, False, True, False),
        (psycopg.errors.ProgramLimitExceeded, False, True, False),
        (psycopg.errors.DataCorrupted, False, True, False),
        (psycopg.errors.UndefinedTable, False, False, False),
        (psycopg.errors.InsufficientPrivilege, False, False, False),
        (psycopg.errors.DiskFull, False, False, False),
    ],
)
def test_the_rungs_of_the_ladder(error: type[psycopg.Error], again: bool, smaller: bool, stopped: bool) -> None:
    verdict = judge(error("x"))
    assert verdict is not None
    assert (verdict.again, verdict.smaller, verdict.stopped) == (again, smaller, stopped)
    assert verdict.failure.sqlstate == error.sqlstate
    assert verdict.failure.error_class != "database error"


def test_a_suggestion_names_the_job_and_the_row() -> None:
    said = suggestion("value does not convert", job=7, row={"id": "x'y"})
    assert "`replank retry 7`" in said
    assert """id = "x'y\"""" in said


def test_our_own_errors_say_which_family_they_are() -> None:
    assert [
        (v.again, v.rewritten) for v in map(judge, (TryAgain("x"), NeedsOperator("x"), TableRewritten("x"))) if v
    ] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    # What has no family of its own needs a person; a bug is not judged, it is seen
    assert judge(WrongUse("x")).failure.error_class == "needs the operator"


def test_a_spec_survives_the_ledger() -> None:
    column = ColumnSpec(name="id", live_type="text", next_type="uuid", generated=False, hash_as_text=False)
    spec = TableSpec(
        run_id=1,
        table_no=2,
        oid=3,
        schema="billing",
        name='odd "name"',
        columns=(column,),
        key=("id",),
        capture="statement",
        partitioned_by="",
        partitions=(),
        shape="x",
    )
    assert TableSpec.from_json(spec.to_json()) == spec
    assert spec.next_schema == "replank_next_billing"
    assert building_schema("replank_past", "public") == "replank_past"


def test_durations_are_said_as_people_say_them() -> None:
    assert [seconds(s) for s in (0.4, 59, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 5 min"]


def test_every_stage_ends_where_another_begins() -> None:
    pairs = list(STAGES.values())
    assert [end for _, end in pairs[:-1]] == [begin for begin, _ in pairs[1:]]
