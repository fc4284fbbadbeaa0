"""Capture that did not stand without a gap between a table's verification and its cutover: nothing is lost."""

from collections.abc import Callable, Mapping

import psycopg
import pytest
from support.oracles.oracle import differences, live, on, one, past
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, table

from replank.values.states import TableState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

WRITES = "UPDATE {t} SET n = -n WHERE n < 9; DELETE FROM {t} WHERE n = 10; INSERT INTO {t} VALUES (gen_random_uuid())"
AS_REPLICA = f"SET session_replication_role = replica; {WRITES}; RESET session_replication_role"
ACTS: Mapping[str, str] = {
    "switched": f"ALTER TABLE {{t}} DISABLE TRIGGER USER; {WRITES}; ALTER TABLE {{t}} ENABLE TRIGGER USER",
    "switched_all": f"ALTER TABLE {{t}} DISABLE TRIGGER ALL; {WRITES}; ALTER TABLE {{t}} ENABLE TRIGGER ALL",
    "always_again": "ALTER TABLE {t} DISABLE TRIGGER replank_capture_update; UPDATE {t} SET n = -n WHERE n <= 9;"
    " ALTER TABLE {t} ENABLE ALWAYS TRIGGER replank_capture_update",
    "still_off": f"ALTER TABLE {{t}} DISABLE TRIGGER USER; {WRITES}",
    "origin": f"ALTER TABLE {{t}} ENABLE TRIGGER USER; {AS_REPLICA}",
    "dropped": f"DROP TRIGGER replank_capture_insert ON {{t}}; {WRITES}",
    "made_again": f"DROP TRIGGER replank_capture_delete ON {{t}}; {WRITES}; CREATE TRIGGER replank_capture_delete"
    " AFTER DELETE ON {t} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION replank.{f}()",
    "conditional": f"CREATE OR REPLACE TRIGGER replank_capture_truncate AFTER UPDATE ON {{t}} FOR EACH STATEMENT"
    f" WHEN (false) EXECUTE FUNCTION replank.{{f}}(); DROP TRIGGER replank_capture_update ON {{t}}; {WRITES}",
    "retyped": "ALTER TABLE {t} ALTER COLUMN note TYPE text USING upper(note)",
    "replaced": "ALTER TABLE {t} DROP COLUMN note; ALTER TABLE {t} ADD COLUMN note text",
    "detached": "ALTER TABLE {t} DETACH PARTITION detached_1; UPDATE detached_1 SET n = -n, note = 'away';"
    " ALTER TABLE {t} ATTACH PARTITION detached_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    "switched_part": "ALTER TABLE switched_part_0 DISABLE TRIGGER ALL; UPDATE {t} SET n = -n;"
    " ALTER TABLE switched_part_0 ENABLE TRIGGER ALL",
    "function": "CREATE OR REPLACE FUNCTION replank.{f}() RETURNS trigger LANGUAGE plpgsql AS"
    f" 'BEGIN RETURN NULL;END'; {WRITES}",
    "log": f"{WRITES}; TRUNCATE replank.{{l}}",
    "packed": f"{WRITES}; VACUUM FULL {{t}}",
    "emptied": "TRUNCATE {t}; INSERT INTO {t} VALUES (gen_random_uuid(), 1)",
}
"""What another session does while every table waits for its cutover. The last two lose nothing by themselves."""

PARTITIONED = ("detached", "switched_part")


def _create(app: psycopg.Connection, name: str) -> None:
    by_hash = name in PARTITIONED
    more = " PARTITION BY HASH (id)" if by_hash else ""
    app.execute(f"CREATE TABLE {name} (id text PRIMARY KEY, n int, note text){more}".encode())
    for part in (0, 1) if by_hash else ():
        bound = f"FOR VALUES WITH (MODULUS 2, REMAINDER {part})"
        app.execute(f"CREATE TABLE {name}_{part} PARTITION OF {name} {bound}".encode())
    on(app, name, "INSERT INTO {t} SELECT gen_random_uuid()::text, g, 'row ' || g FROM generate_series(1, 120) AS g")


