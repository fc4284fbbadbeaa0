"""Rows that cannot be converted are kept aside, with all that refer to them, and every other row is rebuilt."""

from collections.abc import Callable

import psycopg
import pytest
from pydantic import SecretStr
from support.oracles.oracle import count, live, one, past
from support.oracles.quarantine_oracle import Kind, Kinds, check, kept
from support.runs.harness import Rebuild, Url, table

from monitoring.status.quarantine import quarantined_rows
from producer.check.check import audit
from producer.planning.resolution import PlanFile
from producer.rollback.rollback import roll_back
from replank.plan.plan import DatabasePlan, Plan
from replank.settings import Settings
from replank.values.states import TableState

pytestmark = [pytest.mark.protocol, pytest.mark.core]

Begin = Callable[..., Rebuild]

BOOKED = """
CREATE TABLE users (id text PRIMARY KEY, name text);
CREATE TABLE booking (id text PRIMARY KEY, user_id text NOT NULL REFERENCES users, n serial UNIQUE);
CREATE TABLE payment (id text PRIMARY KEY, booking_id text REFERENCES booking, amount numeric);
CREATE TABLE note (id serial PRIMARY KEY, booking_n int REFERENCES booking (n), words text);
CREATE INDEX ON booking (user_id);
INSERT INTO users SELECT CASE WHEN g % 20 = 0 THEN 'user ' || g ELSE gen_random_uuid()::text END, 'name ' || g
  FROM generate_series(1, 100) AS g;
INSERT INTO booking SELECT gen_random_uuid()::text, id FROM users CROSS JOIN generate_series(1, 2);
INSERT INTO payment SELECT CASE WHEN n % 30 = 7 THEN 'paid ' || n ELSE gen_random_uuid()::text END, id, n FROM booking;
INSERT INTO payment VALUES (gen_random_uuid()::text, NULL, 0);
INSERT INTO note (booking_n, words) SELECT n, 'note ' || n FROM booking WHERE n % 2 = 0;
INSERT INTO note (words) VALUES ('of nothing')
"""
BOOKING: Kinds = {
    "users": Kind(key=["id"], texts=["id"]),
    "booking": Kind(key=["id"], texts=["id", "user_id"], leads=[(["user_id"], "users", ["id"])]),
    "payment": Kind(key=["id"], texts=["id", "booking_id"], leads=[(["booking_id"], "booking", ["id"])]),
    # A native column is added, so that the plan names the table; it would be filled in place otherwise.
    "note": Kind(
        key=["id"],
        leads=[(["booking_n"], "booking", ["n"])],
        more={"add": [{"name": "public_id", "type": "uuid", "value": "md5(live.words)::uuid"}]},
    ),
}


@pytest.fixture
def booked(app: psycopg.Connection) -> None:
    for statement in BOOKED.split(";\n"):
        app.execute(statement.encode())


def plan(kinds: Kinds, begin: Begin, **options: int) -> Rebuild:
    return begin(*(kind.planned(name) for name, kind in kinds.items()), **options)


@pytest.mark.usefixtures("booked")
@pytest.mark.parametrize("axis", ["heap", "primary_key"])
def test_a_row_is_kept_aside_with_all_that_refer_to_it(app: psycopg.Connection, begin: Begin, axis: str) -> None:
    kinds = {name: Kind(**{**vars(kind), "more": {**kind.more, "axis": axis}}) for name, kind in BOOKING.items()}
    rebuild = plan(kinds, begin)
    rebuild.finish()
    app.execute("ALTER TABLE note DROP COLUMN public_id")
    # 5 users, their 10 bookings, these' payments and 7 payments of their own, and notes by an integer key
    aside = check(app, rebuild, BOOKING)
    found = kept(app, rebuild)
    assert aside == len(found) > 25
    for name in BOOKING:
        mine = sum(of == name for of, _ in found)
        assert mine > 0, name
        assert count(app, past(name)) == count(app, live(name)) + mine


