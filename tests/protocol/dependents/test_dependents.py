"""What hangs on a table follows it: views, materialized views, rules, policies, publications, statistics, functions."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors
from support.oracles.journal_oracle import diff_catalogue, snapshot_catalogue
from support.oracles.oracle import column_type, live, on, one, traces
from support.runs.harness import Rebuild, Url, table

from protocol.dependents.hanging import CONVERTED, PLANNED, SCHEMAS, TABLES, run
from replank.errors import NeedsOperator

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

Begin = Callable[..., Rebuild]


def unexplained(before: dict[str, str], after: dict[str, str], converted: set[str]) -> list[object]:
    """All differences but those that the conversion of `converted` columns explains."""
    left: list[object] = []
    for subject, was, became in diff_catalogue(before, after):
        if subject.removeprefix("column ") in converted and was is not None and became is not None:
            was = was.replace("text", "uuid", 1).replace('; collation "default"', "").replace("storage x", "storage p")
            was = was.replace("(gen_random_uuid())::text", "gen_random_uuid()")
            if was == became:
                continue
        left.append((subject, was, became))
    return left


SEEN = {
    "reports.people": "SELECT * FROM reports.people",
    "reports.rich_people": "SELECT * FROM reports.rich_people",
    "few": "SELECT * FROM few",
    "recent": "SELECT * FROM recent",
    "joined": 'SELECT * FROM "Side %".joined',
    "of_leaf": "SELECT * FROM of_leaf",
    "deep": "SELECT * FROM deep",
    "totals": "SELECT * FROM reports.totals",
    "above_totals": "SELECT * FROM above_totals",
    "top": "SELECT * FROM top",
    "shown": "SELECT tools.shown(person) FROM person",
    "all_orders": "SELECT * FROM tools.all_orders(390)",
}


def seen(app: psycopg.Connection) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every view and function, as text."""
    return {
        name: sorted(app.execute(b"SELECT x::text FROM (" + query.encode() + b") AS x").fetchall())
        for name, query in SEEN.items()
    }


