"""Each criterion is met when it is so, and not when somebody makes it untrue."""

import psycopg
import pytest

from monitoring.report.criteria import judge
from monitoring.report.facts import Given
from monitoring.report.statements import ErrorsStatement, JournalStatement
from monitoring.report.verdict import Criterion
from producer.cli.report import compared_now, gather, measure_again
from replank.plan.plan import Plan
from report.conftest import Criteria, the_run
from report.world import begin_run, run_to_the_end
from sql.ledger.runs import measurements
from sql.session.connection import connect

pytestmark = pytest.mark.catalogue


def test_uuid_fields_name_the_table_that_has_none(app: psycopg.Connection, criteria: Criteria) -> None:
    # Given a plan that expects all models, a table without a uuid, and one whose uuid may be NULL or stands twice
    app.execute("UPDATE replank.run SET plan = jsonb_set(plan, '{success,models}', '6')")
    found = criteria()[0]
    assert (found.measured, found.target, found.met) == (5, 6, False)
    assert [name.partition(": ")[0] for name in found.names] == ["public.<b>note</b>"]
    app.execute('ALTER TABLE "<b>note</b>" ADD COLUMN uuid uuid DEFAULT gen_random_uuid()')
    assert criteria()[0].met is False, "it may be NULL"
    app.execute('ALTER TABLE "<b>note</b>" ALTER COLUMN uuid SET NOT NULL')
    assert criteria()[0].met is False, "two rows may have the same"
    app.execute('CREATE UNIQUE INDEX a_few ON "<b>note</b>" (uuid) WHERE id > 5')
    assert criteria()[0].met is False, "only some rows are kept apart"
    # When it is there for every row, and keeps them apart
    app.execute('CREATE UNIQUE INDEX all_rows ON "<b>note</b>" (uuid)')
    found = criteria()[0]
    # Then all are counted: neither the join table nor Prisma's own
    assert (found.measured, found.met, found.names) == (6, True, ())
    app.execute("UPDATE replank.run SET plan = jsonb_set(plan, '{success,models}', '7')")
    app.execute("CREATE TABLE later (id uuid PRIMARY KEY, at date) ")
    assert criteria()[0].measured == 7
    app.execute("DROP TABLE later; CREATE TABLE later (id uuid, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    assert criteria()[0].met is True, "a partitioned table's key has to hold the partition key"
    app.execute("DROP TABLE later; CREATE TABLE later (id uuid, at date, PRIMARY KEY (id, at))")
    assert criteria()[0].met is False, "in a plain table it need not"


def test_no_row_was_lost_until_one_is(app: psycopg.Connection, criteria: Criteria) -> None:
    found = criteria(compare=True)[1]
    assert (found.measured, found.met) == (0, True), found.shown
    assert "1,205 rows in 6 tables verified" in found.shown
    # When somebody writes past the triggers
    app.execute("ALTER TABLE account DISABLE TRIGGER USER")
    app.execute("UPDATE account SET email = 'x' WHERE email = '7@example.org'")
    app.execute("ALTER TABLE account ENABLE TRIGGER USER")
    # Then the comparison sees it, and a report without one does not say that it looked
    found = criteria(compare=True)[1]
    assert (found.measured, found.met) == (1, False)
    assert found.names == ("public.account: 1 key differs from the past table now",)
    assert "not compared again" in criteria()[1].how


def test_writes_that_the_application_misses_are_losses(criteria: Criteria) -> None:
    lost = JournalStatement(checked=100, lost=("account 7: the row is missing",))
    found = criteria(journal=lost)[1]
    assert (found.measured, found.met, found.names) == (1, False, lost.sentences)
    found = criteria(journal=JournalStatement(checked=100, lost=0))[1]
    assert (found.measured, found.met) == (0, True)
    assert "100 writes of the journal" in found.shown
    nothing = criteria(journal=JournalStatement(checked=0, lost=0))[1]
    assert "No journal" in nothing.how, "a journal that is empty proves nothing"


def test_verifications_that_are_missing_in_the_ledger_are_no_proof(app: psycopg.Connection, criteria: Criteria) -> None:
    app.execute("DELETE FROM replank.job WHERE kind = 'verify' AND table_no = 1")
    found = criteria()[1]
    assert found.met is False
    assert found.names == ("public.tenant: the ledger has no verification with equal sums",)


def test_a_few_lookups_are_no_hit_rate(app: psycopg.Connection, criteria: Criteria) -> None:
    def ask(times: int) -> None:
        app.execute(
            "SELECT permission.permissions_of(account_id::text, tenant_id::text)"
            " FROM (SELECT * FROM membership LIMIT 4) AS m, generate_series(1, %s)",
            [times],
        )

    assert criteria()[4].met is None
    ask(5)
    found = criteria()[4]
    assert (found.met, found.measured) == (None, pytest.approx(0.8))
    ask(100)
    found = criteria()[4]
    assert found.met is True
    assert found.measured == pytest.approx(416 / 420)
    # When the sources change all the time, entries are never found
    for _ in range(30):
        app.execute("UPDATE membership SET role = role")
        ask(1)
    found = criteria()[4]
    assert found.measured == pytest.approx(416 / 540)
    assert found.met is False


def test_only_the_application_knows_its_errors(criteria: Criteria) -> None:
    silent = criteria()[5]
    assert (silent.met, silent.measured) == (None, None)
    assert "counters were reset" in silent.shown, "a copy of a database begins to count anew"
    assert criteria(errors=ErrorsStatement(checked=9, errors=0))[5].met is True
    assert criteria(errors=ErrorsStatement(checked=0, errors=0))[5].met is None
    found = criteria(errors=ErrorsStatement(checked=9, errors=("500 at 14:02",)))[5]
    assert (found.met, found.measured, found.names) == (False, 1, ("500 at 14:02",))


def test_what_a_plan_expects_has_to_be_there(app: psycopg.Connection, criteria: Criteria) -> None:
    app.execute("UPDATE replank.run SET plan = jsonb_set(plan, '{success,models}', '71')")
    app.execute('DROP TABLE "<b>note</b>" CASCADE')
    found = criteria()[0]
    assert (found.measured, found.target, found.met) == (5, 71, False)
    assert "the plan expects 71 tables, the database has 5" in found.shown


def test_rows_kept_aside_are_not_lost_and_texts_that_became_null_are(empty: str) -> None:
    # Given an id that is none, and references that are none
    columns = [
        {"name": "id", "to": "uuid", "on_invalid": "quarantine"},
        {"name": "ref", "to": "uuid", "on_invalid": "null"},
    ]
    with psycopg.connect(empty, autocommit=True) as app:
        app.execute(
            "CREATE TABLE item (id text PRIMARY KEY, ref text);"
            "INSERT INTO item SELECT gen_random_uuid(), CASE WHEN g < 4 THEN 'nobody' END"
            " FROM generate_series(1, 9) AS g;"
            "INSERT INTO item VALUES ('master', NULL)"
        )
    with connect(empty, name="test") as connection:
        plan = {"database": {"name": connection.info.dbname}, "tables": [{"name": "item", "columns": columns}]}
        begin_run(empty, Plan.model_validate(plan))
        run_to_the_end(empty)
        run = the_run(connection)

        def judged() -> Criterion:
            given = Given(compared=compared_now(connection, run))
            return judge(gather(connection, run, given)).criteria[1]

        found = judged()
        assert found.names == ("public.item.ref: 3 texts became NULL",)
        assert (found.measured, found.met) == (3, False)
        assert "10 rows in 1 table verified, 1 row quarantined" in found.shown
        # What was counted is known when the past table is gone
        connection.execute("DROP TABLE replank_past.item CASCADE")
        measure_again(connection, run)
        assert measurements.read_measurements(connection, run.run_id)["after"].lost_texts[0].values == 3
