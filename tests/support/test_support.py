"""The support itself on trial: what it fills must be whole, and what it judges it must see."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import SQL, Composed, Identifier

from demo.embedded import EmbeddedPostgres
from support.filling.filler import fill, kinds
from support.filling.values import kind_of
from support.oracles.journal_oracle import compare_tables, diff_catalogue, foreign_keys_hold, snapshot_catalogue
from support.schemas.litellm import apply_migrations, migration_files
from support.servers.shared import new_database, template
from support.writers.journal_writers import JournalWriters

pytestmark = pytest.mark.real_schema

_ROWS = 5000
_SPEND = ("public", "LiteLLM_DailyUserSpend")
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


@pytest.fixture(scope="module")
def migrated(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database with the platform's schema without rows."""

    def migrate(url: str) -> None:
        assert apply_migrations(url) == len(migration_files())

    with template(postgres, "migrated", migrate) as name:
        yield name


@pytest.fixture(scope="module")
def filled(postgres: EmbeddedPostgres, migrated: str) -> Iterator[dict[str, int]]:
    """The rows per table of the database ``filled``, which the tests copy and never change."""
    counts: dict[str, int] = {}
    with template(postgres, "filled", lambda url: counts.update(fill(url, rows=_ROWS)), copied=migrated):
        yield counts


@pytest.fixture
def url(postgres: EmbeddedPostgres, filled: dict[str, int]) -> Iterator[str]:
    """A copy of the filled database for one test alone."""
    assert filled
    with new_database(postgres, template="filled") as url:
        yield url


@pytest.fixture(scope="module")
def bare(postgres: EmbeddedPostgres, migrated: str) -> Iterator[str]:
    """The platform's schema without rows, for changes that do not hinder each other."""
    with new_database(postgres, template=migrated) as url:
        yield url


def _run(url: str, statement: str | Composed) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_the_filler_leaves_no_table_empty(url: str, filled: dict[str, int]) -> None:
    # Given a real platform's schema, filled from the catalogue alone
    tables = _run(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    # Then every table has rows, about as many altogether as were asked for
    assert filled.keys() == {f"public.{name}" for (name,) in tables}
    assert min(filled.values()) >= 1
    assert _ROWS * 0.8 <= sum(filled.values()) <= _ROWS * 1.2
    # And every foreign key holds
    assert foreign_keys_hold(url) == []


def test_columns_hold_what_the_filler_says_they_hold(url: str) -> None:
    # Given what the filler says it put into each column
    told = kinds(url)
    with psycopg.connect(url) as connection:
        for (schema, table, column), kind in told.items():
            query = SQL(
                "SELECT bool_and(v ~ {uuid}), bool_or(v ~ {uuid}) FROM (SELECT {column}::text AS v"
                " FROM {table} WHERE pg_typeof({column}) = 'text'::regtype) AS s"
            ).format(uuid=_UUID, column=Identifier(column), table=Identifier(schema, table))
            row = connection.execute(query).fetchone()
            assert row is not None
            only_uuids, some_uuids = row
            # Then nothing but uuids is in a uuid column, and none in a column of another kind
            if some_uuids is not None:
                assert kind != "uuid" or only_uuids, (table, column)
                assert kind != "other" or not some_uuids, (table, column)
    # And the names alone tell the same as the foreign keys, on this platform
    assert {key: kind_of(key[1], key[2]) for key in told} == told


def test_mixed_columns_are_really_mixed(url: str) -> None:
    # Given a column of the kind "mixed" that is referenced by others
    assert kind_of("LiteLLM_UserTable", "user_id") == "mixed"
    # Then it holds uuids and other texts
    query = SQL('SELECT DISTINCT user_id ~ {} FROM "LiteLLM_UserTable"').format(_UUID)
    rows = _run(url, query)
    assert {row[0] for row in rows} == {True, False}


def test_odd_spellings_are_upper_case_and_rare(database: str) -> None:
    # Given a table with a uuid text for a key that nothing references
    url = database
    _run(url, "CREATE TABLE event_logs (id text PRIMARY KEY, note text)")
    # When it is filled with odd spellings
    fill(url, rows=4000, odd_spellings=True)
    # Then one key in a thousand is in upper case, and every key is still a uuid
    found = _run(url, "SELECT count(*), count(id::uuid) FILTER (WHERE id <> lower(id)) FROM event_logs")
    assert found == [(4000, 4)]


def test_the_filler_copes_with_keys_checks_rings_and_partitions(database: str) -> None:
    # Given what the platform's schema lacks
    url = database
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_AWKWARD)
    # When it is filled
    counts = fill(url, rows=2000)
    # Then every table has rows and every foreign key holds, those of rings and self references too
    assert min(counts.values()) >= 5
    assert foreign_keys_hold(url) == []
    assert _run(url, "SELECT count(manager_id) > 0, count(home_team) > 0 FROM staff") == [(True, True)]
    assert _run(url, "SELECT count(*) > 100 AND count(parent_no) > 50 FROM order_lines") == [(True,)]


