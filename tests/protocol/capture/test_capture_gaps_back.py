"""Reverse capture that did not stand without a gap since the cutover: a rollback loses nothing, and says so."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import on, one
from support.oracles.returning import go_back
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, table

from monitoring.status.read_status import read_status
from producer.rollback.rollback import roll_back
from replank.errors import NeedsOperator
from replank.values.states import RunState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

WRITE = "UPDATE {t} SET note = 'missed' WHERE n = 9"
GAPS = {
    "switched": "ALTER TABLE {t} DISABLE TRIGGER ALL; " + WRITE + "; ALTER TABLE {t} ENABLE ALWAYS TRIGGER USER",
    "made_again": "DROP TRIGGER replank_capture_back_update ON {t}; " + WRITE + "; CREATE TRIGGER"
    " replank_capture_back_update AFTER UPDATE ON {t} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"
    " FOR EACH STATEMENT EXECUTE FUNCTION replank.{f}(); ALTER TABLE {t} ENABLE ALWAYS TRIGGER"
    " replank_capture_back_update",
    "retyped": "ALTER TABLE {t} ALTER COLUMN note TYPE text USING upper(note)",
    "log": WRITE + "; TRUNCATE replank.{l}",
}  # fmt: skip
INNOCENT = "VACUUM FULL {t}; ANALYZE {t}; ALTER TABLE {t} DISABLE TRIGGER kept; ALTER TABLE {t} ENABLE TRIGGER kept"
TRIGGERS = ("insert", "update", "delete", "truncate")


def _act(app: psycopg.Connection, rebuild: Rebuild, name: str, act: str) -> None:
    number = rebuild.table(name).table_no
    function, log = f"capture_back_{rebuild.run_id}_{number}", f"reverse_log_{rebuild.run_id}_{number}"
    for statement in act.split("; "):
        if statement.endswith("ENABLE ALWAYS TRIGGER USER"):
            for event in TRIGGERS:
                on(app, name, f"ALTER TABLE {{t}} ENABLE ALWAYS TRIGGER replank_capture_back_{event}")  # type: ignore[arg-type]
            on(app, name, "ALTER TABLE {t} ENABLE REPLICA TRIGGER replank_capture_back_row")
        else:
            app.execute(statement.format(t=name, f=function, l=log).encode())


def _create(app: psycopg.Connection, name: str) -> None:
    on(app, name, "CREATE TABLE {t} (id text PRIMARY KEY, n int, note text)")
    on(app, name, "INSERT INTO {t} SELECT gen_random_uuid()::text, g, 'row' FROM generate_series(1, 50) AS g")


@pytest.mark.attack("B1", "Reverse capture is passed by where no comparison could find it, and stands again")
@pytest.mark.parametrize("gap", GAPS)
def test_a_gap_closes_the_way_back_of_columns_that_the_run_has_filled(
    app: psycopg.Connection, begin: Begin, gap: str, attack: Attack
) -> None:
    """What was missed in them cannot be told from what the run has filled in."""
    _create(app, "t")
    rebuild = begin(table("t", "id", fill=[{"name": "note", "value": "'filled'", "only_null": False}]))
    rebuild.finish()
    found = read_status(rebuild.connection).rollback_facts
    assert found is not None
    assert (found.closed, found.doubtful) == ((), ())
    _act(app, rebuild, "t", GAPS[gap])
    found = read_status(rebuild.connection).rollback_facts
    assert found is not None
    assert "public.t" in found.closed[0]
    with pytest.raises(NeedsOperator, match="a rollback would lose changes"):
        go_back(rebuild)
    assert rebuild.run.state is RunState.DONE
    attack.record("the way back is closed, and says so", lost=0)


def test_what_touches_no_row_closes_nothing(app: psycopg.Connection, begin: Begin) -> None:
    _create(app, "t")
    app.execute(
        "CREATE TRIGGER kept BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    rebuild = begin(table("t", "id", fill=[{"name": "note", "value": "'filled'", "only_null": False}]))
    rebuild.finish()
    _act(app, rebuild, "t", INNOCENT)
    app.execute("UPDATE t SET note = 'later' WHERE n = 9")
    go_back(rebuild)
    assert one(app, "SELECT array_agg(note ORDER BY n) FROM t WHERE n IN (8, 9)") == ["row", "later"]


@pytest.mark.attack("B1", "Reverse capture is passed by between a rollback's comparison and its swap")
@pytest.mark.parametrize("gap", GAPS)
def test_a_gap_after_the_comparison_has_both_sides_compared_again(
    app: psycopg.Connection, begin: Begin, gap: str, attack: Attack
) -> None:
    _create(app, "t")
    rebuild = begin(table("t", "id"), capture_attempts=3)
    rebuild.finish()
    said: list[str] = []

    def say(words: str) -> None:
        said.append(words)
        if "are equal" in words and len([w for w in said if "are equal" in w]) == 1:
            _act(app, rebuild, "t", GAPS[gap])

    with pytest.raises(NeedsOperator, match="differ in rows"):
        roll_back(rebuild.connection, say=say, sleep=lambda _: None)
    # Nothing has changed places: the row is where it was written.
    assert one(app, "SELECT pg_typeof(id)::text FROM t LIMIT 1") == "uuid"
    assert one(app, "SELECT note FROM t WHERE n = 9") == ("ROW" if gap == "retyped" else "missed")
    attack.record("compared again, refused by name", lost=0)
    # What an UPDATE of the new table names goes along.
    app.execute("UPDATE t SET n = n")
    go_back(rebuild)
    assert one(app, "SELECT note FROM t WHERE n = 9") == ("ROW" if gap == "retyped" else "missed")