@pytest.mark.usefixtures("booked")
def test_each_says_why(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = plan(BOOKING, begin)
    rebuild.finish()
    found = kept(app, rebuild)
    user = found["users", '{"user 20"}']
    assert (user["column"], user["value"], user["reason"]) == ("id", "user 20", "the text is no uuid")
    assert user["row"] == {"id": "user 20", "name": "name 20"}
    # A booking's own text is looked at first; its note has nothing but the way to it
    bookings = [each for (name, _), each in found.items() if name == "booking"]
    assert {(each["column"], each["reason"]) for each in bookings} == {("user_id", "the text is no uuid")}
    notes = [each for (name, _), each in found.items() if name == "note"]
    assert {each["column"] for each in notes} == {"booking_n"}
    assert all(each["reason"].startswith("it refers to a quarantined row of public.booking: [") for each in notes)
    said = (
        "SELECT string_agg(message, '; ') FROM replank.event WHERE kind = 'verification' AND subject = 'public.users'"
    )
    assert "100 rows, counts and sums are equal; 95 of them in the next table, 5 in quarantine" in str(one(app, said))


@pytest.mark.usefixtures("booked")
def test_rollback_takes_quarantine_away(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = plan(BOOKING, begin)
    rebuild.ready()
    assert len(kept(app, rebuild)) > 20
    roll_back(rebuild.connection, say=lambda _: None, sleep=lambda _: None)
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0
    assert one(app, "SELECT count(*) FROM users WHERE id LIKE 'user %'") == 5


class Unwatched:
    """Nobody looks at the check's progress."""

    def begin(self, *, blocks: int) -> None:
        """Nothing to draw."""

    def scanned(self, table: str, *, table_blocks: int, blocks: int, rows: int) -> None:
        """Nothing to draw."""


@pytest.mark.usefixtures("booked")
def test_the_check_counts_what_the_run_keeps_aside(app: psycopg.Connection, database: Url, begin: Begin) -> None:
    tables = tuple(kind.planned(name).planned for name, kind in BOOKING.items())
    file = PlanFile(plan=Plan(database=DatabasePlan(name=app.info.dbname), tables=tables), source="plan.toml", text="")
    report = audit(Settings(database_url=SecretStr(database)), file, workers=1, watch=Unwatched())
    assert report.blockers == ()
    told = {f.table: f.details["count"] for f in report.warnings if f.code == "quarantined"}
    rebuild = plan(BOOKING, begin)
    rebuild.ready()
    assert told == quarantined_rows(rebuild.connection, rebuild.run)
    assert sum(told.values()) == len(kept(app, rebuild)) > 20


@pytest.mark.usefixtures("booked")
def test_tables_that_it_does_not_concern_pay_nothing(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE country (id text PRIMARY KEY)")
    app.execute("CREATE TABLE city (id text PRIMARY KEY, country_id text REFERENCES country)")
    app.execute("ALTER TABLE booking ADD city_id text REFERENCES city")
    app.execute("INSERT INTO country VALUES (gen_random_uuid())")
    app.execute("INSERT INTO city SELECT gen_random_uuid(), id FROM country")
    app.execute("UPDATE booking SET city_id = (SELECT id FROM city)")
    kinds = {**BOOKING, "booking": Kind(**{**vars(BOOKING["booking"]), "texts": ["id", "user_id", "city_id"]})}
    rebuild = begin(
        *(kind.planned(name) for name, kind in kinds.items()), table("country", "id"), table("city", "id", "country_id")
    )
    # Bookings lead to a city, so all are one set; but no city leads to anybody
    assert len(rebuild.sets) == 1
    assert {each.spec.name for each in rebuild.tables if each.spec.settles} == set(BOOKING)
    assert one(app, "SELECT count(*) FROM replank.quarantine") == len(BOOKING)
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM booking JOIN city ON city_id = city.id") == count(app, live("booking")) > 0


STATES = [TableState.COPYING, TableState.FIRST_DRAIN, TableState.INDEXING, TableState.VERIFYING, TableState.READY]


@pytest.mark.usefixtures("booked")
@pytest.mark.parametrize("state", STATES)
def test_what_the_application_writes_brings_rows_in_and_out(
    app: psycopg.Connection, begin: Begin, state: TableState
) -> None:
    rebuild = plan(BOOKING, begin)
    rebuild.until(state)
    # In: a new bad user with children, a good one renamed, a good booking moved to a bad user
    app.execute("INSERT INTO users VALUES ('late', 'x')")
    app.execute("INSERT INTO booking VALUES ('7e6d0a0e-0000-4000-8000-000000000001', 'late', 9001)")
    app.execute("INSERT INTO payment VALUES (gen_random_uuid()::text, '7e6d0a0e-0000-4000-8000-000000000001', 1)")
    app.execute("INSERT INTO note (booking_n, words) VALUES (9001, 'late')")
    app.execute(
        "UPDATE booking SET user_id = 'user 40' WHERE n = (SELECT min(n) FROM booking WHERE length(user_id) > 20)"
    )
    # Out: a bad user's bookings go to a good one, another's are deleted, a text is corrected
    good = one(app, "SELECT id FROM users WHERE name = 'name 1'")
    app.execute("UPDATE booking SET user_id = %s WHERE user_id = 'user 60'", [good])
    app.execute("DELETE FROM note WHERE booking_n IN (SELECT n FROM booking WHERE user_id = 'user 80')")
    app.execute("DELETE FROM payment WHERE booking_id IN (SELECT id FROM booking WHERE user_id = 'user 80')")
    app.execute("DELETE FROM booking WHERE user_id = 'user 80'")
    app.execute("UPDATE users SET id = gen_random_uuid()::text WHERE id = 'user 80'")
    app.execute("UPDATE payment SET id = gen_random_uuid()::text WHERE id = 'paid 37'")
    rebuild.finish()
    app.execute("ALTER TABLE note DROP COLUMN public_id")
    assert check(app, rebuild, BOOKING) > 20
    assert one(app, "SELECT count(*) FROM users WHERE name = 'name 80'") == 1
    assert one(app, "SELECT count(*) FROM booking WHERE n = 9001") == 0
    assert one(app, "SELECT bool_and(convalidated) FROM pg_constraint WHERE contype = 'f'")
    assert one(app, "SELECT count(*) FROM replank.job WHERE kind = 'repair'") == 0
