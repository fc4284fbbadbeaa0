"""The audit log is proved by writes of which nothing stays."""

import psycopg
import pytest

from producer.cli.report import measure_again
from replank.values.measurement import AuditProbe, Measurement
from report.conftest import Criteria, the_run
from report.world import content
from sql.ledger.runs import measurements
from sql.session.connection import Connection

pytestmark = pytest.mark.catalogue


def _after(connection: Connection) -> Measurement:
    return measurements.read_measurements(connection, the_run(connection).run_id)["after"]


def _again(connection: Connection) -> dict[str, AuditProbe]:
    measure_again(connection, the_run(connection))
    return {probe.table: probe for probe in _after(connection).audit or ()}


def test_every_table_is_proved_empty_ones_and_join_tables_too(connection: Connection, criteria: Criteria) -> None:
    probes = _after(connection).audit
    assert probes is not None
    assert [p for p in probes if p.missing] == []
    names = {"tenant", "account", "profile", "membership", "tag", "_AccountToTag", "<b>note</b>", "_prisma_migrations"}
    assert {p.table for p in probes} == {f"public.{name}" for name in names}
    assert all(p.seen == ("insert", "update", "delete") for p in probes)
    found = criteria()[3]
    assert (found.measured, found.target, found.met) == (8, 8, True)


def _probe_no_longer(app: psycopg.Connection) -> None:
    """The plan as one that says nothing of probes."""
    app.execute("UPDATE replank.run SET plan = plan #- '{success,probe_audit}'")


def _last_number(app: psycopg.Connection) -> int:
    """The audit log's newest number: a write that is rolled back takes one too."""
    (found,) = app.execute("SELECT last_value FROM pg_sequences WHERE schemaname = 'audit'").fetchone() or (0,)
    return int(found)


def test_a_plan_that_does_not_ask_gets_no_probe_and_no_verdict(
    app: psycopg.Connection, connection: Connection, criteria: Criteria
) -> None:
    # Given a plan without `probe_audit`, and triggers that are all there and enabled
    _probe_no_longer(app)
    before = _last_number(app)
    # When it is measured
    measure_again(connection, the_run(connection))
    # Then nothing was written, and what was not looked at is not called good
    assert _last_number(app) == before
    assert _after(connection).audit is None
    found = criteria()[3]
    assert (found.measured, found.target, found.met) == (None, 8, None)
    assert found.shown == (
        "not probed: the plan does not set probe_audit = true; "
        "triggers for every kind of write are there and enabled on 8 of 8 tables, what they write was not checked"
    )
    assert "no write was tried" in found.how


@pytest.mark.parametrize(
    "harm",
    ["ALTER TABLE tag DISABLE TRIGGER replank_audit_update", "DROP TRIGGER replank_audit_update ON tag"],
)
def test_a_missing_trigger_is_told_without_a_probe_too(
    app: psycopg.Connection, connection: Connection, criteria: Criteria, harm: str
) -> None:
    _probe_no_longer(app)
    measure_again(connection, the_run(connection))
    app.execute(harm)
    found = criteria()[3]
    assert (found.measured, found.target, found.met) == (7, 8, False)
    assert found.names == ("public.tag: no enabled trigger captures update now",)
    assert "not probed" in found.shown
    assert "on 7 of 8 tables" in found.shown


def test_a_probe_is_the_only_thing_that_takes_numbers_of_the_log(
    app: psycopg.Connection, connection: Connection
) -> None:
    """The oracle of the test above: it would see a probe."""
    before = _last_number(app)
    measure_again(connection, the_run(connection))
    assert _last_number(app) > before


