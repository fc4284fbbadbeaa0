"""Scripts as such: under writers and locks, after failures, and with what is not theirs."""

import threading

import psycopg
import pytest

from producer.compiling.compile_steps import write_scripts
from producer.compiling.review import refuse_other_scripts
from producer.scripts.run_script import ScriptRunner
from producer.steps.clean_indexes import propose
from producer.steps.compiled import CompiledStep
from replank.errors import NeedsOperator, WrongUse
from sql.scripts.script_templates import Quoted, name, render, text
from steps.conftest import Compile

pytestmark = pytest.mark.catalogue


def test_gotcha_23_a_field_is_filled_without_a_rewrite_and_triggers_stay_quiet(
    app: psycopg.Connection, compiled: Compile, runner: ScriptRunner, database: str
) -> None:
    app.execute(
        "ALTER TABLE account ADD touched int NOT NULL DEFAULT 0;"
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END';"
        "CREATE TRIGGER touch BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION touch()"
    )
    file = app.execute("SELECT pg_relation_filenode('account')").fetchone()
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as session:
            number = 0
            while not stop.is_set():
                number += 1
                session.execute("INSERT INTO account VALUES (%s, 't1', 'new')", [f"n{number}"])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        runner.run(compiled(1, uuid_fields={"column": "publicId", "tables": ["account"]}).forward)
    finally:
        stop.set()
        writer.join()
    assert app.execute("SELECT pg_relation_filenode('account')").fetchone() == file
    counts = app.execute('SELECT count(*) = count(DISTINCT "publicId"), max(touched), count(*) > 500 FROM account')
    assert counts.fetchone() == (True, 0, True)
    with pytest.raises(psycopg.errors.NotNullViolation):
        app.execute("""INSERT INTO account VALUES ('z', 't1', 'z', 0, NULL)""")


def test_a_lock_that_is_missed_is_tried_again_and_in_the_end_a_person_is_told(
    database: str, compiled: Compile, runner: ScriptRunner
) -> None:
    step = compiled(3, audit_log={"tables": ["account"]})
    waits: list[float] = []
    with psycopg.connect(database) as reader:
        reader.execute("LOCK TABLE account IN ACCESS EXCLUSIVE MODE")

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                reader.rollback()

        runner.sleep = sleep
        runner.run(step.forward)
    assert len(waits) == 3
    runner.attempts = 2
    with psycopg.connect(database) as reader:
        reader.execute("LOCK TABLE account IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(
            NeedsOperator, match=r"rollback-03-remove-audit-tables, block 1 .*not granted in 2 attempts"
        ):
            runner.run(step.back)


def test_gotcha_29_an_index_that_failed_is_built_again(
    app: psycopg.Connection, compiled: Compile, runner: ScriptRunner
) -> None:
    app.execute("UPDATE account SET \"Name\" = 'same' WHERE id IN ('a1', 'a2')")
    asked = {"add": [{"name": "account_names", "table": "account", "columns": ["Name"], "unique": True}]}
    step = compiled(2, indexes={"foreign_keys": False, **asked})
    done: list[int] = []
    with pytest.raises(NeedsOperator, match=r"02-add-missing-indexes, block 2 .*same"):
        runner.run(step.forward, note=done.append)
    assert done == [1]
    app.execute("UPDATE account SET \"Name\" = id WHERE id IN ('a1', 'a2')")
    runner.run(step.forward)
    valid = app.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'account_names'::regclass").fetchone()
    assert valid == (True,)


def test_foreign_keys_without_an_index_get_one_and_those_with_one_do_not(
    app: psycopg.Connection, compiled: Compile, runner: ScriptRunner
) -> None:
    runner.run(compiled(2, indexes={}).forward)
    made = app.execute(
        "SELECT tablename, indexname FROM pg_indexes"
        " WHERE schemaname = 'public' AND indexname LIKE '%\\_idx' ORDER BY tablename COLLATE \"C\", 2"
    ).fetchall()
    # membership's own key begins with account_id.
    assert made == [
        ("account", "account_tenant_id_idx"),
        ("membership", "membership_tenant_id_idx"),
        ("userEvents", "userEvents_account_id_idx"),
        ("userEvents_new", "userEvents_new_account_id_idx"),
        ("userEvents_old", "userEvents_old_account_id_idx"),
    ]
    assert not app.execute("SELECT FROM pg_index WHERE NOT indisvalid").fetchall()
    assert not compiled(2, indexes={}).forward.blocks


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ({"uuid_fields": {"tables": ["nowhere"]}}, "table public.nowhere does not exist"),
        ({"uuid_fields": {"tables": ["account"], "column": "id"}}, "already has a column id"),
        ({"uuid_fields": {"tables": ["userEvents"]}}, "is partitioned"),
        ({"indexes": {"add": [{"name": "i", "table": "account", "columns": ["no"]}]}}, "has no column no"),
        ({"audit_log": {"tables": ["nowhere"]}}, "table public.nowhere does not exist"),
        ({"permission_cache": {"query": "SELECT 1 AS user_id", "sources": [{"table": "account"}]}}, "does not return"),
        ({"enums": [{"name": "mood", "rename": {"a": "b"}}]}, "this type does not exist"),
        ({"optimize": {"drop": ["account_pkey"]}}, "is used by a constraint"),
        ({"optimize": {"reindex": ["nothing"]}}, "index public.nothing does not exist"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(compiled: Compile, steps: dict[str, object], words: str) -> None:
    with pytest.raises(WrongUse, match=words):
        compiled(1, **steps)


def test_indexes_that_nobody_needs_are_proposed(app: psycopg.Connection, runner: ScriptRunner) -> None:
    app.execute(
        'CREATE INDEX one ON account ("Name"); CREATE INDEX two ON account ("Name");'
        'CREATE INDEX longer ON account ("Name", tenant_id); CREATE INDEX other ON account ("Name" DESC);'
        "CREATE INDEX first ON membership (role); CREATE INDEX twin ON membership (role);"
        'CREATE UNIQUE INDEX whole ON account (id, "Name"); CREATE INDEX partial ON account ("Name") WHERE id > \'a\';'
    )
    found = {
        proposal.index.partition(".")[2]: (proposal.action, proposal.kind) for proposal in propose(runner.connection)
    }
    same = {"one": ("drop", "redundant"), "two": ("drop", "redundant")}
    assert found == {**same, "twin": ("drop", "duplicate")}


def test_files_are_what_runs_and_a_changed_one_is_refused(
    compiled: Compile, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("scripts")
    steps: list[CompiledStep] = [compiled(2, indexes={})]
    written = write_scripts(steps, folder)
    assert [path.name for path in written] == ["02-add-missing-indexes.sql", "rollback-02-remove-indexes.sql"]
    refuse_other_scripts(steps, folder)
    written[0].write_text(written[0].read_text() + "-- and more\n")
    with pytest.raises(WrongUse, match=r"02-add-missing-indexes\.sql is not what this plan"):
        refuse_other_scripts(steps, folder)


def test_nothing_stands_in_a_script_unquoted() -> None:
    facts = {"tables": [{"said": Quoted("x"), "name": "account; DROP TABLE account"}], "column": name("uuid")}
    with pytest.raises(TypeError, match="unquoted"):
        render("rollback-01-remove-uuid-fields", facts)
    assert name('a"b', "c") == '"a""b"."c"'
    assert text("it's") == "'it''s'"
