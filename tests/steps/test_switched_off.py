"""Steps that are switched off have their turn in a later run; step 11 comes at the end; what was read is what runs."""

import random
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monitoring.status.read_status import read_status
from producer.compiling.compile_steps import write_scripts
from producer.planning.resolution import PlanFile
from producer.rollback.finish import Finishing
from producer.scripts.planned_scripts import blocks_by, next_script, run_to_end
from producer.scripts.run_script import ScriptRunner
from producer.starting.begin import begin_or_resume
from producer.starting.compile_all import compile_all
from producer.starting.plan_tables import plan_tables
from replank.errors import NeedsOperator, WrongUse
from replank.plan.plan import Plan
from replank.values.states import RunState
from sql.ledger.runs import runs, scripts
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection, connect
from steps.dumps import dump, psql, try_psql
from steps.hand_shop import (
    AUDIT,
    PARTS,
    UUIDS,
    compile_by_hand,
    execute,
    name_of,
    plan_of,
    run_to_its_end,
    type_of,
    written,
)

pytestmark = pytest.mark.catalogue

EIGHT, NINE, TEN = "08-migrate-uuid-types", "09-populate-audit-fields", "10-setup-partitioning"


def _file(plan: Plan) -> PlanFile:
    return PlanFile(plan=plan, source="plan.toml", text="")


def _finish(connection: Connection) -> None:
    finishing = Finishing(
        connection=connection, say=lambda _: None, sleep=lambda _: None, random_source=random.Random(1)
    )
    finishing.finish(finishing.run_to_finish())


def _partitioned(url: str) -> bool:
    with psycopg.connect(url) as session:
        found = session.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = 'orders'::regclass").fetchone()
    assert found is not None
    return bool(found[0])


def test_a_step_that_is_off_has_its_turn_later(shops: tuple[str, str]) -> None:
    shop, other = shops
    # Given a run of the whole plan without steps 09 and 10
    parts: list[dict[str, Any]] = [UUIDS, AUDIT, PARTS]
    first = run_to_its_end(shop, plan_of(name_of(shop), *parts, off=[NINE, TEN]))
    assert read_status(first.connection).to_json()["off"] == [NINE, TEN]
    assert (type_of(shop, "orders"), type_of(shop, "orders", "created_by")) == ("uuid", "")
    assert type_of(shop, "note", "code") == ""
    assert not _partitioned(shop)
    assert {table.spec.name for table in first.tables} == {"person", "orders"}

    # When it is finished, and the same plan runs with nothing switched off; the texts in the plan are compared as such
    _finish(first.connection)
    first.close()
    execute(shop, "UPDATE entry SET row_id = row_id::uuid::text")
    later = [UUIDS, _by_text(AUDIT), PARTS]
    second = run_to_its_end(shop, plan_of(name_of(shop), *later))
    assert [table.spec.name for table in second.tables] == ["orders", "note"]
    _finish(second.connection)
    second.close()

    # Then the database is what one run would have made of it
    whole = run_to_its_end(other, plan_of(name_of(other), *later))
    _finish(whole.connection)
    whole.close()
    assert dump(shop, without="replank*") == dump(other, without="replank*")


def _by_text(audit: dict[str, Any]) -> dict[str, Any]:
    join = [{**audit["orders"]["join"][0], "on": "who.row_id = live.id::text"}]
    return {**audit, "orders": {**audit["orders"], "join": join}}


def test_the_first_step_that_is_on_carries_the_pass(shop: str) -> None:
    plan = plan_of(name_of(shop), UUIDS, AUDIT, PARTS, off=[EIGHT])
    eight, nine, ten = compile_by_hand(shop, plan)
    assert "the plan disables this step" in eight.forward.text
    assert not eight.forward.blocks
    assert "are swapped, in one transaction" in nine.forward.text
    assert "::uuid" not in nine.forward.text
    assert "fused" in ten.forward.text
    rebuild = run_to_its_end(shop, plan)
    assert scripts.has_step(rebuild.connection, rebuild.run_id, NINE)
    assert not scripts.has_step(rebuild.connection, rebuild.run_id, EIGHT)
    rebuild.close()
    assert (type_of(shop, "orders"), type_of(shop, "orders", "created_by")) == ("text", "text")
    assert _partitioned(shop)


