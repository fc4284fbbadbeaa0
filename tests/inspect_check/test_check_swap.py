"""What only the swap makes is made in the check's trial, all of it, and each thing that fails is named."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.sql import SQL
from support.runs.attacks import Attack

from inspect_check.conftest import Database, codes, only
from sql.session import connection

pytestmark = pytest.mark.catalogue

BUILDING = (
    "CREATE TABLE building (id text PRIMARY KEY, owner_id text, name text)",
    "CREATE TABLE history (building text, at timestamptz DEFAULT now())",
    "CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN INSERT INTO history VALUES (NEW.id); RETURN NULL; END $$",
)


def _failed(database: Database, columns: dict[str, list[str]]) -> dict[str, str]:
    """Object → message of each thing that the trial could not make."""
    report = database.check(columns)
    return {f.details["object"]: f"{f.message} {f.hint}" for f in report.blockers if f.code == "trial_failed"}


@pytest.mark.attack("C7", "definitions that only the swap makes and that do not stand on uuid")
def test_everything_that_only_the_swap_makes_is_tried(database: Database, attack: Attack) -> None:
    # Given triggers, constraints, keys and a rule of which some cannot stand on a uuid
    database.run(
        *BUILDING,
        "CREATE TRIGGER snap AFTER UPDATE OF owner_id ON building FOR EACH ROW"
        " WHEN (OLD.owner_id IS DISTINCT FROM NEW.owner_id) EXECUTE FUNCTION keep_history()",
        "CREATE TRIGGER constant AFTER INSERT ON building FOR EACH ROW WHEN (NEW.id <> 'master')"
        " EXECUTE FUNCTION keep_history()",
        "ALTER TABLE building DISABLE TRIGGER constant",
        "INSERT INTO building VALUES ('$ID', NULL, 'short')",
        "ALTER TABLE building ADD CONSTRAINT late CHECK (owner_id <> 'master') NOT VALID",
        "ALTER TABLE building ADD CONSTRAINT other CHECK (name <> 'x') NOT VALID",
        "COMMENT ON CONSTRAINT other ON building IS 'is told of'",
        "CREATE RULE not_that AS ON DELETE TO building WHERE OLD.id = 'master' DO INSTEAD NOTHING",
        "CREATE POLICY own ON building USING (name = '$ID')",
        "CREATE FUNCTION building_of(building) RETURNS text LANGUAGE sql AS $$ SELECT $1.id $$",
    )
    failed = _failed(database, {"building": ["id", "owner_id"]})
    # Then each that cannot is named with the server's reason, and none that can
    assert failed.keys() == {
        "trigger constant of public.building",
        "constraint late of public.building",
        "rule not_that of public.building",
    }, failed
    assert all("operator does not exist: uuid" in words for words in failed.values()), failed
    attack.record("each is named before the first write", tried=len(failed))


@pytest.mark.attack("C7", "definitions that only the swap makes and that do not stand on uuid")
def test_what_compares_with_a_text_of_another_column_is_tried(database: Database, attack: Attack) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, twin text, note text)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER twins AFTER INSERT ON t DEFERRABLE FOR EACH ROW WHEN (NEW.id = NEW.note)"
        " EXECUTE FUNCTION f()",
        "CREATE TRIGGER pattern AFTER INSERT ON t FOR EACH ROW WHEN (NEW.id LIKE 'x%') EXECUTE FUNCTION f()",
        "ALTER TABLE t ADD CONSTRAINT noted CHECK (id <> note) NOT VALID",
        # What the hint proposes works with both types
        "CREATE TRIGGER either AFTER INSERT ON t FOR EACH ROW WHEN (concat(NEW.id) LIKE 'x%') EXECUTE FUNCTION f()",
        "ALTER TABLE t ADD CONSTRAINT either CHECK (concat(id) <> note) NOT VALID",
        "CREATE POLICY either ON t USING (id::uuid = '$ID' AND concat(twin) LIKE '%-%')",
        "CREATE TABLE p (id text PRIMARY KEY, at date) PARTITION BY HASH (id)",
        "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "CREATE TRIGGER of_leaf AFTER INSERT ON p0 FOR EACH ROW WHEN (NEW.id LIKE 'x%') EXECUTE FUNCTION f()",
        "ALTER TABLE p ADD CONSTRAINT never CHECK (id LIKE '%-%') NOT VALID",
    )
    expected: set[str] = set()
    if database.rows("SELECT current_setting('server_version_num')::int")[0][0] >= 180_000:
        database.run(
            "ALTER TABLE t ADD CONSTRAINT told CHECK (id LIKE '%-%') NOT ENFORCED",
            "CREATE EXTENSION btree_gist",
            "CREATE TABLE stay (room text, during daterange, PRIMARY KEY (room, during WITHOUT OVERLAPS))",
            "ALTER TABLE t ADD at daterange, ADD room text, ADD CONSTRAINT lodged FOREIGN KEY (room, PERIOD at)"
            " REFERENCES stay (room, PERIOD during)",
            "ALTER TABLE t ADD CONSTRAINT hoped FOREIGN KEY (twin) REFERENCES t NOT ENFORCED",
        )
        expected = {"constraint told of public.t"}
    failed = _failed(database, {"t": ["id", "twin"], "p": ["id"]})
    assert failed.keys() == expected | {
        "trigger twins of public.t",
        "trigger pattern of public.t",
        "constraint noted of public.t",
        "trigger of_leaf of public.p0",
        "constraint never of public.p",
    }, failed
    assert all("uuid" in words for words in failed.values())
    attack.record("each is named before the first write", tried=len(failed))


@pytest.mark.attack("C7", "a name of the swap's that is taken")
def test_names_that_the_swap_needs_are_tried(database: Database, attack: Attack) -> None:
    # Given a function with the name that the plan's own trigger function takes at the swap
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, at timestamptz)",
        "CREATE FUNCTION t_on_update() RETURNS int LANGUAGE sql RETURN 1",
    )
    said = database.plan_text({"t": ["id"]}) + '[[tables.fill]]\nname = "at"\nvalue = "now()"\non_update = "now()"\n'
    found = only(database.check_text(said + "stable = false\n").blockers, "name_taken")
    assert "t_on_update" in found.words
    attack.record("named before the first write")


@pytest.mark.attack("C7", "foreign keys over the plan's border, tried while others write to all tables")
def test_foreign_keys_are_tried_and_nobody_waits(database: Database, attack: Attack) -> None:
    # Given keys of every kind, within the plan and over its border, and writers whose transactions are open
    database.run(
        'CREATE TABLE town (id int PRIMARY KEY, "a %s" int UNIQUE)',
        "CREATE TABLE team (id text PRIMARY KEY, town int REFERENCES town ON DELETE CASCADE)",
        "CREATE TABLE emp (id text PRIMARY KEY, team text REFERENCES team DEFERRABLE, mentor text, n int UNIQUE)",
        "ALTER TABLE emp ADD CONSTRAINT loose FOREIGN KEY (mentor) REFERENCES emp NOT VALID",
        "CREATE TABLE badge (id int PRIMARY KEY, n int REFERENCES emp (n)) ",
        "INSERT INTO town VALUES (1, 1)",
        "INSERT INTO team VALUES ('$ID', 1)",
        "INSERT INTO emp VALUES ('$ID', '$ID', NULL, 1)",
        "INSERT INTO badge VALUES (1, 1)",
    )
    with psycopg.connect(database.url) as writer:
        writer.execute("UPDATE town SET id = id; UPDATE team SET id = id")
        writer.execute("UPDATE emp SET n = n; UPDATE badge SET n = n")
        report = database.check({"team": ["id"], "emp": ["id", "team", "mentor"]})
    # Then nothing is in the way, nothing was waited for, and nothing is left
    assert codes(report.blockers) == []
    assert "trial_unfinished" not in codes(report.warnings)
    assert database.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%'") == []
    # And how long the swap's statements took is told
    assert report.hold_ms is not None
    assert 0 < report.hold_ms < 10_000
    attack.record("tried on stand-ins; no writer waited")


@pytest.mark.attack("C7", "an event trigger that makes each statement of the swap slow")
def test_a_swap_that_would_take_too_long_is_foretold(
    database: Database, monkeypatch: pytest.MonkeyPatch, attack: Attack
) -> None:
    # Given a role that may not switch event triggers off, as all but superusers may not
    monkeypatch.setattr(connection, "query", lambda _name: SQL("SELECT 1"))
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, n int)",
        "CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); END $$",
        "CREATE EVENT TRIGGER slow ON ddl_command_end EXECUTE FUNCTION slow()",
    )
    report = database.check_text(database.plan_text({"t": ["id"]}) + "[options]\ncutover_hold_budget_ms = 50\n")
    # Then two moves and what is switched take longer at the least
    assert report.to_json()["forecast"]["hold_ms"] > 50
    assert "cutover_hold_budget_ms = 50" in only(report.warnings, "hold_too_long").words
    attack.record("foretold, with the budget")


@pytest.mark.attack("C7", "an operator for uuid and text that only a search_path finds")
def test_what_only_the_trial_s_search_path_finds_is_no_success(database: Database, attack: Attack) -> None:
    # Given operators of the user's own that make a trigger and a policy work, where they are found
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, note text)",
        "CREATE FUNCTION same(uuid, text) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN $1::text = $2",
        "CREATE OPERATOR = (FUNCTION = same, LEFTARG = uuid, RIGHTARG = text)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER noted AFTER INSERT ON t FOR EACH ROW WHEN (NEW.id = NEW.note) EXECUTE FUNCTION f()",
        "CREATE TRIGGER fine AFTER INSERT ON t FOR EACH ROW WHEN (NEW.note IS NOT NULL) EXECUTE FUNCTION f()",
        "CREATE POLICY own ON t USING (id = note)",
        "ALTER TABLE t ADD CONSTRAINT late CHECK (id = note) NOT VALID",
    )
    failed = _failed(database, {"t": ["id"]})
    # Then they are named: the swap, which looks for names in full, would not find the operator
    assert failed.keys() == {
        "trigger noted of public.t",
        "row security policy own of public.t",
        "constraint late of public.t",
    }
    assert all("operator public.=(uuid,text)" in words for words in failed.values()), failed
    attack.record("named before the first write", tried=3)


@pytest.mark.attack("C7", "one of many definitions of a table that its next one cannot have")
def test_the_statement_that_failed_is_named(database: Database, attack: Attack) -> None:
    # Given an index that names the rows for replication, and is unique no longer where the table is partitioned
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, at date NOT NULL, n int NOT NULL)",
        "CREATE UNIQUE INDEX t_n ON t (n)",
        "CREATE UNIQUE INDEX t_at ON t (at)",
        "COMMENT ON INDEX t_at IS 'fine'",
        "ALTER TABLE t REPLICA IDENTITY USING INDEX t_n",
    )
    said = database.plan_text({"t": ["id"]})
    said += '[tables.partition]\ncolumn = "at"\nby = "range"\nevery = "month"\nconsent = ["uniqueness"]\n'
    found = [f for f in database.check_text(said).blockers if f.code == "trial_failed"]
    # Then the message shows which statement it was, and the finding has all of it
    assert found
    assert "in: ALTER TABLE" in found[0].message
    assert "REPLICA IDENTITY USING INDEX" in found[0].details["statement"]
    attack.record("named with its statement")


@pytest.mark.attack("C7", "serials, memberships in publications and keys over the border that do not come back")
def test_what_the_swap_takes_away_is_tried_beside(database: Database, attack: Attack) -> None:
    # Given an event trigger that minds sequences let go, and it may not be switched off
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, no serial)",
        "CREATE FUNCTION minds() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF current_query() LIKE '%OWNED BY NONE%' THEN RAISE 'sequences are mine' USING DETAIL = 'so it is'; END IF;"
        " END $$",
    )
    database.run(
        "CREATE EVENT TRIGGER minds ON ddl_command_start WHEN TAG IN ('ALTER SEQUENCE') EXECUTE FUNCTION minds()"
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(connection, "query", lambda _name: SQL("SELECT 1"))
        report = database.check({"t": ["id"]})
    found = only(report.blockers, "trial_failed")
    assert found.details["object"] == "sequences of public.t"
    assert "sequences are mine (so it is)" in found.message
    # And nobody who draws from the sequence waits for the trial
    with psycopg.connect(database.url) as writer:
        writer.execute("SELECT nextval('t_no_seq')")
        assert "trial_unfinished" not in codes(database.check({"t": ["id"]}).warnings)
    attack.record("named before the first write")
