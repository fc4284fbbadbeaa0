"""What the check says of statements that the server has seen: sent by real clients, read from pg_stat_statements."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from inspect_check.conftest import ID, Database, codes, only
from producer.check.findings import Finding, Report
from producer.check.statements.audit import find
from producer.check.statements.seen import Seen
from producer.check.statements.usage.known import Changing, Known, Table

pytestmark = [pytest.mark.catalogue, pytest.mark.contrib]

COLUMNS = {"owner": ["id"], "item": ["id", "owner_id"]}
OTHER = "11111111-0123-4567-89ab-0123456789ab"


class Base(DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "owner"
    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50))


class Item(Base):
    __tablename__ = "item"
    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    owner_id: Mapped[str] = mapped_column(sa.ForeignKey("owner.id"))
    note: Mapped[str | None] = mapped_column(sa.String(50))


@pytest.fixture
def engine(database: Database) -> Iterator[sa.Engine]:
    """SQLAlchemy with psycopg 3, on tables that it made; nothing of them is in pg_stat_statements yet."""
    made = sa.create_engine(database.url.replace("postgresql://", "postgresql+psycopg://"))
    Base.metadata.create_all(made)
    database.run("CREATE EXTENSION pg_stat_statements", "SELECT pg_stat_statements_reset()")
    yield made
    made.dispose()


def _told(report: Report) -> dict[str, Finding]:
    """The warnings of statements, by statement."""
    told = ("query_sends_text", "query_will_break", "query_conflict_target")
    return {f.details["query"]: f for f in report.warnings if f.code in told}


def test_statements_of_sqlalchemy_that_fail_from_the_cutover_on_are_told(engine: sa.Engine, database: Database) -> None:
    # Given an ORM client with String ids, that reads, joins, writes, upserts and deletes
    with Session(engine) as session:
        session.add(Owner(id=ID, name="one"))
        session.flush()
        session.add(Item(id=OTHER, owner_id=ID, note="x"))
        session.commit()
        for _ in range(3):
            session.expire_all()
            assert session.get(Item, OTHER) is not None
        session.scalars(sa.select(Item).where(Item.id.in_([ID, OTHER]))).all()
        session.scalars(sa.select(Item).join(Owner, Owner.id == Item.owner_id).where(Owner.id == ID)).all()
        session.execute(sa.update(Item).where(Item.note == "x").values(owner_id=ID))
        session.execute(insert(Item).values(id=OTHER, owner_id=ID).on_conflict_do_nothing(index_elements=["id"]))
        session.scalars(sa.select(Item).where(Item.id.startswith("11"))).all()
        session.delete(session.get_one(Item, OTHER))
        session.commit()
        # And statements of it that go on working
        session.scalars(sa.select(Item).where(Item.note == "x")).all()
        session.scalars(sa.select(Owner).where(Owner.name.in_(["a", "b"]))).all()
        session.scalars(sa.select(Item).where(sa.cast(Item.id, sa.Text) == ID)).all()
        session.scalars(sa.select(Item).join(Owner, Owner.id == Item.owner_id).where(Owner.name == "a")).all()
        session.execute(sa.update(Item).values(note="y"))
    # Then each of the first is named with its columns, and none of the second. Of a list the server keeps
    # `IN ($1 /*, ... */)` from version 18 on, without the types, so nothing can be told of that one.
    found = _told(database.check(COLUMNS))
    named = {q: f for q, f in found.items() if " IN (" not in q}
    told = [(f.code, q.split()[0], {use["column"] for use in f.details["uses"]}) for q, f in named.items()]
    assert sorted(told) == [
        ("query_sends_text", "DELETE", {"id"}),
        ("query_sends_text", "INSERT", {"id"}),
        ("query_sends_text", "INSERT", {"id", "owner_id"}),
        ("query_sends_text", "INSERT", {"id", "owner_id"}),
        ("query_sends_text", "SELECT", {"id"}),
        ("query_sends_text", "SELECT", {"id"}),
        ("query_sends_text", "UPDATE", {"owner_id"}),
        ("query_will_break", "SELECT", {"id"}),
    ]
    by_id = next(f for query, f in found.items() if query.endswith("WHERE item.id = $1::VARCHAR"))
    assert by_id.details["calls"] >= 3
    assert f"called {by_id.details['calls']} times in 1 minute" in by_id.message
    assert "$1::varchar" in by_id.message
    assert "docs/clients.md" in by_id.hint


def test_statements_without_a_typed_text_raise_no_alarm(database: Database) -> None:
    # Given psycopg, which sends texts without a type
    database.run(
        "CREATE TABLE owner (id varchar(36) PRIMARY KEY, name text)",
        "CREATE TABLE item (id varchar(36) PRIMARY KEY, owner_id varchar(36) REFERENCES owner, note text)",
        "CREATE EXTENSION pg_stat_statements",
        "SELECT pg_stat_statements_reset()",
    )
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("INSERT INTO owner VALUES (%s, %s)", [ID, "one"])
        connection.execute("INSERT INTO item VALUES (%s, %s, 'x') ON CONFLICT (id) DO UPDATE SET note = 'y'", [ID, ID])
        connection.execute("SELECT * FROM item WHERE id = ANY (%s)", [[ID, OTHER]])
        connection.execute("SELECT id::text || 'x', concat(id, 'y'), note::text FROM item WHERE note = %s::text", ["x"])
        connection.execute("SELECT * FROM item JOIN owner o ON o.id = owner_id WHERE o.id::text = %s::text", [ID])
    assert _told(database.check(COLUMNS)) == {}


def test_djangos_bulk_statements_are_told(database: Database) -> None:
    # Given what Django sends for `bulk_create` and for `add` of several objects since 5.2, and for `bulk_update`
    database.run(
        "CREATE TABLE owner (id varchar(36) PRIMARY KEY, name text)",
        "CREATE TABLE item (id varchar(36) PRIMARY KEY, owner_id varchar(36) REFERENCES owner, note text)",
        "CREATE EXTENSION pg_stat_statements",
        "SELECT pg_stat_statements_reset()",
    )
    with psycopg.connect(database.url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        bulk = 'INSERT INTO "item" ("id", "owner_id") SELECT * FROM UNNEST((%s)::varchar[], (%s)::varchar[])'
        connection.execute(bulk, [[ID, OTHER], [None, None]])
        connection.execute(
            'UPDATE "item" SET "owner_id" = (CASE WHEN ("item"."id" = %s) THEN %s ELSE NULL END)::varchar(36)'
            ' WHERE "item"."id" IN (%s)',
            [ID, None, ID],
        )
    found = _told(database.check(COLUMNS))
    told = [(f.code, q.split()[0], {use["column"] for use in f.details["uses"]}) for q, f in found.items()]
    assert sorted(told) == [
        ("query_sends_text", "INSERT", {"id", "owner_id"}),
        ("query_sends_text", "UPDATE", {"owner_id"}),
    ]


def test_what_inspect_itself_has_asked_raises_no_alarm(database: Database) -> None:
    database.run(
        "CREATE TABLE owner (id varchar(36) PRIMARY KEY, name text, others char(36), more varchar(36)[])",
        "INSERT INTO owner SELECT id, 'one', id, ARRAY[id] FROM gen_random_uuid() AS id",
        "CREATE EXTENSION pg_stat_statements",
        "SELECT pg_stat_statements_reset()",
    )
    assert database.inspect().tables
    assert _told(database.check({"owner": ["id", "others"]})) == {}


def test_on_conflict_targets_that_the_partition_key_takes_away_are_told(database: Database) -> None:
    database.run(
        "CREATE TABLE event (id varchar(36) PRIMARY KEY, n int, created_at date NOT NULL DEFAULT '2026-01-01',"
        " UNIQUE (id, created_at))",
        "CREATE EXTENSION pg_stat_statements",
        "SELECT pg_stat_statements_reset()",
        "INSERT INTO event VALUES ('$ID', 1) ON CONFLICT (id) DO UPDATE SET n = 2",
        "INSERT INTO event VALUES ('$ID', 1) ON CONFLICT (id, created_at) DO NOTHING",
        "INSERT INTO event VALUES ('$ID', 1) ON CONFLICT DO NOTHING",
    )
    partition = (
        '[tables.partition]\nby = "range"\ncolumn = "created_at"\nbounds = ["2026-01-01", "2027-01-01"]\n'
        'consent = ["uniqueness"]\n'
    )
    report = database.check_text(database.plan_text({"event": ["id"]}) + partition)
    (found,) = _told(report).values()
    assert found.code == "query_conflict_target"
    assert "ON CONFLICT (id)" in found.message
    assert found.column == "created_at"


def test_the_check_says_when_other_roles_statements_are_hidden_from_it(
    database: Database, role: Callable[[], tuple[str, str]]
) -> None:
    # Given an application under another role than the check's
    name, url = role()
    database.run(
        "CREATE EXTENSION pg_stat_statements",
        "SELECT pg_stat_statements_reset()",
        "CREATE TABLE item (id varchar(36) PRIMARY KEY)",
        "SELECT * FROM item WHERE id = '$ID'::text",
    )
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE item OWNER TO {name}".encode())
    # Then it says how many statements it may not read, and reads them when it may
    report = database.check({"item": ["id"]}, url=url)
    assert _told(report) == {}
    hidden = only(report.warnings, "statements_hidden")
    assert hidden.details["hidden"] > 0
    assert "pg_read_all_stats" in hidden.hint
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"GRANT pg_read_all_stats TO {name}".encode())
    report = database.check({"item": ["id"]}, url=url)
    assert "statements_hidden" not in codes(report.warnings)
    assert [f.code for f in _told(report).values()] == ["query_sends_text"]


def _seen(text: str) -> Seen:
    return Seen(query=text, calls=7, seconds=7 * 86_400.0)


def _known(tables: int, columns: int) -> Known:
    made = {}
    for t in range(tables):
        name = f"public.t{t}"
        changing = {
            f"c{c}": Changing(table=name, column=f"c{c}", becomes="uuid", array=False, enum=False)
            for c in range(columns)
        }
        made[f"t{t}"] = [Table(schema="public", full_name=name, columns=changing)]
    return Known(tables=made)


@pytest.mark.unit
def test_calls_a_day_are_the_calls_by_the_time_that_they_were_counted() -> None:
    known = _known(1, 1)
    (found,) = find([_seen("SELECT 1 FROM t0 WHERE c0 = $1::text")], known)
    assert found.details["calls_per_day"] == 1
    assert "called 7 times, about 1 time a day" in found.message
    (found,) = find([Seen(query="SELECT 1 FROM t0 WHERE c0 = $1::text", calls=50, seconds=600.0)], known)
    assert found.details["calls_per_day"] is None
    assert "called 50 times in 10 minutes" in found.message


@pytest.mark.unit
def test_what_is_not_shown_and_what_cannot_be_parsed_is_counted() -> None:
    statements = [_seen(f"SELECT {n} FROM t0 WHERE c0 = $1::text") for n in range(60)]  # noqa: S608
    found = list(
        find([*statements, _seen("SELECT FROM t0 WHERE WHERE"), _seen("SELECT nonsense nonsense b")], _known(1, 1))
    )
    assert [f.code for f in found][49:] == ["query_sends_text", "queries_not_shown", "statements_unread"]
    assert found[50].details["warnings"] == 10
    assert found[51].details["statements"] == 1


@pytest.mark.unit
def test_a_statement_is_read_once_however_many_columns_are_planned() -> None:
    statements = [_seen(f"SELECT {n} FROM t0 WHERE c0 = $1::text AND c1 IN ($2, $3)") for n in range(1_000)]  # noqa: S608

    def taken(known: Known) -> float:
        begin = time.process_time()
        assert len(list(find(statements, known))) == 51
        return time.process_time() - begin

    few, many = (min(taken(known) for _ in range(3)) for known in (_known(1, 10), _known(100, 10)))
    assert many < 3 * few