def test_finish_drops_what_step_11_says_and_psql_does_the_same(shops: tuple[str, str], tmp_path: Path) -> None:
    for url in shops:
        execute(url, "ALTER TABLE entry ADD old text; CREATE INDEX ON entry (old)")
    hand, other = shops
    plans = {url: _with_drop(plan_of(name_of(url), UUIDS, PARTS)) for url in shops}
    with connect(hand, name="test") as connection:
        eleven = {each.step.number: each for each in compile_all(connection, _file(plans[hand]))}[11]
    passes = written(compile_by_hand(hand, plans[hand]), tmp_path)
    files = written([eleven], tmp_path)
    for file in passes[:3]:
        psql(hand, file)
    execute(hand, "CREATE VIEW mine AS SELECT id FROM replank_past.orders")
    assert "view public.mine depends on table replank_past.orders" in try_psql(hand, files[0]).stderr
    execute(hand, "DROP VIEW mine")
    psql(hand, files[0])
    assert "nothing can be rolled back" in try_psql(hand, files[1]).stderr

    rebuild = run_to_its_end(other, plans[other])
    with pytest.raises(NeedsOperator, match=r"view public\.mine depends on past tables"):
        execute(other, "CREATE VIEW mine AS SELECT id FROM replank_past.orders")
        _finish(rebuild.connection)
    execute(other, "DROP VIEW mine")
    _finish(rebuild.connection)
    rebuild.close()
    assert dump(hand) == dump(other, without="replank")
    assert type_of(hand, "entry", "old") == ""


def _with_drop(plan: Plan) -> Plan:
    return Plan.model_validate({**plan.model_dump(by_alias=True), "steps": {"drop": {"columns": ["entry.old"]}}})


def test_columns_that_are_used_are_not_dropped(shop: str) -> None:
    execute(shop, "CREATE VIEW actors AS SELECT actor FROM entry")
    plan = plan_of(name_of(shop), UUIDS)
    for column, words in {
        "entry.actor": "view public.actors",
        "entry.none": "column entry.none does not exist",
        "orders.total": "this plan rebuilds its table",
    }.items():
        steps = {"steps": {"drop": {"columns": [column]}}}
        wanted = Plan.model_validate({**plan.model_dump(by_alias=True), **steps})
        with connect(shop, name="test") as connection, pytest.raises(WrongUse, match=words):
            compile_all(connection, _file(wanted))


def _reviewed(shop: str, folder: Path, **steps: Any) -> tuple[PlanFile, Connection]:
    plan = plan_of(name_of(shop), UUIDS)
    file = _file(Plan.model_validate({**plan.model_dump(by_alias=True), "steps": steps}))
    connection = connect(shop, name="test")
    write_scripts(compile_all(connection, file), folder)
    return file, connection


def test_a_changed_file_of_the_pass_is_refused_with_its_difference(shop: str, tmp_path: Path) -> None:
    file, connection = _reviewed(shop, tmp_path)
    with connection:
        changed = tmp_path / "08-migrate-uuid-types.sql"
        whole = changed.read_text()
        changed.write_text(whole.replace("'public.person", "'public.nobody", 1))
        with pytest.raises(WrongUse, match=r"(?s)08-migrate-uuid-types\.sql is not what .*\n-.*nobody.*\n\+.*person"):
            begin_or_resume(connection, file, hold_cutover=False, scripts_in=tmp_path)
        assert not ledger_exists(connection)
        changed.write_text(whole)
        # So is a catalogue that has changed since.
        execute(shop, "CREATE INDEX late ON orders (at)")
        with pytest.raises(WrongUse, match=r"(?s)08-migrate-uuid-types\.sql.*\+.*late"):
            begin_or_resume(connection, file, hold_cutover=False, scripts_in=tmp_path)
        execute(shop, "DROP INDEX late")
        run = begin_or_resume(connection, file, hold_cutover=False, scripts_in=tmp_path)
        # What is kept is what was read, and what `compile` writes of the run while it is open.
        kept = scripts.pass_scripts(connection, run.run_id)["08-migrate-uuid-types"]
        assert (kept.script.text, kept.reviewed) == (whole, True)
        again = tmp_path / "again"
        write_scripts(compile_all(connection, file), again)
        assert {p.name: p.read_text() for p in again.iterdir()} == {
            p.name: p.read_text() for p in tmp_path.iterdir() if p.is_file()
        }


def test_earlier_steps_change_what_the_pass_says_so_it_is_read_again(shop: str, tmp_path: Path) -> None:
    file, connection = _reviewed(shop, tmp_path, indexes={"tables": ["orders"]})
    with connection:
        run = begin_or_resume(connection, file, hold_cutover=False, scripts_in=tmp_path)
        script = next_script(connection, run.run_id)
        assert script is not None
        run_to_end(connection, script, blocks_by(ScriptRunner(connection=connection, attempts=3)))
        with pytest.raises(WrongUse, match=r"(?s)08-migrate-uuid-types is not what was reviewed.*compile` again.*\+"):
            plan_tables(connection, run)
        write_scripts(compile_all(connection, file), tmp_path)
        run = begin_or_resume(connection, file, hold_cutover=False, scripts_in=tmp_path)
        assert plan_tables(connection, run)
        assert runs.read_run(connection, run.run_id).state is RunState.RUNNING