_AWKWARD = """
CREATE TYPE mood AS ENUM ('glad', 'so-so');
CREATE DOMAIN short_code AS varchar(8);
CREATE TABLE teams (tenant int, no int, lead uuid, state text NOT NULL CHECK (state IN ('on', 'off')),
                    PRIMARY KEY (tenant, no));
CREATE TABLE staff (id uuid PRIMARY KEY, tenant int NOT NULL, home_team int,
                    manager_id uuid REFERENCES staff, own_id uuid NOT NULL REFERENCES staff,
                    mood mood NOT NULL, code short_code NOT NULL UNIQUE,
                    born date CHECK (born < '2027-01-01'), price numeric(6, 2) CHECK (price >= 0),
                    moods mood[], slug char(12), span tstzrange, home inet, wait interval,
                    raw json NOT NULL, at time,
                    FOREIGN KEY (tenant, home_team) REFERENCES teams (tenant, no));
ALTER TABLE teams ADD FOREIGN KEY (lead) REFERENCES staff (id);
CREATE UNIQUE INDEX ON staff (lower(slug)) WHERE mood = 'glad';
CREATE TABLE badges (staff_id uuid NOT NULL REFERENCES staff, tenant int, no int,
                     PRIMARY KEY (staff_id, tenant, no), FOREIGN KEY (tenant, no) REFERENCES teams);
CREATE TABLE order_lines (line_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent_no bigint
                          REFERENCES order_lines, amount int NOT NULL,
                          doubled int GENERATED ALWAYS AS (amount * 2) STORED,
                          place int NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE visit_logs (id bigserial, seen_at timestamptz NOT NULL, who uuid REFERENCES staff,
                         PRIMARY KEY (id, seen_at)) PARTITION BY RANGE (seen_at);
CREATE TABLE visit_logs_old PARTITION OF visit_logs FOR VALUES FROM ('2024-01-01') TO ('2025-07-01');
CREATE TABLE visit_logs_new PARTITION OF visit_logs FOR VALUES FROM ('2025-07-01') TO ('2027-01-01');
"""


def _keep_past(url: str) -> None:
    """Make the live table a converted copy, and keep the old rows as the past table."""
    _run(url, "CREATE SCHEMA past")
    _run(url, 'CREATE TABLE past."LiteLLM_DailyUserSpend" AS TABLE "LiteLLM_DailyUserSpend"')
    _run(url, 'ALTER TABLE "LiteLLM_DailyUserSpend" ALTER id TYPE uuid USING id::uuid')


def _compare(url: str) -> list[str]:
    return compare_tables(url, live=_SPEND, past=("past", _SPEND[1]), converted={"id": "uuid"})


def test_equal_tables_have_no_difference(url: str) -> None:
    # Given a table and its converted copy
    _keep_past(url)
    # Then the oracle finds nothing, and is not content when the conversion is not what was said
    assert _compare(url) == []
    assert compare_tables(url, live=_SPEND, past=("past", _SPEND[1]), converted={}) != []


_CHANGED = """
UPDATE "LiteLLM_DailyUserSpend" SET spend = spend + 0.001
 WHERE id = (SELECT min(id::text)::uuid FROM "LiteLLM_DailyUserSpend")
"""
_MISSING = """
DELETE FROM "LiteLLM_DailyUserSpend" WHERE id = (SELECT min(id::text)::uuid FROM "LiteLLM_DailyUserSpend")
"""
_EXTRA = """
ALTER TABLE "LiteLLM_DailyUserSpend" DROP CONSTRAINT "LiteLLM_DailyUserSpend_pkey";
DROP INDEX "LiteLLM_DailyUserSpend_user_id_date_api_key_model_custom_ll_key";
INSERT INTO "LiteLLM_DailyUserSpend" SELECT * FROM "LiteLLM_DailyUserSpend" LIMIT 1
"""


