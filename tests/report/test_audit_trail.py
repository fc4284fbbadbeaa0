"""The fourth criterion says of which tables it is, and stands on what was proved, not on what has its name now."""

import psycopg
import pytest

from monitoring.report.statements import JournalStatement
from producer.cli.report import measure_again
from report.conftest import Criteria, the_run
from sql.session.connection import Connection

pytestmark = pytest.mark.catalogue

EMPTIED = """
CREATE OR REPLACE FUNCTION audit.capture() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog AS $$ BEGIN RETURN NULL; END $$
"""


def _only(app: psycopg.Connection, *tables: str) -> None:
    """The plan names these, and the others have no trigger of the log."""
    app.execute(
        "UPDATE replank.run SET plan = jsonb_set(plan, '{steps,audit_log,tables}', to_jsonb(%s::text[]))",
        [list(tables)],
    )
    app.execute(
        "DO $$ DECLARE t record; BEGIN FOR t IN SELECT tgname, tgrelid::regclass AS place FROM pg_trigger"
        " WHERE tgname LIKE 'replank_audit_%' AND tgrelid::regclass::text NOT IN ('account', 'tenant')"
        " LOOP EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.place); END LOOP; END $$"
    )


def test_tables_that_the_plan_does_not_audit_are_named(
    app: psycopg.Connection, connection: Connection, criteria: Criteria
) -> None:
    # Given a plan that audits two of eight tables
    _only(app, "tenant", "account")
    measure_again(connection, the_run(connection))
    found = criteria()[3]
    assert (found.measured, found.target, found.met) == (2, 2, True)
    assert found.shown.startswith("proved in 2 of 2 tables that the plan audits; not audited by the plan: 6 tables (")
    assert "public.profile: not audited by the plan" in found.names
    assert not [name for name in found.names if "permission." in name], "the step's own tables are no application's"
    # When a table comes later, it is the first that is named
    app.execute("CREATE TABLE zebra (id int PRIMARY KEY)")
    found = criteria()[3]
    assert "7 tables, 1 of them made since the run began (public.zebra, " in found.shown
    assert "public.zebra: not audited by the plan, made since the run began" in found.names


def test_a_later_table_is_a_gap_where_the_plan_audits_all(app: psycopg.Connection, criteria: Criteria) -> None:
    app.execute("CREATE TABLE newcomer (id int PRIMARY KEY)")
    found = criteria()[3]
    assert (found.measured, found.target, found.met) == (8, 9, False)
    assert found.names == ("public.newcomer: no enabled trigger captures insert, update, delete, truncate now",)


@pytest.mark.parametrize(
    ("harm", "proved", "words"),
    [
        (EMPTIED, 0, "function audit.capture() was changed"),
        ("DROP FUNCTION audit.key_of(jsonb, text[])", 0, "function audit.key_of(jsonb,text[]) does not exist any more"),
        (
            "CREATE OR REPLACE TRIGGER replank_audit_delete AFTER DELETE ON tag REFERENCING OLD TABLE AS old_rows"
            " FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION audit.capture('{id}')",
            7,
            "trigger replank_audit_delete on public.tag was changed",
        ),
        (
            "CREATE RULE swallow AS ON INSERT TO audit.audit_log DO INSTEAD NOTHING",
            0,
            "rule swallow on audit.audit_log is new",
        ),
        (
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
            "CREATE TRIGGER lose BEFORE INSERT ON audit.audit_log_default FOR EACH ROW EXECUTE FUNCTION lose()",
            0,
            "trigger lose on audit.audit_log_default is new",
        ),
    ],
)
def test_what_was_changed_since_the_proof_is_not_proved(
    app: psycopg.Connection, criteria: Criteria, harm: str, proved: int, words: str
) -> None:
    assert criteria()[3].met is True
    app.execute(harm)
    found = criteria()[3]
    assert (found.measured, found.met) == (proved, False)
    assert found.names == (f"{words} since the log was proved; `replank report --measure` proves it again",)
    assert words in found.shown


def test_another_measurement_proves_what_is_there_now(
    app: psycopg.Connection, connection: Connection, criteria: Criteria
) -> None:
    app.execute("COMMENT ON FUNCTION audit.capture() IS 'is no change'")
    assert criteria()[3].met is True
    app.execute("ALTER FUNCTION audit.capture() COST 101")
    assert criteria()[3].met is False
    measure_again(connection, the_run(connection))
    assert criteria()[3].met is True
    app.execute(EMPTIED)
    measure_again(connection, the_run(connection))
    assert criteria()[3].met is False


def test_a_journal_in_which_nothing_was_looked_for_leaves_it_undecided(criteria: Criteria) -> None:
    found = criteria(journal=JournalStatement(checked=0, lost=0))[1]
    assert (found.measured, found.met) == (None, None)
    assert "0 writes were checked" in found.shown
    # What was found all the same is not forgiven
    assert criteria(journal=JournalStatement(checked=0, lost=2))[1].met is False
