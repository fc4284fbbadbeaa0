"""One of everything, converted, filled, partitioned and rebuilt in one run, while others write."""

from __future__ import annotations

import re
from contextlib import suppress

import psycopg
import pytest
from support.oracles.journal_oracle import diff_catalogue, foreign_keys_hold, snapshot_catalogue
from support.oracles.oracle import differences, one, past, traces
from support.runs.harness import Rebuild, Url, eventually

from monitoring.catalogue_diff.changes import catalogue_changes
from protocol.dependents.torture import (
    CONVERTED,
    FILLED,
    MAY_HAPPEN,
    QUERY,
    SCHEMAS,
    THROUGH,
    WRITES,
    Writers,
    begin,
    build,
    until_ready,
)
from protocol.dependents.torture_expected import EXPLAINED, PARTS, SAID, VIEW_COLUMNS
from replank.values.states import RunState

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue, pytest.mark.core]


@pytest.mark.usefixtures("roles")
def test_gotcha_32_one_of_everything_is_as_before_but_for_what_the_plan_says(
    app: psycopg.Connection, database: Url
) -> None:
    build(app)
    before = snapshot_catalogue(database, SCHEMAS)
    with Writers(database, WRITES, sessions=2, seed=1).writing() as writers:
        rebuild = begin(database)
        until_ready(rebuild)
    assert writers.errors == []
    assert writers.done > 300
    for statement in WRITES:
        with suppress(*MAY_HAPPEN):
            app.execute(statement.encode())
    values = _sequence_values(app)
    with Writers(database, (THROUGH,), sessions=2, seed=9).writing() as through:
        assert rebuild.settle().state is RunState.DONE, rebuild.why()
    assert through.errors == []
    assert foreign_keys_hold(database) == []
    _rows_are_the_same(app, through)
    _new_columns_are_filled(app)
    _sequences_go_on(app, values)
    _nothing_is_unexplained(app, rebuild)
    _catalogue_is_as_before(app, before, snapshot_catalogue(database, SCHEMAS))
    assert traces(app) == ["replank"]
    with Writers(database, WRITES, sessions=2, seed=5).writing() as later:
        eventually(lambda: later.done > 50, "writes to the new tables")
    assert later.errors == []
    assert foreign_keys_hold(database) == []
    rebuild.close()


def _rows_are_the_same(app: psycopg.Connection, through: Writers) -> None:
    """Every row that was there before the swap; those written through it are counted by their writers."""
    for (schema, name), columns in CONVERTED.items():
        if (schema, name) == ("public", "summary"):
            continue
        where = "\"fullName\" <> 'through the swap'" if name == "account" else "true"
        without = FILLED.get((schema, name), set())
        found = differences(app, past(name, schema), (schema, name), columns, without=without, where=where)
        assert found == [], (schema, name)
    kept = app.execute("SELECT id::text FROM shop.account WHERE \"fullName\" = 'through the swap'").fetchall()
    assert sorted(row[0] for row in kept) == sorted(through.returned)
    assert len(kept) > 5
    wrong = f"SELECT count(*) FROM (SELECT account_id, many FROM summary EXCEPT ALL ({QUERY})) AS x"  # noqa: S608
    assert one(app, wrong) == 0
    assert one(app, "SELECT count(*) FROM summary") == one(app, f"SELECT count(*) FROM ({QUERY}) AS q")  # noqa: S608


def _new_columns_are_filled(app: psycopg.Connection) -> None:
    orders = """
      SELECT count(*) FROM shop.orders n JOIN replank_past_shop.orders p ON p.id = n.id::text
        LEFT JOIN (SELECT DISTINCT ON (row_id) * FROM tools.entry ORDER BY row_id, at) e ON e.row_id = p.id
       WHERE (n.updated_at, n.created_by) IS DISTINCT FROM (coalesce(p.updated_at, e.at, p.at), e.actor)"""
    assert one(app, orders) == 0
    account = """
      SELECT count(*) FROM shop.account n JOIN replank_past_shop.account p ON p.id::uuid = n.id
       WHERE (n.updated_at, n.created_by) IS DISTINCT FROM (coalesce(p.updated_at, p.created_at), 'system')"""
    assert one(app, account) == 0
    assert one(app, "SELECT count(*) FROM shop.orders WHERE created_by IS NOT NULL") != 0
    assert one(app, "SELECT count(DISTINCT public_id) = count(*) FROM shop.account")
    settings = "SELECT count(*) FROM setting WHERE key LIKE 'key%' AND (made_at <> '1999-09-09Z' OR changed_at <> "
    assert (
        one(
            app, settings + "CASE WHEN substr(key, 5)::int <= 3 THEN '2000-01-01Z' ELSE '2025-05-05Z' END::timestamptz)"
        )
        == 0
    )