@pytest.mark.parametrize(
    ("damage", "seen"),
    [(_CHANGED, "1 rows only in past"), (_MISSING, "1 rows only in past"), (_EXTRA, "1 rows only in public")],
    ids=["changed", "missing", "extra"],
)
def test_the_oracle_sees_one_wrong_row(url: str, damage: str, seen: str) -> None:
    # Given a converted table
    _keep_past(url)
    # When one row of it is changed, taken away or there twice
    _run(url, damage)
    # Then the oracle says so
    assert any(seen in difference for difference in _compare(url)), _compare(url)


@pytest.mark.parametrize(
    ("damage", "subject"),
    [
        ('ALTER TABLE "LiteLLM_Config" ALTER reload_revision DROP DEFAULT', "column public."),
        (
            'ALTER TABLE "LiteLLM_MCPServerTable" DISABLE TRIGGER litellm_mcp_catalog_revision',
            'trigger public."LiteLLM_MCPServerTable"',
        ),
        ('GRANT SELECT (user_id) ON "LiteLLM_UserTable" TO PUBLIC', "grant SELECT on column public."),
        ('GRANT DELETE ON "LiteLLM_UserTable" TO PUBLIC', 'grant DELETE on public."LiteLLM_UserTable" to'),
        ('COMMENT ON COLUMN "LiteLLM_UserTable".user_id IS $$whose$$', "comment on table column"),
        ('ALTER TABLE "LiteLLM_UserTable" SET (fillfactor = 80)', 'table public."LiteLLM_UserTable"'),
        ('ALTER TABLE "LiteLLM_UserTable" REPLICA IDENTITY FULL', 'table public."LiteLLM_UserTable"'),
        ('ALTER TABLE "LiteLLM_UserTable" CLUSTER ON "LiteLLM_UserTable_pkey"', "index public."),
        ('CREATE PUBLICATION p FOR TABLE "LiteLLM_UserTable" WHERE (spend > 1)', "publication p"),
        ('CREATE POLICY own ON "LiteLLM_UserTable" USING (true)', 'policy public."LiteLLM_UserTable".own'),
        ('CREATE RULE r AS ON DELETE TO "LiteLLM_UserTable" DO NOTHING', 'rule public."LiteLLM_UserTable".r'),
        ('CREATE STATISTICS s ON user_id, spend FROM "LiteLLM_UserTable"', "statistics public.s"),
        ('CREATE VIEW v AS SELECT user_id FROM "LiteLLM_UserTable"', "view public.v"),
        ('ALTER SEQUENCE "LiteLLM_ModelTable_id_seq" OWNED BY NONE', "sequence public."),
        ("SELECT nextval('\"LiteLLM_ModelTable_id_seq\"')", "sequence value public."),
        ('ALTER TABLE "LiteLLM_UserTable" ALTER user_id SET STATISTICS 7', "column public."),
    ],
)
def test_the_oracle_sees_a_change_in_the_catalogue(bare: str, damage: str, subject: str) -> None:
    # Given what the catalogue said before
    before = snapshot_catalogue(bare, ["public"])
    assert diff_catalogue(before, snapshot_catalogue(bare, ["public"])) == []
    # When one thing changes
    _run(bare, damage)
    # Then it shows, and nothing else does
    found = diff_catalogue(before, snapshot_catalogue(bare, ["public"]))
    assert any(name.startswith(subject) for name, _, _ in found), found
    assert len({name.split(" ")[0] for name, _, _ in found}) <= 3, found


def test_copies_of_a_database_have_the_same_catalogue(database: str, url: str) -> None:
    # Given a second database made by the same migrations, with other oids
    apply_migrations(database)
    # Then nothing differs but the state of the sequence
    found = diff_catalogue(snapshot_catalogue(database, ["public"]), snapshot_catalogue(url, ["public"]))
    assert [name for name, _, _ in found] == ['sequence value public."LiteLLM_ModelTable_id_seq"']


def test_the_oracle_sees_orphans(url: str) -> None:
    # Given a foreign key whose triggers slept while the parents went away
    _run(url, 'SET session_replication_role = replica; DELETE FROM "LiteLLM_WorkflowRun"')
    # Then both foreign keys that point there are reported
    assert len([problem for problem in foreign_keys_hold(url) if "orphans" in problem]) == 2


