"""Indexes for LIKE over columns that become uuid: by consent they go with the swap, and come back with a rollback."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from support.oracles.returning import catalogue, changed, go_back
from support.runs.harness import Rebuild, Table, table
from support.schemas import django_world

from monitoring.catalogue_diff.changes import catalogue_changes

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

CONSENT = ("pattern_indexes",)

SHOP = (
    table("django_shop_owner", "id", "token"),
    table("django_shop_item", "id", "owner_id", "session", "trace"),
    table("django_shop_item_tags", "item_id", "tag_id"),
    table("django_shop_tag", "id"),
)


@pytest.fixture
def begin(database: str) -> Iterator[Callable[..., Rebuild]]:
    """Begins runs with the consent and closes what they hold."""
    begun: list[Rebuild] = []

    def start(*tables: Table) -> Rebuild:
        begun.append(Rebuild.begin(database, tables, {"consent": CONSENT}))
        return begun[-1]

    yield start
    for rebuild in begun:
        rebuild.close()


Begin = Callable[..., Rebuild]


def indexes(app: psycopg.Connection, *tables: str) -> dict[str, str]:
    """Name → what the server says behind the table's name."""
    found = app.execute(
        "SELECT indexrelid::regclass::text, regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', '')"
        "  || CASE WHEN indisunique THEN ', unique' ELSE '' END"
        "  || CASE WHEN indisclustered THEN ', clustered' ELSE '' END"
        "  || CASE WHEN indisreplident THEN ', replica identity' ELSE '' END"
        "  FROM pg_index WHERE indrelid = ANY (%s::regclass[])",
        [list(tables)],
    )
    return dict(found.fetchall())


def constraints(app: psycopg.Connection) -> list[tuple[str, str]]:
    """Keys of all kinds in the schema public."""
    found = app.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace ORDER BY 1"
    )
    return found.fetchall()


def test_a_schema_that_django_made_goes_there_and_back(app: psycopg.Connection, begin: Begin, database: str) -> None:
    # Given Django's tables: each CharField that is a key, unique or indexed has a second index, for LIKE
    django_world.create_tables(database)
    tables = [one.name for one in SHOP]
    there, picture = indexes(app, *tables), catalogue(database, ["public"])
    before = constraints(app)

    # When it is converted
    rebuild = begin(*SHOP)
    rebuild.finish()

    # Then only what could find no uuid is gone, and the plan's consent explains each
    gone = there.keys() - indexes(app, *tables).keys()
    assert {name for name in there if name.endswith("_like") and "_slug_" not in name and "_name_" not in name} == gone
    assert len(gone) == 9
    assert indexes(app, *tables).items() <= there.items()
    assert constraints(app) == before
    told = {change.name: change.reason for change in catalogue_changes(rebuild.connection, rebuild.run)}
    assert {told[name] for name in gone} == {"the plan gives up indexes for LIKE on columns that become uuid"}
    assert [name for name, reason in told.items() if not reason] == []
    # And Django finds what it found, by ids, by prefixes of ids, and through its generic foreign keys
    asked = (
        "i = Item.objects.get(name='item 7'); assert Item.objects.get(pk=str(i.pk)) == i;"
        "assert Item.objects.filter(pk__startswith=str(i.pk)[:9]).count() == 1;"
        "print(Item.objects.filter(owner=i.owner, tags__in=i.tags.all()).count(),"
        " Owner.objects.filter(slug__startswith='owner-1').count())"
    )
    assert django_world.django(database, asked).split() == ["1", "11"]

    # And an index over their texts serves prefixes again
    app.execute("CREATE INDEX prefixes ON django_shop_item ((id::text) text_pattern_ops); SET enable_seqscan = off")
    plan = app.execute("EXPLAIN SELECT FROM django_shop_item WHERE id::text LIKE 'a1%'").fetchall()
    assert "prefixes" in str(plan)
    app.execute("DROP INDEX prefixes")

    # When it goes back, everything is as it was
    go_back(rebuild)
    assert indexes(app, *tables) == there
    assert changed(picture, catalogue(database, ["public"])) == {}


