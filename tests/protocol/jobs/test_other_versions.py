"""What another version of Replank wrote into the ledger is refused in words."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from support.runs.harness import Rebuild, table

from replank.errors import NeedsOperator
from sql.ledger.tables import tables

Begin = Callable[..., Rebuild]

pytestmark = [pytest.mark.protocol]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE replank.run_table SET spec = spec - 'columns'", "its document has no 'columns'"),
        ("""UPDATE replank.run_table SET spec = spec || '{"of_tomorrow": 1}'""", "its document is another one"),
        ("UPDATE replank.run_table SET cut_to = '[1]'", "cut_to"),
    ],
)
def test_what_another_version_wrote_of_a_table_is_refused_in_words(
    app: psycopg.Connection, begin: Begin, change: str, words: str
) -> None:
    # Given a run, and a table of it that another version has written
    app.execute("CREATE TABLE a AS SELECT gen_random_uuid()::text AS id, g AS n FROM generate_series(1, 20) AS g")
    app.execute("ALTER TABLE a ADD PRIMARY KEY (id)")
    rebuild = begin(table("a", "id"))
    rebuild.connection.execute(change)

    # When it is read, then it says what is not understood, and of which run
    with pytest.raises(NeedsOperator, match=rf"run_id {rebuild.run_id}.*{words}") as refused:
        tables.read_tables(rebuild.connection, rebuild.run_id)
    assert "begun_by" in str(refused.value.hint)
