"""Steps 08, 09 and 10 by psql: the same database as by a run, and back to where it began."""

import re
import threading
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.runs.attacks import Attack

from producer.planning.resolution import PlanFile
from producer.starting.preflight import prepare_or_refuse
from replank.values.chunk import Axis, Chunk
from sql.rows.copy import copy_statement
from sql.session.connection import connect
from steps.dumps import dump, psql, try_psql
from steps.hand_shop import (
    AUDIT,
    BY_DATE,
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

OURS = "replank*"


def _numberless(url: str) -> str:
    """The database without our own schemas. Functions of reverse capture bear the number of their run."""
    return re.sub(r"capture_back_\d+_", "capture_back_N_", dump(url, without=OURS))


@pytest.mark.parametrize(
    "parts", [[UUIDS], [AUDIT], [PARTS, BY_DATE], [UUIDS, AUDIT, PARTS]], ids=["uuids", "audit", "partitions", "all"]
)
def test_by_hand_and_by_a_run(parts: list[dict[str, Any]], shops: tuple[str, str], tmp_path: Path) -> None:
    hand, other = shops
    before = dump(hand)
    files = written(compile_by_hand(hand, plan_of(name_of(hand), *parts)), tmp_path)
    assert dump(hand) == before, "to compile has left something"

    for file in files[:3]:
        psql(hand, file)
    run_to_its_end(other, plan_of(name_of(other), *parts)).close()
    assert _numberless(hand) == _numberless(other)

    for file in files[3:]:
        psql(hand, file)
    assert dump(hand) == before
    assert "There is no pass by psql" in "".join(try_psql(hand, file).stderr for file in files[3:])


@pytest.mark.attack("A3", "a snapshot older than the swap, where psql runs the scripts")
def test_old_snapshots_end_before_tables_change_places_by_hand(
    shops: tuple[str, str], tmp_path: Path, attack: Attack
) -> None:
    """Forward and back; the sessions are named."""
    url = shops[0]
    files = written(compile_by_hand(url, plan_of(name_of(url), UUIDS, cutover_attempts=1)), tmp_path)
    forward = next(file for file in files[:3] if "are swapped, in one transaction" in file.read_text())
    back = next(file for file in files[3:] if "are live again" in file.read_text())

    def refused(file: Path) -> bool:
        with psycopg.connect(url) as old:
            old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            old.execute("SELECT count(*) FROM entry")
            said = try_psql(url, file).stderr
            assert f"newest rows of the new tables; end them or wait for them: pid {old.info.backend_pid}" in said
            return old.execute("SELECT count(*) FROM person").fetchall() == [(40,)]

    before = dump(url)
    assert refused(forward)
    psql(url, back)
    psql(url, forward)
    assert refused(back)
    psql(url, back)
    assert dump(url) == before
    attack.record("the script ended before the lock, naming the session", tried=2, lost=0)


def test_what_was_written_after_the_swap_comes_back_with_its_spelling(shops: tuple[str, str], tmp_path: Path) -> None:
    hand, other = shops
    files = written(compile_by_hand(hand, plan_of(name_of(hand), UUIDS, PARTS)), tmp_path)
    for file in files[:3]:
        psql(hand, file)
    for url in shops:
        execute(url, WRITES)
    for file in files[3:]:
        psql(hand, file)
    # The same was written into the other one, which was never migrated.
    assert dump(hand) == dump(other)


WRITES = """
UPDATE person SET "Name" = 'changed' WHERE no = 7;
DELETE FROM person WHERE no = 8;
INSERT INTO person (id, "Name") VALUES ('00000000-0000-4000-8000-0000000000ab', 'new');
INSERT INTO orders (id, person_id, at, total)
  SELECT '00000000-0000-4000-8000-0000000000cd', id, timestamptz '2026-02-02', 7 FROM person WHERE no = 9;
REFRESH MATERIALIZED VIEW totals
"""


def test_a_pass_that_stopped_halfway_is_taken_back(shops: tuple[str, str], tmp_path: Path) -> None:
    hand, _ = shops
    before = dump(hand)
    steps = compile_by_hand(hand, plan_of(name_of(hand), UUIDS))
    files = written(steps, tmp_path)
    # Two spellings of one uuid: the next table's key finds them.
    twin = "INSERT INTO person (id, \"Name\") SELECT lower(id), 'twin' FROM person WHERE no = 3"
    execute(hand, twin)
    stopped = try_psql(hand, files[0])
    assert stopped.returncode != 0
    assert "is duplicated" in stopped.stderr
    execute(hand, "DELETE FROM person WHERE \"Name\" = 'twin'")
    assert "has a next or past table already" in try_psql(hand, files[0]).stderr
    psql(hand, files[5])
    execute(hand, "SELECT setval(pg_get_serial_sequence('person', 'no'), 40)")
    assert dump(hand) == before
    psql(hand, files[0])
    assert type_of(hand, "person") == "uuid"


def test_another_definition_than_the_compiled_one_is_refused(shops: tuple[str, str], tmp_path: Path) -> None:
    hand, _ = shops
    files = written(compile_by_hand(hand, plan_of(name_of(hand), UUIDS)), tmp_path)
    execute(hand, "ALTER TABLE person ADD nick text")
    assert "its definition has changed" in try_psql(hand, files[0]).stderr
    assert type_of(hand, "person") == "text"


GAP = """
ALTER TABLE public.person DISABLE TRIGGER {trigger};
UPDATE public.person SET "Name" = "Name" || '!' WHERE no = 7;
ALTER TABLE public.person ENABLE ALWAYS TRIGGER {trigger};
"""


@pytest.mark.attack("B1", "By psql: capture is switched off between the comparison and the swap, there and back")
def test_capture_that_did_not_stand_stops_the_swap(shops: tuple[str, str], tmp_path: Path, attack: Attack) -> None:
    hand, _ = shops
    files = written(compile_by_hand(hand, plan_of(name_of(hand), UUIDS)), tmp_path)
    whole = files[0].read_text()
    files[0].write_text(_with(whole, "are swapped, in one transaction", GAP.format(trigger="replank_capture_update")))
    assert "capture was disabled or bypassed" in try_psql(hand, files[0]).stderr
    assert type_of(hand, "person") == "text"
    psql(hand, files[5])

    files[0].write_text(whole)
    psql(hand, files[0])
    back = files[5].read_text()
    gap = GAP.format(trigger="replank_capture_back_update")
    files[5].write_text(_with(back, "the past tables are live again", gap))
    assert "capture was disabled or bypassed" in try_psql(hand, files[5]).stderr
    assert type_of(hand, "person") == "uuid"
    attack.record("the script ends before the swap and says why", tried=2, lost=0)


def _with(script: str, purpose: str, more: str) -> str:
    """The script with statements before the block of this purpose."""
    start = script.rindex("\n\n", 0, script.index(purpose))
    return f"{script[:start]}\n\n{more}{script[start:]}"


def test_what_only_a_run_can_do_refuses_at_its_top(shops: tuple[str, str], tmp_path: Path) -> None:
    hand, _ = shops
    aside = {
        "person": {"columns": [{"name": "id", "to": "uuid", "on_invalid": "quarantine"}]},
        "orders": {"columns": [{**column, "on_invalid": "quarantine"} for column in UUIDS["orders"]["columns"]]},
    }
    before = dump(hand)
    files = written(compile_by_hand(hand, plan_of(name_of(hand), aside)), tmp_path)
    for file in (files[0], files[5]):
        refused = try_psql(hand, file)
        assert refused.returncode != 0
        assert "only `replank run` can" in refused.stderr
        assert "quarantine" in refused.stderr
    assert dump(hand) == before


def test_the_chunk_of_a_script_is_the_chunk_of_a_job(shops: tuple[str, str]) -> None:
    hand, _ = shops
    plan = plan_of(name_of(hand), UUIDS, AUDIT, PARTS)
    pass_, audit, parts = compile_by_hand(hand, plan)
    with connect(hand, name="test") as connection:
        specs = prepare_or_refuse(connection, PlanFile(plan=plan, source="plan.toml", text="")).specs
        for spec in (spec for spec in specs if spec.method == "rebuild"):
            chunk = Chunk(axis=Axis.HEAP, lower=("0",), upper=("9",))
            job = copy_statement(spec, chunk, connection.info.server_version).as_string(connection)
            for bound, name in (("(0,0)", "lower"), ("(9,0)", "upper")):
                job = job.replace(f"'{bound}'::pg_catalog.tid", f"replank_loop.replank_{name}")
            assert job in pass_.forward.text
    # The others say what is theirs, and prove it.
    assert "created_by text, in existing rows: who.actor" in audit.forward.text
    assert 'partitioned by HASH ("id")' in parts.forward.text
    assert "fused" in audit.forward.text
    assert not audit.back.blocks


def test_nothing_that_is_written_meanwhile_is_lost(shop: str, tmp_path: Path) -> None:
    files = written(compile_by_hand(shop, plan_of(name_of(shop), UUIDS, PARTS)), tmp_path)
    stop = threading.Event()
    acknowledged: dict[str, int] = {}

    def write() -> None:
        with psycopg.connect(shop, autocommit=True, prepare_threshold=None) as session:
            person = session.execute("SELECT id FROM person WHERE no = 1").fetchone()
            assert person is not None
            number = 0
            while not stop.is_set():
                number += 1
                name = str(uuid.uuid4())
                session.execute(
                    "INSERT INTO orders (id, person_id, at, total) VALUES (%s, %s, '2026-03-03', 0)", [name, person[0]]
                )
                session.execute("UPDATE orders SET total = %s WHERE id = %s", [number % 1000, name])
                acknowledged[name] = number % 1000
                if number % 3 == 0:
                    session.execute("DELETE FROM orders WHERE id = %s", [name])
                    del acknowledged[name]

    writer = threading.Thread(target=write)
    writer.start()
    try:
        psql(shop, files[0])
    finally:
        stop.set()
        writer.join()
    with psycopg.connect(shop) as session:
        found = session.execute("SELECT id::text, total::int FROM orders WHERE at = '2026-03-03'").fetchall()
        moved = session.execute("SELECT count(*) FROM replank_past.orders WHERE at = '2026-03-03'").fetchone()
    assert dict(found) == acknowledged
    assert moved is not None
    assert moved[0] > 0, "nothing was written before the swap"


def test_next_to_nothing_is_drained_under_the_lock(shop: str, tmp_path: Path) -> None:
    """What was written between the verification and the swap is out of the log before the lock is asked for."""
    execute(shop, "DROP MATERIALIZED VIEW totals; DROP VIEW recent")
    steps = compile_by_hand(shop, plan_of(name_of(shop), UUIDS, PARTS))
    files = written(steps, tmp_path)
    blocks = re.split(r"(?m)^-- \[\d+\] ", files[0].read_text())
    swap = next(number for number, block in enumerate(blocks) if "are swapped, in one transaction" in block)
    verified = max(number for number, block in enumerate(blocks) if "verified: count and hash" in block)
    for name, part in (("before", blocks[: verified + 1]), ("rest", [blocks[0], *blocks[verified + 1 : swap]])):
        (tmp_path / f"{name}.sql").write_text("-- ".join(part))
    psql(shop, tmp_path / "before.sql")
    execute(shop, "UPDATE orders SET total = total + 1")
    psql(shop, tmp_path / "rest.sql")
    with psycopg.connect(shop) as session:
        logs = session.execute("SELECT tablename FROM pg_tables WHERE tablename ~ '^log_0_'").fetchall()
        counted = SQL("SELECT count(*) FROM {}")
        counts = [session.execute(counted.format(Identifier("replank", name))).fetchone() for (name,) in logs]
    assert len(counts) == 2
    assert set(counts) == {(0,)}


def test_what_comes_in_between_the_drains_of_the_way_back_holds_nobody_up(shop: str, tmp_path: Path) -> None:
    """Parents are drained before children: a pair comes in after the parents' drain and before the children's."""
    steps = compile_by_hand(shop, plan_of(name_of(shop), UUIDS))
    psql(shop, written(steps, tmp_path)[0])
    back = steps[0].back.text
    drained = back.rindex("\n", 0, back.index("public.person: past and new table are equal")) + 1
    pair = """
INSERT INTO public.person (id, "Name") VALUES ('00000000-0000-4000-8000-0000000000ab', 'between');
INSERT INTO public.orders (id, person_id, at, total)
  VALUES ('00000000-0000-4000-8000-0000000000cd', '00000000-0000-4000-8000-0000000000ab', '2026-03-03', 1);
"""
    between = tmp_path / "between.sql"
    between.write_text(back[:drained] + pair + back[drained:])
    psql(shop, between)
    assert type_of(shop, "person") == "text"
    with psycopg.connect(shop) as session:
        found = session.execute(
            "SELECT p.\"Name\" FROM orders o JOIN person p ON p.id = o.person_id WHERE at = '2026-03-03'"
        )
        assert found.fetchall() == [("between",)]