SHAPES = """
CREATE TABLE shape (id varchar(36) PRIMARY KEY, alone text, twice text, only_unique text, named text NOT NULL,
  packed text, part text, pair text, held text, hashed text, kind text NOT NULL, n int NOT NULL);
CREATE INDEX id_like ON shape (id varchar_pattern_ops);
CREATE INDEX alone_like ON shape (alone text_pattern_ops DESC NULLS LAST) WITH (fillfactor = 70);
CREATE INDEX twice_like ON shape (twice text_pattern_ops);
CREATE INDEX twice_like_too ON shape (twice varchar_pattern_ops);
CREATE UNIQUE INDEX only_unique_like ON shape (only_unique text_pattern_ops) NULLS NOT DISTINCT;
CREATE INDEX only_unique_plain ON shape (only_unique);
CREATE UNIQUE INDEX named_like ON shape (named text_pattern_ops);
ALTER TABLE shape REPLICA IDENTITY USING INDEX named_like;
CREATE INDEX packed_plain ON shape (packed);
CREATE INDEX packed_like ON shape (packed text_pattern_ops);
ALTER TABLE shape CLUSTER ON packed_like;
CREATE INDEX part_plain ON shape (part) WHERE n > 3;
CREATE INDEX part_like ON shape (part text_pattern_ops);
CREATE INDEX part_like_few ON shape (part text_pattern_ops) WHERE n > 3;
CREATE INDEX pair_plain ON shape (kind, pair);
CREATE INDEX pair_like ON shape (kind, pair text_pattern_ops);
CREATE INDEX pair_like_both ON shape (kind text_pattern_ops, pair COLLATE "C" text_pattern_ops);
CREATE INDEX pair_like_more ON shape (kind, pair text_pattern_ops, abs(n));
CREATE INDEX held_plain ON shape (held);
CREATE INDEX held_like ON shape (held text_pattern_ops) INCLUDE (n);
CREATE INDEX hashed_like ON shape USING hash (hashed text_pattern_ops);
CREATE INDEX kind_like ON shape (kind text_pattern_ops);
COMMENT ON INDEX alone_like IS 'the only one';
INSERT INTO shape SELECT md5('a' || g)::uuid, md5('b' || g)::uuid, md5('c' || g)::uuid, md5('d' || g)::uuid,
  md5('e' || g)::uuid, md5('f' || g)::uuid, md5('g' || g)::uuid, md5('h' || g)::uuid, md5('i' || g)::uuid,
  md5('j' || g)::uuid, 'k' || g % 5, g FROM generate_series(1, 300) AS g
"""
UUIDS = ("id", "alone", "twice", "only_unique", "named", "packed", "part", "pair", "held", "hashed")


def test_an_index_that_something_stands_on_becomes_a_plain_one(app: psycopg.Connection, begin: Begin) -> None:
    for statement in SHAPES.split(";\n"):
        app.execute(statement.encode())
    there = indexes(app, "shape")
    rebuild = begin(table("shape", *UUIDS))
    rebuild.finish()
    after = indexes(app, "shape")
    assert there.keys() - after.keys() == {"id_like", "twice_like_too", "part_like_few", "pair_like"}
    assert {name: words for name, words in after.items() if words != there[name]} == {
        "alone_like": "btree (alone DESC NULLS LAST) WITH (fillfactor='70')",
        "twice_like": "btree (twice)",
        "only_unique_like": "btree (only_unique) NULLS NOT DISTINCT, unique",
        "named_like": "btree (named), unique, replica identity",
        "packed_like": "btree (packed), clustered",
        "part_like": "btree (part)",
        "pair_like_both": "btree (kind text_pattern_ops, pair)",
        "pair_like_more": "btree (kind, pair, abs(n))",
        "held_like": "btree (held) INCLUDE (n)",
        "hashed_like": "hash (hashed)",
    }
    comment = app.execute("SELECT obj_description('alone_like'::regclass)").fetchone()
    assert comment == ("the only one",)
    unexplained = [c.name for c in catalogue_changes(rebuild.connection, rebuild.run) if not c.reason]
    assert unexplained == []
    go_back(rebuild)
    assert indexes(app, "shape") == there


def test_an_index_that_is_lost_otherwise_is_not_explained(app: psycopg.Connection, begin: Begin) -> None:
    for statement in SHAPES.split(";\n"):
        app.execute(statement.encode())
    rebuild = begin(table("shape", *UUIDS))
    rebuild.finish()
    app.execute("DROP INDEX alone_like; DROP INDEX kind_like; DROP INDEX only_unique_like; DROP INDEX twice_like")
    unexplained = {c.name for c in catalogue_changes(rebuild.connection, rebuild.run) if not c.reason}
    assert unexplained == {"alone_like", "kind_like", "only_unique_like", "twice_like", "twice_like_too"}


PARTS = """
CREATE TABLE event (id varchar(36), owner text, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE INDEX event_like ON event (id varchar_pattern_ops);
CREATE INDEX event_owner_like ON event (owner text_pattern_ops);
CREATE INDEX owner_of_1 ON event_1 (owner);
CREATE INDEX like_of_1 ON event_1 (owner varchar_pattern_ops);
INSERT INTO event SELECT md5('a' || g)::uuid, md5('b' || g)::uuid, date '2026-01-01' + g % 50
  FROM generate_series(1, 300) AS g
"""


@pytest.mark.parametrize("again", [None, {"by": "none"}, {"by": "hash", "column": "id", "count": 3}])
def test_partitions_follow_their_parent(app: psycopg.Connection, begin: Begin, again: dict[str, object] | None) -> None:
    for statement in PARTS.split(";\n"):
        app.execute(statement.encode())
    if again is not None:
        app.execute("DROP INDEX owner_of_1; DROP INDEX like_of_1")
    more = {} if again is None else {"partition": again}
    rebuild = begin(table("event", "id", "owner", **more))
    rebuild.finish()
    parts = [relation.full_name for relation in rebuild.spec("event").next_relations]
    assert [words for words in indexes(app, *parts).values() if "pattern" in words] == []
    whole = indexes(app, "event")
    assert whole == {"event_pkey": "btree (id, at), unique", "event_owner_like": "btree (owner)"}
    if again is None:
        assert len(indexes(app, "event_1")) == 3
    assert [c.name for c in catalogue_changes(rebuild.connection, rebuild.run) if not c.reason] == []
    go_back(rebuild)
    assert "event_like" in indexes(app, "event")
