"""The pass by psql beside a table that is rewritten, not MVCC-safely, at any of its snapshots."""

from pathlib import Path

import pytest
from support.runs.attacks import Attack

from steps.dumps import dump, programs, psql, try_psql
from steps.hand_shop import UUIDS, compile_by_hand, execute, name_of, plan_of, type_of, written

pytestmark = pytest.mark.catalogue

SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ;\n"
REWRITE = "SET lock_timeout = 100; ALTER TABLE public.orders ALTER COLUMN total TYPE numeric(9, 2) USING total + 0"


@pytest.mark.attack("A4", "ALTER TABLE … TYPE … USING at the snapshots of the steps' scripts by psql")
def test_a_script_ends_where_a_table_was_rewritten_beside_its_snapshot(
    shops: tuple[str, str], tmp_path: Path, attack: Attack
) -> None:
    shop = shops[0]
    execute(shop, "DROP MATERIALIZED VIEW totals; DROP VIEW recent; DROP INDEX orders_of")
    before = dump(shop)
    files = written(compile_by_hand(shop, plan_of(name_of(shop), UUIDS)), tmp_path)
    parts = files[0].read_text().split(SNAPSHOT)
    # Given another session that rewrites a table once psql's transaction has its snapshot
    session = f"SELECT 1;\n\\! {programs(shop) / 'psql'} -q -d '{shop}' -c \"{REWRITE}\"\n"
    of_orders = [n for n in range(1, len(parts)) if "public.orders" in parts[n].split("COMMIT;")[0].lower()]
    for place in (of_orders[0], of_orders[len(of_orders) // 2], of_orders[-1]):
        text = SNAPSHOT.join([*parts[:place], session + parts[place], *parts[place + 1 :]])
        (tmp_path / "beside.sql").write_text(text)
        found = try_psql(shop, tmp_path / "beside.sql")
        # Then its transaction does not commit, and the way back is open
        assert found.returncode != 0
        assert "was rewritten" in found.stderr
        psql(shop, files[-1])
        assert dump(shop) == before
        attack.record("the script ended, its rollback took all back")
    psql(shop, files[0])
    assert type_of(shop, "orders") == "uuid"
