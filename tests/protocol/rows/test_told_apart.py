"""Values that are equal in their own type and are not the same are found wherever two tables are compared."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest
from psycopg import IsolationLevel, errors
from support.oracles.oracle import built, differences, live, one, past
from support.oracles.returning import go_back, keep, unlike
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table

from demo.embedded import EmbeddedPostgres
from demo.embedded.binaries import DEBIAN_SERVERS
from producer.rollback.compare import compare_tables
from replank.errors import NeedsOperator
from replank.values.states import TableState
from sql.drain.drain import drain
from sql.session.connection import isolated

pytestmark = [pytest.mark.protocol, pytest.mark.contrib]

LOOSE = "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
SETUP = """
CREATE EXTENSION citext;
CREATE DOMAIN loose_domain AS text COLLATE loose; CREATE DOMAIN folded AS citext; CREATE DOMAIN amount AS numeric;
CREATE TYPE loose_pair AS (a text COLLATE loose, b int); CREATE TYPE folded_pair AS (a citext, b numeric);
CREATE TYPE loose_range AS RANGE (subtype = text, collation = loose);
CREATE DOMAIN unbounded AS bpchar
"""
PAIRS = {
    "loose": ("text COLLATE loose", "a", "A"),
    "loose_varchar": ("varchar(9) COLLATE loose", "a", "A"),
    "loose_char": ("char(9) COLLATE loose", "a", "A"),
    "loose_array": ("text[] COLLATE loose", "{a}", "{A}"),
    "loose_domain": ("loose_domain", "a", "A"),
    "loose_pair": ("loose_pair", "(a,1)", "(A,1)"),
    "loose_pairs": ("loose_pair[]", '{"(a,1)"}', '{"(A,1)"}'),
    "loose_range": ("loose_range", "[a,b)", "[A,b)"),
    "folded": ("citext", "a", "A"),
    "folded_array": ("citext[]", "{a}", "{A}"),
    "folded_domain": ("folded", "a", "A"),
    "folded_domains": ("folded[]", "{a}", "{A}"),
    "folded_pair": ("folded_pair", "(a,1)", "(A,1)"),
    "scale": ("numeric", "1.0", "1.00"),
    "scale_domains": ("amount[]", "{1.0}", "{1.00}"),
    "scale_range": ("numrange", "[1.0,2)", "[1.00,2)"),
    "scale_ranges": ("nummultirange", "{[1.0,2)}", "{[1.00,2)}"),
    "scale_json": ("jsonb", '{"a": 1.0}', '{"a": 1.00}'),
    "minus": ("float8", "0", "-0"),
    "minuses": ("float4[]", "{0}", "{-0}"),
    "day": ("interval", "1 day", "24:00:00"),
    "days": ("interval[]", "{1 day}", "{24:00:00}"),
    "blank": ("bpchar", "a", "a "),
    "blank_domain": ("unbounded", "a", "a "),
    "blanks": ("bpchar[]", "{a}", '{"a "}'),
    "bounds": ("int[]", "{1}", "[0:0]={1}"),
}


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """One with ICU, where there is one on this machine: the usual server need not be built with it."""
    try:
        with (
            psycopg.connect(postgres.url(), autocommit=True) as connection,
            connection.transaction(force_rollback=True),
        ):
            connection.execute(LOOSE)
    except errors.FeatureNotSupported:
        for programs in sorted(DEBIAN_SERVERS.glob("*/bin"), reverse=True):
            with EmbeddedPostgres(durable=False, binaries=programs) as other:
                yield other
                return
    yield postgres


@pytest.fixture
def loose(server: EmbeddedPostgres) -> Iterator[Url]:
    """A database with a collation in which a is A; without ICU on this machine, one that only has its name."""
    url = server.create_database("told_apart")
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute(LOOSE)
        except errors.FeatureNotSupported:
            connection.execute('CREATE COLLATION loose FROM "C"')
        connection.execute(SETUP)
    yield url
    server.drop_database("told_apart")


def _mismatches(rebuild: Rebuild) -> int | None:
    return compare_tables(rebuild.connection, rebuild.run)[0].mismatches


def _of_a_drain(rebuild: Rebuild) -> int:
    """How many rows a drain finds otherwise in next than it meant to put there. Nothing of it stays."""
    connection = rebuild.connection
    with isolated(connection, IsolationLevel.REPEATABLE_READ), connection.transaction(force_rollback=True):
        return drain(connection, rebuild.spec("t"), compare=True).mismatches


def _run(app: psycopg.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        app.execute(statement.encode())


def _tampered(name: str, spelling: int) -> list[str]:
    """In each row another column gets its other value, or its first one again."""
    return [
        f"UPDATE {name} SET {column} = '{pair[spelling]}' WHERE n = {n}"  # noqa: S608
        for n, (column, pair) in enumerate(PAIRS.items())
    ]


@pytest.mark.attack("C1", "One side changed to a value that is equal in its type: verification, last drain, rollback")
def test_equal_values_are_told_apart_wherever_tables_are_compared(loose: Url, attack: Attack) -> None:
    columns = ", ".join(f"{name} {pair[0]}" for name, pair in PAIRS.items())
    values = ", ".join(f"'{pair[1]}'" for pair in PAIRS.values())
    rows = len(PAIRS)
    with psycopg.connect(loose, autocommit=True) as app, ExitStack() as opened:
        _run(app, [f"CREATE TABLE t (id text PRIMARY KEY, n int, {columns})"])
        _run(app, [f"INSERT INTO t SELECT gen_random_uuid(), g, {values} FROM generate_series(0, {rows - 1}) AS g"])  # noqa: S608
        rebuild = opened.enter_context(closing(Rebuild.begin(loose, [table("t", "id")], {})))
        rebuild.until(TableState.CATCHING_UP)
        rebuild.work("drain")
        _run(app, _tampered("replank_next.t", 2))
        assert _mismatches(rebuild) == rows
        rebuild.ready()
        assert rebuild.table("t").rounds == 1, "it was repaired"
        assert differences(app, live("t"), built("t"), {"id"}) == []
        attack.record("found by the verification, and repaired", tried=rows)

        # What the last drain puts into next is compared under the cutover's lock.
        spoiled = " ".join(
            f"IF NEW.n = {n} THEN NEW.{name} := '{pair[2]}'; END IF;" for n, (name, pair) in enumerate(PAIRS.items())
        )
        _run(
            app,
            [
                "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS"
                f" $$ BEGIN {spoiled} RETURN NEW; END $$",
                "CREATE TRIGGER spoil BEFORE INSERT ON replank_next.t FOR EACH ROW EXECUTE FUNCTION spoil()",
                "UPDATE t SET n = n",
            ],
        )
        assert _of_a_drain(rebuild) == rows
        rebuild.try_for_a_while()
        assert f"{rows} rows differ after the last drain" in "".join(one.problem for one in rebuild.sets)
        attack.record("found by the last drain, and not swapped", tried=rows)
        _run(app, ["DROP TRIGGER spoil ON replank_next.t"])
        rebuild.retry()
        rebuild.finish()
        assert differences(app, past("t"), live("t"), {"id"}) == []

        _run(app, _tampered("replank_past.t", 2))
        assert _mismatches(rebuild) == rows
        with pytest.raises(NeedsOperator, match="past and new table differ"):
            go_back(rebuild)
        _run(app, _tampered("replank_past.t", 1))
        go_back(rebuild)
    attack.record("found before the rollback, and not swapped back", tried=rows)


KEYED = """
CREATE TABLE word (k text COLLATE loose PRIMARY KEY, ref text, note text);
CREATE TABLE thing (id text COLLATE loose PRIMARY KEY, note text);
CREATE TABLE part (id text COLLATE loose, n numeric, thing text COLLATE loose REFERENCES thing, PRIMARY KEY (n, id));
INSERT INTO word SELECT 'Word ' || n, gen_random_uuid(), '' FROM generate_series(1, 40) AS n;
INSERT INTO thing SELECT upper(md5(n::text)::uuid::text), '' FROM generate_series(1, 40) AS n;
INSERT INTO part SELECT '{' || id || '}', length(id) * 1.0, lower(id) FROM thing
"""
RESPELL = """
DELETE FROM word WHERE k = 'word {0}'; INSERT INTO word VALUES ('WORD {0}', NULL, 'again');
UPDATE word SET k = 'wORD 1{0}' WHERE k = 'word 1{0}';
DELETE FROM part WHERE thing::uuid = md5('{0}')::uuid; DELETE FROM thing WHERE id::uuid = md5('{0}')::uuid;
INSERT INTO thing VALUES (lower(md5('{0}')::uuid::text){1}, 'again');
UPDATE thing SET note = 'changed' WHERE id::uuid = md5('1{0}')::uuid;
UPDATE part SET n = 36.00, id = upper(id::text){1} WHERE thing::uuid = md5('1{0}')::uuid;
INSERT INTO part SELECT id, 37, id FROM thing WHERE id::uuid = md5('{0}')::uuid
"""


@pytest.mark.attack("A2", "Keys in a nondeterministic collation, in another case, as they are and made uuids")
def test_keys_of_a_loose_collation_go_there_and_back(loose: Url, attack: Attack) -> None:
    with psycopg.connect(loose, autocommit=True) as app, ExitStack() as opened:
        if not one(app, "SELECT 'A' = 'a' COLLATE loose"):
            pytest.fail(
                "this test needs a server with ICU: install one below /usr/lib/postgresql, or name its programs"
            )
        _run(app, [KEYED])
        names = {"word": {"ref"}, "thing": {"id"}, "part": {"id", "thing"}}
        for name in names:
            keep(app, live(name), f"first_{name}")
        planned = [table(name, *columns) for name, columns in names.items()]
        rebuild = opened.enter_context(closing(Rebuild.begin(loose, planned, {})))
        rebuild.until(TableState.COPYING)
        _run(app, [RESPELL.format(1, "")])
        rebuild.ready()
        _run(app, [RESPELL.format(2, "")])
        rebuild.finish()
        assert {n: differences(app, past(n), live(n), columns) for n, columns in names.items()} == {
            n: [] for n in names
        }
        _run(app, [RESPELL.format(3, "::uuid")])
        for name in names:
            keep(app, live(name), f"last_{name}")
        go_back(rebuild)
        as_uuids = {
            "word": "t.k::text, ref::uuid, note",
            "thing": "t.id::uuid, note",
            "part": "t.id::uuid, n, thing::uuid",
        }
        assert {n: unlike(app, live(n), f"last_{n}", [said]) for n, said in as_uuids.items()} == {n: [] for n in names}
        # Two came in lower case before the swap; what came after it has the text that was known of its uuid.
        same = (
            'SELECT count(*) FROM thing t JOIN judge.first_thing f ON f.id::text COLLATE "C" = t.id::text COLLATE "C"'
        )
        assert one(app, same) == 38
    attack.record("swapped, and rolled back; every row as it was written last", tried=3, acknowledged=27, lost=0)
