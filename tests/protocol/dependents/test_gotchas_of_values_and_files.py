"""Traps of backfills and of server versions. The numbers are those of the list of traps."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg.sql import SQL
from support.oracles.oracle import column_type, differences, live, one, past
from support.runs.harness import Rebuild, eventually, table

from replank.values.states import TableState
from sql.values.uuid_texts import HAS_INPUT_IS_VALID, is_valid

pytestmark = [pytest.mark.protocol, pytest.mark.core]

Begin = Callable[..., Rebuild]

NOTES = """
CREATE TABLE note (id int PRIMARY KEY, word text, n int) WITH (fillfactor = 60);
INSERT INTO note SELECT g, 'word ' || g, g FROM generate_series(1, 4000) AS g;
CREATE INDEX note_word ON note (word);
VACUUM ANALYZE note
"""
VOLATILE = [
    {"name": "token", "type": "uuid", "default": "gen_random_uuid()", "not_null": True, "unique": True},
    {"name": "seen_at", "type": "timestamptz", "default": "clock_timestamp()", "not_null": True},
    {"name": "luck", "type": "float8", "default": "random()"},
]


@pytest.fixture
def notes(app: psycopg.Connection) -> None:
    for statement in NOTES.split(";\n"):
        app.execute(statement.encode())


@pytest.mark.usefixtures("notes")
def test_gotcha_23_volatile_defaults_rewrite_nothing_and_give_each_row_its_own_value(
    app: psycopg.Connection, begin: Begin
) -> None:
    """`ADD COLUMN … DEFAULT gen_random_uuid()` would rewrite the table under its lock."""
    file = "SELECT pg_relation_filenode('note')"
    before = one(app, file)
    rebuild = begin(table("note", method="backfill", add=VOLATILE))
    rebuild.until(TableState.EXTENDED)
    assert one(app, file) == before
    app.execute("INSERT INTO note (id) VALUES (-1), (-2)")
    rebuild.finish()
    assert one(app, file) == before
    counted = "SELECT count(*), count(DISTINCT token), count(DISTINCT luck) FROM note"
    assert app.execute(counted).fetchall() == [(4002, 4002, 4002)]
    assert int(str(one(app, "SELECT count(DISTINCT seen_at) FROM note"))) > 100
    defaults = app.execute(
        "SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid"
        " AND attnum = adnum WHERE adrelid = 'note'::regclass"
    ).fetchall()
    assert dict(defaults) == {
        "token": "gen_random_uuid()",
        "seen_at": "clock_timestamp()",
        "luck": "random()",
    }


@pytest.mark.usefixtures("notes")
def test_gotcha_24_indexes_on_new_columns_come_after_the_fill(app: psycopg.Connection, begin: Begin) -> None:
    """Before, every update would have to go into every index: none of them would be HOT."""
    new_indexes = (
        "SELECT count(*) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
        " WHERE i.indrelid = 'note'::regclass AND a.attname IN ('token', 'mark')"
    )
    added = [VOLATILE[0], {"name": "mark", "type": "int", "value": "live.n + 1", "unique": True}]
    rebuild = begin(table("note", method="backfill", add=added))
    rebuild.until(TableState.BACKFILLING)
    while rebuild.table("note").state in (TableState.BACKFILLING, TableState.EXTENDED):
        assert one(app, new_indexes) == 0
        if not rebuild.advance("note"):
            rebuild.pass_time()
            rebuild.work()
    assert one(app, "SELECT count(*) FROM note WHERE token IS NULL OR mark IS NULL") == 0
    # The share is read before the unique indexes are built
    flushed = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'note'"
    for connection in (app, rebuild.connection, *rebuild.opened):
        connection.execute("SELECT pg_stat_force_next_flush()")
    eventually(lambda: int(str(one(app, flushed))) >= 4000, "the server's count of updates")
    updated, hot = app.execute(flushed).fetchone() or (0, 0)
    assert hot / updated > 0.5, (updated, hot)
    rebuild.finish()
    assert one(app, new_indexes) == 2


SPELLED = (
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
    "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
    "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
    "", " ", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 ",
    " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
    "a-0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
    "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\n", "null",
)  # fmt: skip


def _says(connection: psycopg.Connection, text: str, version: int, *, array: bool) -> bool:
    given = [text] if array else text
    kind = SQL("%s::text[]" if array else "%s::text")
    found = connection.execute(SQL("SELECT {}").format(is_valid(kind, version, array=array)), [given]).fetchone()
    return bool(found and found[0])


def _parses(connection: psycopg.Connection, text: str) -> bool:
    try:
        connection.execute("SELECT %s::text::uuid", [text])
    except psycopg.errors.InvalidTextRepresentation:
        return False
    return True


@pytest.mark.parametrize("array", [False, True])
def test_gotcha_44_every_version_judges_texts_as_its_own_parser_does(app: psycopg.Connection, array: bool) -> None:
    """From 16 on the server is asked, before a pattern decides; both must say what the cast will do."""
    versions = {app.info.server_version, HAS_INPUT_IS_VALID - 1}
    for text in SPELLED:
        expected = _parses(app, text)
        assert {_says(app, text, version, array=array) for version in versions} == {expected}, text


NEWER = """
CREATE TABLE t (id text PRIMARY KEY DEFAULT {generator}::text, n int, word text);
INSERT INTO t SELECT gen_random_uuid()::text, NULLIF(g, 5), 'w' FROM generate_series(1, 80) AS g;
CREATE PUBLICATION listed FOR TABLE t (id, n) WHERE (n > 3) WITH (publish = 'insert')
"""


def test_gotcha_44_what_only_newer_versions_have_is_carried_there(app: psycopg.Connection, begin: Begin) -> None:
    """15: column lists and row filters of publications. 18: uuidv7(), NOT NULL NOT VALID, virtual columns."""
    newest = app.info.server_version >= 180_000
    generator = "uuidv7()" if newest else "gen_random_uuid()"
    for statement in NEWER.format(generator=generator).split(";\n"):
        app.execute(statement.encode())
    if newest:
        app.execute("ALTER TABLE t ADD CONSTRAINT n_is_there NOT NULL n NOT VALID")
        app.execute("ALTER TABLE t ADD twice int GENERATED ALWAYS AS (n * 2) VIRTUAL")
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    app.execute("UPDATE t SET word = 'changed' WHERE n = 7")
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
    default = "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 't'::regclass AND adnum = 1"
    assert one(app, default) == generator
    published = "SELECT attnames::text[] || rowfilter FROM pg_publication_tables WHERE pubname = 'listed'"
    assert one(app, published) == ["id", "n", "(n > 3)"]
    assert column_type(app, live("t"), "id") == "uuid"
    if newest:
        kept = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'n_is_there'"
        kept += " AND conrelid = 't'::regclass"
        assert one(app, kept) == "NOT NULL n NOT VALID"
        assert (
            one(app, "SELECT attgenerated::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'twice'")
            == "v"
        )
        with pytest.raises(psycopg.errors.NotNullViolation):
            app.execute("INSERT INTO t (word) VALUES ('without n')")
