"""`replank partitions`: what is made ahead, what is taken away, and what it leaves to a person."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from support.oracles.oracle import one
from support.runs.harness import Rebuild, Url, table
from typer.testing import CliRunner, Result

from producer.cli import partitions
from producer.partitions import attach, upkeep
from sql.partitions import partition_upkeep as upkeep_sql

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
Keep = Callable[..., Result]

PLAN = """
version = 1
[database]
name = "{database}"
[options]
lock_timeout_ms = 20
[[tables]]
name = "event"
[tables.partition]
by = "range"
column = "at"
every = "month"
timezone = "Europe/Berlin"
consent = ["uniqueness"]
{more}
"""

MONTH = "to_char((date_trunc('month', now() AT TIME ZONE 'Europe/Berlin') + interval '{} months'), '\"event_\"YYYY_MM')"


@pytest.fixture
def keep(database: Url, tmp_path: Path) -> Keep:
    """Runs the command with a plan whose `[tables.partition]` says `more`."""
    app = typer.Typer()
    partitions.register(app)

    @app.command("other")
    def other() -> None:
        """A second command, so that the first one keeps its name."""

    plan = tmp_path / "plan.toml"

    def run(more: str = "", *options: str) -> Result:
        plan.write_text(PLAN.format(database=database.rsplit("/", 1)[1].split("?")[0], more=more))
        return CliRunner().invoke(app, ["partitions", str(plan), "--json", "--database-url", database, *options])

    return run


def _answer(result: Result, *, code: int = 0) -> dict[str, Any]:
    assert result.exit_code == code, (result.output, result.exception)
    document = json.loads(result.stdout.strip().splitlines()[-1])
    found: dict[str, Any] = document["tables"][0]
    return found


def _name(app: psycopg.Connection, months: int) -> str:
    """The partition that begins so many months from now."""
    return str(one(app, f"SELECT {MONTH.format(months)}"))


def _start(app: psycopg.Connection, months: int) -> object:
    zone = "AT TIME ZONE 'Europe/Berlin'"
    return one(app, f"SELECT (date_trunc('month', now() {zone}) + interval '{months} months') {zone}")


def _event(app: psycopg.Connection, first: int, last: int, *, rest: bool) -> None:
    """A table that had partitions from `first` to before `last`, in months from now."""
    app.execute(
        "CREATE TABLE event (id int, at timestamptz NOT NULL, n int, twice int GENERATED ALWAYS AS (n * 2) STORED,"
        " PRIMARY KEY (id, at)) PARTITION BY RANGE (at)"
    )
    for month in range(first, last):
        lower, upper = _start(app, month), _start(app, month + 1)
        made = "CREATE TABLE {} PARTITION OF event FOR VALUES FROM ({}) TO ({}) WITH (fillfactor = 77)"
        name = psycopg.sql.Identifier(_name(app, month))
        app.execute(psycopg.sql.SQL(made).format(name, str(lower), str(upper)))
        app.execute("INSERT INTO event VALUES (%s, %s, 1)", [month, lower])
    if rest:
        app.execute(
            "CREATE TABLE event_default (n int, twice int GENERATED ALWAYS AS (n * 2) STORED,"
            " at timestamptz NOT NULL, id int NOT NULL)"
        )
        app.execute("ALTER TABLE event ATTACH PARTITION event_default DEFAULT")


def _partitions(app: psycopg.Connection) -> list[str]:
    found = app.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event'::regclass ORDER BY 1"
    )
    return [name for (name,) in found.fetchall()]


@pytest.mark.parametrize("rest", [False, True])
def test_missing_partitions_are_made_and_again_is_no_error(app: psycopg.Connection, keep: Keep, rest: bool) -> None:
    _event(app, -1, 1, rest=rest)
    before = _partitions(app)
    would = _answer(keep("ahead = 2", "--dry-run"))
    assert would["created"] == [f"public.{_name(app, 1)}", f"public.{_name(app, 2)}"]
    assert _partitions(app) == before
    assert _answer(keep("ahead = 2"))["created"] == would["created"]
    assert _partitions(app) == sorted([*before, _name(app, 1), _name(app, 2)])
    assert _answer(keep("ahead = 2"))["created"] == []
    app.execute("INSERT INTO event VALUES (99, %s, 5)", [_start(app, 2)])
    assert one(app, "SELECT tableoid::regclass::text FROM event WHERE id = 99") == _name(app, 2)
    options = "SELECT reloptions FROM pg_class WHERE oid = %s::regclass"
    assert one(app, options, _name(app, 2)) == ["fillfactor=77"]
    bound = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = %s::regclass"
    app.execute("SET timezone = 'Europe/Berlin'")
    assert str(one(app, bound, _name(app, 2))).count("-01 00:00:00+0") == 2
    assert one(app, "SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass AND indisprimary", _name(app, 2)) == 1


def test_rows_of_a_new_partition_come_out_of_the_default_one(app: psycopg.Connection, keep: Keep) -> None:
    _event(app, 0, 1, rest=True)
    for month in (1, 1, 2, 9):
        app.execute("INSERT INTO event VALUES ((SELECT count(*) FROM event), %s, 7)", [_start(app, month)])
    assert _answer(keep("ahead = 2", "--dry-run"))["rows_moved"] == 3
    assert _answer(keep("ahead = 2"))["rows_moved"] == 3
    assert one(app, "SELECT count(*) FROM event_default") == 1
    assert one(app, "SELECT count(*) FROM event WHERE at = %s AND twice = 14", _start(app, 1)) == 2
    assert one(app, "SELECT count(*) FROM event") == 5


@pytest.mark.parametrize("what", ["foreign key", "trigger"])
def test_rows_that_cannot_move_unseen_are_left_to_a_person(app: psycopg.Connection, keep: Keep, what: str) -> None:
    _event(app, 0, 1, rest=True)
    app.execute("INSERT INTO event VALUES (7, %s, 7)", [_start(app, 2)])
    if what == "foreign key":
        app.execute(
            "CREATE TABLE note (id int, at timestamptz, FOREIGN KEY (id, at) REFERENCES event ON DELETE CASCADE)"
        )
        app.execute("INSERT INTO note SELECT id, at FROM event WHERE id = 7")
    else:
        app.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$")
        app.execute("CREATE TRIGGER gone AFTER DELETE ON event FOR EACH ROW EXECUTE FUNCTION f()")
    told = _answer(keep("ahead = 3"), code=1)
    assert told["created"] == [f"public.{_name(app, 1)}", f"public.{_name(app, 3)}"]
    assert len(told["problems"]) == 1
    assert f"would be a DELETE for {what}" in told["problems"][0]
    assert one(app, "SELECT count(*) FROM event_default") == 1


def test_the_way_back_of_a_run_stands_in_the_way_until_it_is_finished(app: psycopg.Connection, keep: Keep) -> None:
    _event(app, 0, 1, rest=True)
    app.execute("INSERT INTO event VALUES (7, %s, 7)", [_start(app, 2)])
    app.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$")
    named = "CREATE TRIGGER replank_capture_back_row AFTER DELETE ON event FOR EACH ROW EXECUTE FUNCTION f()"
    app.execute(named)
    told = _answer(keep("ahead = 3"), code=1)
    assert "`replank finish`, then the same command again" in told["problems"][0]


def test_many_rows_are_left_to_a_person(app: psycopg.Connection, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_sql, "MOVED_AT_ONCE", 3)
    monkeypatch.setattr(upkeep, "MOVED_AT_ONCE", 3)
    monkeypatch.setattr(attach, "MOVED_AT_ONCE", 3)
    _event(app, 0, 1, rest=True)
    app.execute("INSERT INTO event SELECT g + 50, %s, 1 FROM generate_series(1, 4) AS g", [_start(app, 1)])
    told = _answer(keep("ahead = 1"), code=1)
    assert "holds more than 3 rows of its range" in told["problems"][0]
    assert told["created"] == []


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize("how", ["detach", "drop"])
def test_what_is_past_keeping_goes(app: psycopg.Connection, keep: Keep, how: str, rest: bool) -> None:
    _event(app, -4, 1, rest=rest)
    app.execute("INSERT INTO event VALUES (1, %s, 1)", [_start(app, -20)]) if rest else None
    more = f'ahead = 0\nretention = "2 months"\nexpired = "{how}"'
    old = [f"public.{_name(app, month)}" for month in (-4, -3)]
    assert _answer(keep(more, "--dry-run"))["detached" if how == "detach" else "dropped"] == old
    assert len(_partitions(app)) == 5 + rest
    told = _answer(keep(more))
    assert told["detached"] + told["dropped"] == old
    assert _partitions(app) == sorted(_name(app, month) for month in (-2, -1, 0)) + ["event_default"] * rest or rest
    there = one(app, "SELECT count(*) FROM pg_class WHERE relname = %s", _name(app, -4))
    assert there == (1 if how == "detach" else 0)
    assert one(app, "SELECT count(*) FROM event") == 3 + rest
    assert _answer(keep(more)) == {
        "table": "public.event",
        "created": [],
        "detached": [],
        "dropped": [],
        "rows_moved": 0,
        "problems": [],
    }


def test_rows_that_others_refer_to_keep_their_partition(app: psycopg.Connection, keep: Keep) -> None:
    _event(app, -4, 1, rest=False)
    app.execute("CREATE TABLE note (id int, at timestamptz, FOREIGN KEY (id, at) REFERENCES event)")
    app.execute("INSERT INTO note SELECT id, at FROM event WHERE id = -4")
    told = _answer(keep('ahead = 0\nretention = "2 months"\nexpired = "drop"'), code=1)
    assert told["dropped"] == [f"public.{_name(app, -3)}"]
    assert "violates foreign key constraint" in told["problems"][0]


def test_a_detach_that_was_broken_off_is_ended(app: psycopg.Connection, database: Url, keep: Keep) -> None:
    _event(app, -4, 1, rest=False)
    name = _name(app, -4)
    with psycopg.connect(database) as reader, psycopg.connect(database, autocommit=True) as broken:
        reader.execute("SELECT count(*) FROM event")
        broken.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            broken.execute(f"ALTER TABLE event DETACH PARTITION {name} CONCURRENTLY")
        reader.rollback()
    assert one(app, "SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == 1
    told = _answer(keep('ahead = 0\nretention = "3 months"\nexpired = "detach"'))
    assert told["detached"] == [f"public.{name}"]
    assert one(app, "SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == 0


def test_a_table_that_others_hold_is_a_problem_in_words(
    app: psycopg.Connection, other: psycopg.Connection, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "ATTEMPTS", 3)
    _event(app, 0, 1, rest=True)
    other.execute("LOCK TABLE event_default IN ROW EXCLUSIVE MODE")
    told = _answer(keep("ahead = 1"), code=1)
    assert "3 attempts: other sessions hold it" in told["problems"][0]
    other.rollback()
    assert _answer(keep("ahead = 1"))["created"] == [f"public.{_name(app, 1)}"]


def test_names_ranges_and_tables_that_do_not_fit(app: psycopg.Connection, keep: Keep) -> None:
    passed_over = keep("ahead = 1")
    assert passed_over.exit_code == 0
    assert json.loads(passed_over.stdout.strip().splitlines()[-1])["tables"] == []
    _event(app, 0, 1, rest=False)
    app.execute(f"CREATE TABLE {_name(app, 1)} (x int)")
    lower, upper = _start(app, 2), one(app, "SELECT %s::timestamptz + interval '3 days'", _start(app, 2))
    made = psycopg.sql.SQL("CREATE TABLE short PARTITION OF event FOR VALUES FROM ({}) TO ({})")
    app.execute(made.format(str(lower), str(upper)))
    app.execute(
        psycopg.sql.SQL("CREATE TABLE long PARTITION OF event FOR VALUES FROM ({}) TO (MAXVALUE)").format(
            str(_start(app, 3))
        )
    )
    told = _answer(keep("ahead = 5"), code=1)
    assert told["created"] == []
    assert "has this name" in told["problems"][0]
    assert "public.short holds a part of its range" in told["problems"][1]
    assert len(told["problems"]) == 2


def test_what_a_run_has_made_is_kept_up(app: psycopg.Connection, begin: Begin, keep: Keep) -> None:
    app.execute("CREATE TABLE event (id text PRIMARY KEY, at timestamptz NOT NULL) WITH (fillfactor = 66)")
    app.execute("INSERT INTO event SELECT g::text, now() - g * interval '1 day' FROM generate_series(1, 200) AS g")
    said = {"by": "range", "column": "at", "every": "month", "timezone": "Europe/Berlin", "consent": ["uniqueness"]}
    rebuild = begin(table("event", partition={**said, "ahead": 1}))
    assert keep("ahead = 3").exit_code == 0, "it is not partitioned yet"
    rebuild.finish()
    told = _answer(keep('ahead = 3\nretention = "3 months"\nexpired = "detach"'))
    assert told["created"] == [f"public.{_name(app, 2)}", f"public.{_name(app, 3)}"]
    assert told["detached"] != []
    assert one(app, "SELECT reloptions FROM pg_class WHERE oid = %s::regclass", _name(app, 3)) == ["fillfactor=66"]
    app.execute("DROP SCHEMA replank_past CASCADE")
    begin(table("event", partition={"by": "none"}))
    assert "is part of an open run" in str(keep("ahead = 4").exception)


def test_uuids_of_version_7(app: psycopg.Connection, keep: Keep) -> None:
    app.execute("CREATE TABLE event (at uuid PRIMARY KEY) PARTITION BY RANGE (at)")
    app.execute("CREATE TABLE event_default PARTITION OF event DEFAULT")
    now_first = (
        "overlay(gen_random_uuid()::text placing substr(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint),"
    )
    now_first += (
        " 12, '0'), 1, 8) || '-' || right(to_hex((extract(epoch FROM now()) * 1000)::bigint), 4) from 1 for 13)::uuid"
    )
    app.execute(f"INSERT INTO event SELECT {now_first} FROM generate_series(1, 20)".encode())  # noqa: S608
    told = _answer(keep("uuidv7 = true\nahead = 1"))
    assert (len(told["created"]), told["rows_moved"]) == (2, 20)
    app.execute(f"INSERT INTO event VALUES ({now_first})".encode())  # noqa: S608
    assert one(app, "SELECT count(*) FROM event WHERE tableoid = %s::regclass", _name(app, 0)) == 21