def test_nothing_of_a_probe_stays(app: psycopg.Connection, connection: Connection) -> None:
    kept = ("audit.audit_log", "permission.invalidation", "permission.warm_up")
    sequences = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"
    before, numbers = content(app, *kept), app.execute(sequences).fetchall()
    app.execute("LISTEN probed")
    app.execute(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NOTIFY probed; RETURN NULL; END $$;"
        "CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON tag EXECUTE FUNCTION tell()"
    )
    assert _again(connection)["public.tag"].proved
    assert content(app, *kept) == before
    assert app.execute(sequences).fetchall() == numbers
    assert list(app.notifies(timeout=0, stop_after=1)) == []
    app.execute("UPDATE tag SET label = label WHERE id = 1")
    assert len(list(app.notifies(timeout=1, stop_after=1))) == 1, "the trigger does tell"


@pytest.mark.parametrize(
    ("harm", "table", "missing"),
    [
        ("ALTER TABLE tag DISABLE TRIGGER replank_audit_update", "tag", ("update: the log has no entry for it",)),
        ("DROP TRIGGER replank_audit_truncate ON tenant", "tenant", ("truncate: no trigger captures it",)),
        (
            "ALTER TABLE audit.audit_log ALTER COLUMN actor SET DEFAULT NULL;"
            "CREATE FUNCTION blind() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.actor := 'x'; RETURN NEW; END $$;"
            "CREATE TRIGGER blind BEFORE INSERT ON audit.audit_log FOR EACH ROW WHEN (NEW.table_name = 'tag')"
            " EXECUTE FUNCTION blind()",
            "tag",
            tuple(f"{w}: the log's entry has another actor or request" for w in ("insert", "update", "delete")),
        ),
        (
            "CREATE FUNCTION lie() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.old_row := '{}'; RETURN NEW; END $$;"
            "CREATE TRIGGER lie BEFORE INSERT ON audit.audit_log FOR EACH ROW WHEN (NEW.action = 'delete')"
            " EXECUTE FUNCTION lie()",
            "tag",
            ("delete: the log's entry does not match the written rows",),
        ),
        ("CREATE TABLE later (id int PRIMARY KEY)", "later", None),
    ],
)
def test_a_gap_is_found(
    harm: str,
    table: str,
    missing: tuple[str, ...] | None,
    app: psycopg.Connection,
    connection: Connection,
    criteria: Criteria,
) -> None:
    app.execute(harm)
    found = _again(connection)[f"public.{table}"]
    assert not found.proved
    if missing is not None:
        assert found.missing == missing
    assert criteria()[3].met is False
    assert any(name.startswith(f"public.{table}: ") for name in criteria()[3].names)


def test_a_trigger_that_is_switched_off_later_is_seen_without_another_probe(
    app: psycopg.Connection, criteria: Criteria
) -> None:
    app.execute("ALTER TABLE account DISABLE TRIGGER replank_audit_delete")
    found = criteria()[3]
    assert (found.measured, found.met) == (7, False)
    assert found.names == ("public.account: no enabled trigger captures delete now",)


def test_a_table_that_others_hold_is_not_proved_and_holds_nobody_up(
    database: str, app: psycopg.Connection, connection: Connection
) -> None:
    # Given a table that is locked, and one whose only rows are
    app.execute("DELETE FROM tag WHERE id > 1")
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE tenant IN ACCESS EXCLUSIVE MODE")
        other.execute("SELECT FROM tag FOR UPDATE")
        found = _again(connection)
    # Then the first is not proved, with the reason; the second is, by a row that was made
    assert not found["public.tenant"].proved
    assert "lock timeout" in found["public.tenant"].missing[0]
    assert found["public.tag"].proved, found["public.tag"].missing


def test_rows_that_a_table_refuses_are_named(app: psycopg.Connection, connection: Connection) -> None:
    app.execute("ALTER TABLE profile ADD CHECK (id <> id) NOT VALID")
    app.execute(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER swallow BEFORE INSERT OR UPDATE OR DELETE ON tag FOR EACH ROW EXECUTE FUNCTION swallow()"
    )
    found = _again(connection)
    assert "violates check constraint" in found["public.profile"].missing[0]
    assert "suppressed the write" in found["public.tag"].missing[0]
    assert found["public.account"].proved