def test_the_oracle_compares_as_foreign_keys_do(database: str) -> None:
    # Given keys whose equality is not that of bytes, NULLs in all places, and an operator of the user's that lies
    lies = "CREATE FUNCTION lies(text, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'"
    url = database
    for statement in (
        "CREATE TABLE parent (c char(8) UNIQUE, n int UNIQUE, t text UNIQUE, a int, b text, PRIMARY KEY (a, b))",
        "CREATE TABLE child (c char(12) REFERENCES parent (c), n bigint REFERENCES parent (n),"
        ' t text COLLATE "C" REFERENCES parent (t), a int, b text, fa int, fb text,'
        " CONSTRAINT simple FOREIGN KEY (a, b) REFERENCES parent,"
        " CONSTRAINT whole FOREIGN KEY (fa, fb) REFERENCES parent MATCH FULL)",
        "INSERT INTO parent VALUES ('x', 7, 't', 1, 'one')",
        "INSERT INTO child VALUES ('x   ', 7, 't', 1, 'one', 1, 'one'), (NULL, NULL, NULL, 9, NULL, NULL, NULL)",
        lies,
        "CREATE OPERATOR public.= (FUNCTION = lies, LEFTARG = text, RIGHTARG = text)",
        f"ALTER DATABASE {psycopg.conninfo.conninfo_to_dict(url)['dbname']} SET search_path = public, pg_catalog",
    ):
        _run(url, statement)
    assert foreign_keys_hold(url) == []
    # When rows come in that no key would let in: MATCH FULL with one NULL among them
    _run(
        url,
        "SET session_replication_role = replica;"
        " INSERT INTO child VALUES ('y', 8, 'T', 1, 'two', 1, NULL), (NULL, NULL, NULL, NULL, 'two', NULL, 'one')",
    )
    found = dict(re.findall(r"public\.child\.(\w+) has (\d+) orphans", " ".join(foreign_keys_hold(url))))
    assert found == {"child_c_fkey": "1", "child_n_fkey": "1", "child_t_fkey": "1", "simple": "1", "whole": "2"}


def test_nothing_is_lost_when_nothing_happens(url: str) -> None:
    # Given four clients that write for three seconds to every table they can
    with JournalWriters(url=url, clients=4, rate=300) as writers:
        writers.wait_for_writes(700)
    journal = writers.journal
    assert journal is not None
    # Then they wrote in every way, nothing failed and nothing is lost
    assert journal.errors == []
    assert journal.acknowledged >= 700
    assert {"insert", "insert many", "update", "update many", "delete", "change key"} <= journal.kinds.keys()
    assert journal.rolled_back > 0
    assert journal.find_lost(url) == []


def test_writers_go_on_when_a_key_turns_into_uuid(url: str) -> None:
    # Given clients that write to a table with a text key
    with JournalWriters(url=url, tables=[_SPEND], rate=300) as writers:
        writers.wait_for_writes(150)
        # When the key becomes a uuid under them, and the server drops their connections as well
        _run(url, 'ALTER TABLE "LiteLLM_DailyUserSpend" ALTER id TYPE uuid USING id::uuid')
        writers.wait_for_writes(150)
        _run(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'journal-writers' AND datname = current_database()",
        )
        writers.wait_for_writes(150)
    journal = writers.journal
    assert journal is not None
    # Then they went on, and every acknowledged write is there
    assert journal.errors == []
    assert journal.reconnects >= 1
    assert journal.find_lost(url) == []


def test_a_lost_a_changed_and_a_resurrected_row_are_seen(url: str) -> None:
    # Given a journal, and a copy of the table as it was at the end
    with JournalWriters(url=url, tables=[_SPEND], rate=400) as writers:
        writers.wait_for_writes(300)
    journal = writers.journal
    assert journal is not None
    alive = [row.key[0] for row in journal.rows if None not in row.states]
    gone = next(row.key[0] for row in journal.rows if row.states == [None])
    # When one row goes, one changes and one comes back behind the clients' backs
    with psycopg.connect(url) as connection:
        connection.execute('DELETE FROM "LiteLLM_DailyUserSpend" WHERE id = %s', [alive[0]])
        connection.execute('UPDATE "LiteLLM_DailyUserSpend" SET spend = -1 WHERE id = %s', [alive[1]])
        connection.execute(
            'INSERT INTO "LiteLLM_DailyUserSpend" (id, date, api_key, updated_at) VALUES (%s, %s, %s, now())',
            [gone, "2020-01-01", "sk-back"],
        )
    # Then each is named with what is wrong
    lost = "\n".join(journal.find_lost(url))
    assert f"['{alive[0]}']: lost" in lost
    assert f"['{alive[1]}']: wrong content in ['spend']" in lost
    assert f"['{gone}']: resurrected" in lost
    assert lost.count("\n") == 2
