"""What subscribers are sent while a published table is rebuilt; and a rebuild by a role that is no superuser."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from support.oracles.oracle import one
from support.runs.harness import Rebuild, Url, eventually, table
from support.servers.shared import drop_roles, new_database

from demo.embedded import EmbeddedPostgres
from protocol.dependents.hanging import run

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

CHANGES = (
    "SELECT data FROM pg_logical_slot_get_binary_changes("
    "'subscriber', NULL, NULL, 'proto_version', '1', 'publication_names', 'listed,of_schema')"
)

PUBLISHED = """
CREATE TABLE t (id text PRIMARY KEY, n int, secret text);
CREATE SCHEMA s CREATE TABLE t (id text PRIMARY KEY, n int);
INSERT INTO t SELECT gen_random_uuid()::text, g, 'hidden' FROM generate_series(1, 50) AS g;
INSERT INTO s.t SELECT id, n FROM t;
CREATE PUBLICATION listed FOR TABLE t (id, n) WHERE (n <> 6) WITH (publish = 'insert');
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA s;
SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')
"""


@pytest.fixture
def driven() -> Iterator[Callable[..., Rebuild]]:
    """Begins runs on any database and closes what they hold."""
    begun: list[Rebuild] = []

    def start(url: Url, *planned: object) -> Rebuild:
        begun.append(Rebuild.begin(url, planned, {}))  # type: ignore[arg-type]
        return begun[-1]

    yield start
    for rebuild in begun:
        rebuild.close()


def sent(app: psycopg.Connection, mark: str) -> list[bytes]:
    """The relations and rows that a subscriber is sent, up to the row that holds `mark`."""
    got: list[bytes] = []

    def marked() -> bool:
        got.extend(bytes(data) for (data,) in app.execute(CHANGES.encode()).fetchall())
        return any(mark.encode() in data for data in got)

    eventually(marked, f"the row with {mark}")
    return [data for data in got if data[:1] in b"RIUDT"]


def test_subscribers_get_each_change_once_and_nothing_of_the_next_table(
    app: psycopg.Connection, database: Url, driven: Callable[..., Rebuild]
) -> None:
    """Neither its rows while it is filled, nor a column that is not published; afterwards by the same name."""
    run(app, PUBLISHED)
    try:
        rebuild = driven(database, table("t", "id"), table("t", "id", schema="s"))
        rebuild.ready()
        run(app, "INSERT INTO t SELECT gen_random_uuid()::text, 100, 'hidden'", "UPDATE s.t SET n = 8 WHERE n = 7")
        rebuild.finish()
        app.execute("INSERT INTO t VALUES ('0fd00f6b-0000-4000-8000-000000000001', 6, 'hidden')")
        app.execute("INSERT INTO t VALUES (gen_random_uuid(), 5, 'hidden')")
        app.execute("DELETE FROM s.t WHERE n = 9")
        app.execute("INSERT INTO s.t VALUES ('0fd00f6b-0000-4000-8000-00000000000e', 1)")
        seen = sent(app, "0fd00f6b-0000-4000-8000-00000000000e")
    finally:
        app.execute("SELECT pg_drop_replication_slot('subscriber')")
    assert [data[:1] for data in seen] == [b"R", b"I", b"R", b"U", b"R", b"I", b"R", b"D", b"I"]
    named = [data.split(b"\x00t\x00")[0].rpartition(b"\x00")[2][-6:] for data in seen if data[:1] == b"R"]
    assert [name.endswith(b"public") for name in named] == [True, False, True, False]
    assert not [data for data in seen if b"hidden" in data or b"replank" in data]
    assert not [data for data in seen if b"0fd00f6b-0000-4000-8000-000000000001" in data]


OWNED = """
CREATE TABLE t (id text PRIMARY KEY, n int, a text);
INSERT INTO t SELECT gen_random_uuid()::text, g, 'a' FROM generate_series(1, 50) AS g;
CREATE VIEW v AS SELECT id, n FROM t;
CREATE MATERIALIZED VIEW m AS SELECT n FROM v;
CREATE UNIQUE INDEX ON m (n);
GRANT SELECT ON v TO PUBLIC;
CREATE POLICY p ON t USING (n > 3);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE RULE r AS ON DELETE TO t DO ALSO NOTHING;
CREATE STATISTICS st ON n, a FROM t;
CREATE FUNCTION f(t) RETURNS int LANGUAGE sql AS 'SELECT $1.n';
CREATE PUBLICATION pub FOR TABLE t
"""


@pytest.fixture
def owned(postgres: EmbeddedPostgres) -> Iterator[Url]:
    """A database of an ordinary role's, as that role."""
    with new_database(postgres, "owned") as url:
        with psycopg.connect(url, autocommit=True) as superuser:
            run(superuser, "CREATE ROLE plain LOGIN PASSWORD 'secret'")
            run(superuser, f"ALTER DATABASE {superuser.info.dbname} OWNER TO plain")
            run(superuser, "GRANT ALL ON SCHEMA public TO plain; GRANT pg_read_all_stats TO plain")
        yield url.replace(f"postgres:{postgres.password}@", "plain:secret@")
    drop_roles(postgres, "plain")


def test_the_owner_of_the_tables_can_do_all_of_it(owned: Url, driven: Callable[..., Rebuild]) -> None:
    with psycopg.connect(owned, autocommit=True) as app:
        run(app, OWNED)
        driven(owned, table("t", "id")).finish()
        assert app.execute("SELECT count(*), (SELECT count(*) FROM v) FROM m").fetchall() == [(50, 50)]
        assert one(app, "SELECT pg_typeof(id)::text FROM v LIMIT 1") == "uuid"
        assert one(app, "SELECT sum(f(t)) FROM t") == 1275