def _act(app: psycopg.Connection, rebuild: Rebuild, name: str) -> None:
    spec = rebuild.spec(name)
    for statement in ACTS[name].format(t=name, f=spec.capture_name, l=spec.log_name).split("; "):
        app.execute(statement.encode())


def _lost(app: psycopg.Connection, names: Mapping[str, str]) -> dict[str, object]:
    return {name: found for name in names if (found := differences(app, past(name), live(name), {"id"}))}


@pytest.mark.attack("B1", "Capture is switched off, dropped or passed by between a verification and the cutover")
def test_what_capture_missed_comes_along(app: psycopg.Connection, begin: Begin, attack: Attack) -> None:
    for name in ACTS:
        _create(app, name)
    rebuild = begin(*[table(name, "id") for name in ACTS], cutover_attempts=3)
    rebuild.ready()
    for name in ACTS:
        _act(app, rebuild, name)
    rebuild.finish()
    lost = _lost(app, ACTS)
    attack.record("noticed and said; verified again, what was missed came along", tried=len(ACTS), lost=len(lost))
    assert lost == {}
    said = (
        "SELECT count(DISTINCT subject) FROM replank.event WHERE kind = 'capture' AND message LIKE '%verified again%'"
    )
    assert one(app, said) == len(ACTS)


@pytest.mark.attack("B1", "Capture is switched off while the table is still copied, and stays off")
def test_a_verification_begins_only_where_capture_stands(app: psycopg.Connection, begin: Begin, attack: Attack) -> None:
    """Else it would prove a table whose later writes are in no log."""
    acts = {name: ACTS[name] for name in ("still_off", "origin", "dropped", "function")}
    for name in acts:
        _create(app, name)
    rebuild = begin(*[table(name, "id") for name in acts])
    rebuild.until(TableState.COPYING)
    for name in acts:
        _act(app, rebuild, name)
    rebuild.ready()
    app.execute("SET session_replication_role = replica")
    for name in acts:
        on(app, name, "UPDATE {t} SET note = 'later' WHERE n BETWEEN 20 AND 30")
    app.execute("RESET session_replication_role")
    rebuild.finish()
    lost = _lost(app, acts)
    attack.record("restored before the verification", tried=len(acts), lost=len(lost))
    assert lost == {}


@pytest.mark.attack("B1", "A row that capture missed collides with one that it has seen")
def test_a_missed_row_that_collides_with_a_logged_one(app: psycopg.Connection, begin: Begin, attack: Attack) -> None:
    """A drain alone could never bring the new row in: the old one, whose end is in no log, stands in its way."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int UNIQUE)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    rebuild = begin(table("t", "id"), cutover_attempts=3)
    rebuild.ready()
    for drained in (False, True):
        app.execute("ALTER TABLE t DISABLE TRIGGER USER")
        app.execute("DELETE FROM t WHERE n <= 5")
        app.execute("ALTER TABLE t ENABLE TRIGGER USER")
        app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 5) AS g")
        if drained:
            # Too late: the drain was on its way, and fails.
            rebuild.connection.execute(
                "INSERT INTO replank.job (run_id, step, table_no, kind, generation, detail)"
                " VALUES (%s, '08-migrate-uuid-types', 1, 'drain', 1, '{\"compare\": true}')",
                [rebuild.run_id],
            )
            rebuild.work("drain")
            assert len(rebuild.failures()) == 1
        rebuild.turn()
        assert rebuild.table("t").state is not TableState.READY
        if not drained:
            rebuild.ready()
    rebuild.finish()
    lost = differences(app, past("t"), live("t"), {"id"})
    attack.record("verified before anything is drained", tried=2, lost=len(lost))
    assert lost == []