def _sequence_values(app: psycopg.Connection) -> dict[str, int | None]:
    found = app.execute(
        "SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences WHERE schemaname NOT LIKE 'replank%'"
    )
    return dict(found.fetchall())


def _sequences_go_on(app: psycopg.Connection, before: dict[str, int | None]) -> None:
    """Exactly where they were, but for the table that was written to through the swap: there beyond every row."""
    after = _sequence_values(app)
    assert set(after) == set(before)
    moved = {name for name, last in after.items() if last != before[name]}
    assert moved <= {"shop.account_serial_no_seq", "shop.account_always_no_seq", "shop.odd Sequence"}
    app.execute("INSERT INTO shop.account (tenant, \"fullName\", token) VALUES (1, 'the next', 'next')")
    beyond = """
      SELECT n.serial_no > max(p.serial_no) AND n.always_no > max(p.always_no) AND n.own_no < min(p.own_no)
        FROM shop.account n, replank_past_shop.account p WHERE n."fullName" = 'the next' GROUP BY n.id"""
    assert one(app, beyond)
    app.execute("DELETE FROM shop.account WHERE \"fullName\" = 'the next'")


def _nothing_is_unexplained(app: psycopg.Connection, rebuild: Rebuild) -> None:
    """The product's own difference: every line has its reason, and they are those that the plan gives."""
    changes = [
        change for change in catalogue_changes(rebuild.connection, rebuild.run) if not PARTS.search(change.relation)
    ]
    told: dict[str, set[str]] = {}
    for change in changes:
        told.setdefault(change.reason, set()).add(str(change.to_json()["object"]))
    expected = {why: set(_of_version(app, names)) for why, names in EXPLAINED.items()}
    assert told == expected, told


def _of_version(app: psycopg.Connection, names: tuple[str, ...]) -> list[str]:
    """Before 18 NOT NULL is no constraint with a name."""
    return [name for name in names if app.info.server_version >= 180_000 or "_not_null" not in name]


def _catalogue_is_as_before(app: psycopg.Connection, before: dict[str, str], after: dict[str, str]) -> None:
    """The judge's own difference: what conversion explains is computed, all the rest is written down."""
    columns = {f"{_quoted(s)}.{_quoted(t)}.{_quoted(c)}" for (s, t), cs in CONVERTED.items() for c in cs} | VIEW_COLUMNS
    left: dict[str, tuple[str | None, str | None]] = {}
    for subject, was, became in diff_catalogue(before, after):
        if PARTS.search(subject) or subject.startswith("sequence value"):
            continue
        if subject == "publication rooted of shop.orders" and was is not None:
            was = was.replace("updated_at}", "updated_at,created_by}")  # it names no columns: so it has the new one too
        if was == became:
            continue
        if PARTS.search(became or "") and was is None:
            continue  # a foreign key's own rows for each partition that it leads to
        if subject.removeprefix("column ") in columns and was is not None and _as_uuid(was) == became:
            continue
        if subject.startswith("index ") and was is not None and was.replace(" ON shop", " ON ONLY shop") == became:
            continue
        left[subject] = (was, became)
    expected = {name: said for name, said in SAID.items() if _of_version(app, (name,))}
    assert left == expected, {k: v for k, v in left.items() if expected.get(k) != v}


def _quoted(name: str) -> str:
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else f'"{name}"'


def _as_uuid(definition: str) -> str:
    """What the same column says as a uuid."""
    bare = re.sub(r"^(text|character varying|character)(\(\d+\))?", "uuid", definition)
    bare = bare.replace('; collation "default"', "").replace("storage x", "storage p")
    return bare.replace("(gen_random_uuid())::text", "gen_random_uuid()")