@pytest.mark.usefixtures("everything")
def test_gotcha_32_everything_that_hangs_on_tables_is_as_before(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    before = snapshot_catalogue(database, SCHEMAS)
    rebuild = begin(*PLANNED)
    rebuild.ready()
    # Changes made during the run are seen through the views; materialized ones are filled anew
    run(
        app,
        "INSERT INTO person (n, name) VALUES (1000, 'late')",
        "UPDATE orders SET note = 'changed' WHERE n = 7",
        "DELETE FROM orders WHERE n = 8",
        "REFRESH MATERIALIZED VIEW reports.totals",
        "REFRESH MATERIALIZED VIEW above_totals",
    )
    were = seen(app)
    rebuild.finish()
    left = unexplained(before, snapshot_catalogue(database, SCHEMAS), CONVERTED)
    assert not left, "\n".join(map(str, left))
    assert {name: rows for name, rows in seen(app).items() if rows != were[name]} == {}
    assert column_type(app, live("totals", "reports"), "id") == "uuid"
    assert column_type(app, live("recent"), "whole") == "orders"
    assert traces(app) == ["replank"]


def as_role(app: psycopg.Connection, role: str, *queries: str) -> list[object]:
    """The first value of each query, or the name of its error, as that role sees it."""
    found: list[object] = []
    app.execute(f"SET ROLE {role}".encode())
    for query in queries:
        try:
            found.append(one(app, query))
        except errors.InsufficientPrivilege:
            found.append("refused")
    app.execute("RESET ROLE")
    return found


ASKED = (
    "SELECT count(*) FROM reports.people",
    "SELECT count(*) FROM orders",
    "SELECT count(*) FROM orders WHERE note IS NULL",
    "SELECT count(id) FROM reports.totals",
    "SELECT count(name) FROM reports.totals",
    "SELECT count(*) FROM deep",
    "SELECT count(*) FROM few",
    "UPDATE few SET name = name WHERE false RETURNING 1",
    "SELECT tools.shown(person) FROM person WHERE n = 3",
    "SELECT count(*) FROM tools.all_orders()",
    "INSERT INTO orders (person_id, n) VALUES (gen_random_uuid(), 1) RETURNING 1",
)


@pytest.mark.usefixtures("everything")
def test_roles_see_and_may_what_they_saw_and_might(app: psycopg.Connection, begin: Begin) -> None:
    """Grants on views and columns, row security, rights of functions: asked as the roles they are for."""
    app.execute("GRANT SELECT ON few TO reader")
    asked = [query for query in ASKED if not query.startswith(("INSERT", "UPDATE"))]
    before = {role: as_role(app, role, *asked) for role in ("clerk", "reader")}
    assert before["clerk"][1] not in (0, 400)
    assert "refused" in before["clerk"]
    assert "refused" in before["reader"]
    begin(*PLANNED).finish()
    assert {role: as_role(app, role, *asked) for role in ("clerk", "reader")} == before
    app.execute("GRANT INSERT ON orders TO clerk")
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        run(app, "SET ROLE clerk", "INSERT INTO orders (person_id, n) VALUES (gen_random_uuid(), 1)")
    app.execute("RESET ROLE")


@pytest.mark.usefixtures("everything")
def test_rules_triggers_and_defaults_of_views_work_on_the_new_tables(app: psycopg.Connection, begin: Begin) -> None:
    begin(*PLANNED).finish()
    run(app, "DELETE FROM orders WHERE n = 399", "DELETE FROM recent WHERE number = 392")
    assert one(app, "SELECT array_agg(who ORDER BY id) = ARRAY[current_user, current_user]::text[] FROM deleted")
    assert one(app, "SELECT count(*) FROM orders WHERE n IN (392, 399)") == 0
    app.execute("INSERT INTO reports.rich_people (n, name) VALUES (5001, 'instead')")
    with pytest.raises(errors.WithCheckOptionViolation):
        app.execute("INSERT INTO few (n) VALUES (19000)")
    app.execute("INSERT INTO few (n) VALUES (-3)")
    assert one(app, "SELECT array_agg(name ORDER BY n) FROM person WHERE n IN (-3, 5001)") == ["few", "instead"]
    run(app, "REFRESH MATERIALIZED VIEW reports.totals", "REFRESH MATERIALIZED VIEW unfilled")
    assert one(app, "SELECT count(*) FROM reports.totals") == 92
    assert one(app, "SELECT count(*) FROM unfilled") == 200


def test_statistics_are_there_in_the_first_second(app: psycopg.Connection, begin: Begin) -> None:
    """Extended ones too, and those of materialized views."""
    run(app, TABLES, "CREATE STATISTICS st ON n, name FROM person")
    run(app, "CREATE MATERIALIZED VIEW m AS SELECT id, n FROM person", "CREATE STATISTICS sm ON id, n FROM m")
    rebuild = begin(*PLANNED)
    rebuild.ready()
    rebuild.swap()
    known = "SELECT count(*) FROM pg_stats_ext WHERE schemaname = 'public' AND statistics_name IN ('st', 'sm')"
    assert one(app, known + " AND n_distinct IS NOT NULL") == 2
    assert one(app, "SELECT count(*) FROM pg_stats WHERE tablename = 'm' AND schemaname = 'public'") == 2
    rebuild.finish()


def test_a_materialized_view_shows_one_moment_of_all_tables(app: psycopg.Connection, begin: Begin) -> None:
    """Both tables' logs hold rows of one transaction: either all of it is in the view, or nothing."""
    run(app, "CREATE TABLE a (id text PRIMARY KEY)", "CREATE TABLE b (id text PRIMARY KEY, a_id text REFERENCES a)")
    app.execute("CREATE MATERIALIZED VIEW m AS SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b")
    rebuild = begin(table("a", "id"), table("b", "id", "a_id"))
    rebuild.ready()
    app.execute(
        "WITH made AS (INSERT INTO a SELECT gen_random_uuid()::text FROM generate_series(1, 70) RETURNING id)"
        " SELECT count(*) FROM made"
    )
    app.execute("INSERT INTO b SELECT gen_random_uuid()::text, id FROM a")
    rebuild.finish()
    assert app.execute("SELECT a, b FROM m").fetchall() == [(70, 70)]


def test_readers_of_views_do_not_keep_the_cutover_from_its_locks(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """A query locks a view before its tables. Taken the other way round, each would be a deadlock."""
    run(app, TABLES, "CREATE VIEW v AS SELECT p.id, o.n FROM person p JOIN orders o ON o.person_id = p.id")
    app.execute("CREATE VIEW w AS SELECT id, count(*) AS c FROM v GROUP BY id")
    rebuild = begin(*PLANNED, lock_timeout_ms=400)
    rebuild.ready()
    ended, wrong = threading.Event(), []

    def read() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            while not ended.is_set():
                found = connection.execute("SELECT count(*), sum(c) FROM w").fetchone()
                if found != (90, 400):
                    wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        rebuild.swap()
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert max(each.attempts for each in rebuild.sets) <= 1
    rebuild.finish()


def test_tables_that_something_reads_together_are_one_set(app: psycopg.Connection, begin: Begin) -> None:
    """Else it would for a moment read one new and one old table, whose ids have no common operator."""
    for name in "abcdefghij":
        app.execute(f"CREATE TABLE {name} (id text PRIMARY KEY, n int)".encode())
    run(
        app,
        "CREATE VIEW ab AS SELECT a.id FROM a",
        "CREATE VIEW ab2 AS SELECT ab.id FROM ab JOIN b USING (id)",
        "CREATE POLICY cd ON c USING (EXISTS (SELECT FROM d WHERE d.id = c.id))",
        "CREATE RULE ef AS ON DELETE TO e DO ALSO DELETE FROM f WHERE f.id = OLD.id",
        "CREATE FUNCTION gh(g) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n FROM h WHERE h.id = $1.id; END",
        "INSERT INTO a VALUES (gen_random_uuid()::text, 1)",
        "INSERT INTO b SELECT * FROM a",
    )
    rebuild = begin(*[table(name, "id") for name in "abcdefghij"], sets="apart")
    sets: dict[int, str] = {}
    for one_of_them in rebuild.tables:
        sets[one_of_them.set_no] = sets.get(one_of_them.set_no, "") + one_of_them.spec.name
    assert sorted(sets.values()) == ["ab", "cd", "ef", "gh", "i", "j"]
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM ab2") == 1


def test_a_publication_of_a_schema_goes_on_with_the_new_table(app: psycopg.Connection, begin: Begin) -> None:
    """The next table lies in another schema while it is filled, so subscribers hear nothing of it."""
    run(app, "CREATE TABLE t (id text PRIMARY KEY)", "CREATE PUBLICATION p FOR TABLES IN SCHEMA public")
    published = "SELECT array_agg(schemaname || '.' || tablename) FROM pg_publication_tables"
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    assert one(app, published) == ["public.t"]
    rebuild.finish()
    assert one(app, published) == ["public.t"]
    assert column_type(app, live("t"), "id") == "uuid"


HASH = {"by": "hash", "column": "id", "count": 3}
PARTED = """
CREATE TABLE t (id text PRIMARY KEY, n int, word text);
INSERT INTO t SELECT gen_random_uuid()::text, g, 'w' || g FROM generate_series(1, 60) AS g;
CREATE VIEW v AS SELECT id, n FROM t WHERE n > 5;
CREATE MATERIALIZED VIEW m AS SELECT count(*) AS c FROM v;
CREATE POLICY pol ON t USING (n > 7);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE STATISTICS st ON n, word FROM t;
CREATE PUBLICATION pub FOR TABLE t (id, n) WITH (publish_via_partition_root);
CREATE FUNCTION f(t) RETURNS text LANGUAGE sql AS 'SELECT $1.word'
"""


def test_it_follows_a_table_that_is_partitioned_anew(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    """And what hangs on single partitions, that are no more afterwards, is refused."""
    run(app, PARTED)
    before = snapshot_catalogue(database, ["public"])
    begin(table("t", "id", partition=HASH)).finish()
    kinds = ("view", "matview", "policy", "statistics", "publication", "function")
    left = [
        (subject, was, became)
        for subject, was, became in diff_catalogue(before, snapshot_catalogue(database, ["public"]))
        if subject.startswith(kinds)
    ]
    assert left == []
    assert app.execute("SELECT c, (SELECT count(*) FROM v) FROM m").fetchall() == [(55, 55)]
    assert one(app, "SELECT relkind::text || relrowsecurity FROM pg_class WHERE oid = 't'::regclass") == "ptrue"
    leaf = one(app, "SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 't'::regclass")
    app.execute("DROP SCHEMA replank_past CASCADE")
    on(app, str(leaf), "CREATE VIEW of_leaf AS SELECT id FROM {t}")
    with pytest.raises(NeedsOperator, match=r"view public\.of_leaf: it belongs to a partition that the plan removes"):
        begin(table("t", partition={"by": "none"}))
    app.execute("DROP VIEW of_leaf")
    begin(table("t", partition={"by": "none"})).finish()
    assert app.execute("SELECT c, (SELECT count(*) FROM v) FROM m").fetchall() == [(55, 55)]
