"""A drain deletes by uuid: a row that stays must not go with a twin of another spelling that came and went."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import differences, live, past
from support.runs.harness import Rebuild, table

from replank.values.states import TableState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

SPELLINGS = {
    "canonical": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "braces": "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
    "capitals": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
}
PAIRS = [(stays, goes) for stays in SPELLINGS for goes in SPELLINGS if stays != goes]


@pytest.mark.parametrize("state", [TableState.COPYING, TableState.INDEXING, TableState.READY])
@pytest.mark.parametrize(("stays", "goes"), PAIRS)
def test_gotcha_02_a_twin_that_comes_and_goes_takes_nothing_with_it(
    app: psycopg.Connection, begin: Begin, state: TableState, stays: str, goes: str
) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    app.execute("INSERT INTO t VALUES (%s, 0)", [SPELLINGS[stays]])
    rebuild = begin(table("t", "id"))
    rebuild.until(state)
    app.execute("INSERT INTO t VALUES (%s, 7)", [SPELLINGS[goes]])
    app.execute("DELETE FROM t WHERE id = %s", [SPELLINGS[goes]])
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
