"""What inspect proposes and what it leaves alone."""

from __future__ import annotations

from typing import LiteralString

import pytest
from support.filling.filler import fill, kinds
from support.schemas import django_world
from support.schemas.litellm import apply_migrations

from demo.datasets.market import left_alone, uuid_columns
from inspect_check.conftest import Database, codes, proposed, reasons
from producer.inspect.plan_writer import write_plan
from replank.plan.plan import parse_plan

pytestmark = pytest.mark.catalogue


def test_the_samples_uuid_columns_are_proposed_and_no_others(shop: Database) -> None:
    # When the shop is inspected
    proposal = shop.inspect()
    # Then the proposal is the truth, and every other id has its reason
    assert proposed(proposal) == dict(uuid_columns())
    given = reasons(proposal)
    for column in left_alone():
        assert f"{column.schema}.{column.table}.{column.column}" in given
    assert given["public.plans.id"] == "0 of 3 sampled values are uuids"
    assert given["public.events.owner_id"].startswith("polymorphic: owner_type has the name")
    assert proposal.prose_columns > 0


def test_the_proposed_plan_loads_and_says_why(shop: Database) -> None:
    proposal = shop.inspect()
    text = write_plan(proposal)
    plan = parse_plan(text, source="plan.toml")
    assert {(t.table_schema, t.name): tuple(c.name for c in t.columns) for t in plan.tables} == dict(uuid_columns())
    assert plan.database.name == "shop"
    assert plan.database.system_identifier == proposal.system_identifier
    assert "# not changed: public.plans.id (text): 0 of 3 sampled values are uuids" in text
    assert '# conversion set 1: billing.invoices, billing.payments, public."Order"' in text
    assert "# text: primary key; default (gen_random_uuid())::text;" in text


def test_what_is_proposed_passes_the_check(shop: Database) -> None:
    proposal = shop.inspect()
    report = shop.check({f"{t.schema}.{t.name}": [c.name for c in t.columns] for t in proposal.tables})
    assert report.blockers == ()
    assert codes(report.warnings) == ["soft_reference"]


def test_gotcha_08_a_many_to_many_table_without_a_model_comes_along(shop: Database) -> None:
    assert proposed(shop.inspect())["public", "_OrderToTag"] == ("A", "B")


def test_gotcha_07_columns_of_other_ids_are_left_alone_with_counts(database: Database) -> None:
    # Given a table of uuids into which one id of another kind has come, and a child that refers to it
    database.run(
        "CREATE TABLE users (id text PRIMARY KEY)",
        "CREATE TABLE posts (id text PRIMARY KEY, user_id text REFERENCES users)",
        "INSERT INTO users SELECT gen_random_uuid() FROM generate_series(1, 99)",
        "INSERT INTO users VALUES ('master')",
        "INSERT INTO posts SELECT gen_random_uuid(), id FROM users WHERE id <> 'master'",
    )
    proposal = database.inspect()
    # Then both ends stay, each with its reason, and the rest is proposed
    assert proposed(proposal) == {("public", "posts"): ("id",)}
    assert reasons(proposal)["public.users.id"] == "99 of 100 sampled values are uuids"
    assert "join it to public.users.id, which stays as it is (99 of 100" in reasons(proposal)["public.posts.user_id"]


def test_agreement_reaches_over_several_keys_and_schemas_and_to_itself(database: Database) -> None:
    # Given a chain a ← b ← c over two schemas, a self reference and a composite key, where only c betrays a word
    database.run(
        "CREATE SCHEMA other",
        "CREATE TABLE a (id text PRIMARY KEY, up text REFERENCES a)",
        "CREATE TABLE other.b (id text PRIMARY KEY, a_id text UNIQUE REFERENCES a)",
        "CREATE TABLE c (id text PRIMARY KEY, a_id text REFERENCES other.b (a_id))",
        "CREATE TABLE d (tenant text, code text, PRIMARY KEY (tenant, code))",
        "CREATE TABLE e (id text PRIMARY KEY, tenant text, code text, FOREIGN KEY (tenant, code) REFERENCES d)",
        "INSERT INTO a SELECT gen_random_uuid() FROM generate_series(1, 5)",
        "ALTER TABLE c ALTER a_id SET DEFAULT 'none'",
        "INSERT INTO d SELECT gen_random_uuid(), 'code' || n FROM generate_series(1, 5) AS n",
        "INSERT INTO e SELECT gen_random_uuid(), tenant, code FROM d",
    )
    proposal = database.inspect()
    # Then the word keeps the whole chain as it is, and of the composite key only the uuids change
    assert proposed(proposal) == {("public", "d"): ("tenant",), ("public", "e"): ("id", "tenant")}
    for column in ("public.a.id", "public.a.up", "other.b.a_id"):
        assert "public.c.a_id" in reasons(proposal)[column]
    assert "its default 'none'::text is not a uuid" in reasons(proposal)["public.c.a_id"]


def test_empty_columns_need_a_default_or_a_foreign_key(database: Database) -> None:
    database.run(
        "CREATE TABLE made (id text PRIMARY KEY DEFAULT gen_random_uuid()::text)",
        "CREATE TABLE child (id text PRIMARY KEY, made_id text REFERENCES made)",
        "CREATE TABLE prefixed (id text PRIMARY KEY DEFAULT 'usr_' || gen_random_uuid())",
    )
    proposal = database.inspect()
    assert proposed(proposal) == {("public", "made"): ("id",), ("public", "child"): ("made_id",)}
    assert reasons(proposal)["public.child.id"].startswith("no value in the sample")
    assert "is not a uuid" in reasons(proposal)["public.prefixed.id"]


def test_gotcha_20_a_table_that_was_never_analysed_is_sampled_all_the_same(database: Database) -> None:
    # Given some thousand rows on many blocks, with no statistics (reltuples is -1), and a mostly empty column
    database.run(
        "CREATE TABLE big (id text PRIMARY KEY, ref_id text, filler text)",
        "INSERT INTO big SELECT gen_random_uuid(), NULL, repeat('x', 400) FROM generate_series(1, 4000)",
        "INSERT INTO big SELECT gen_random_uuid(), gen_random_uuid(), '' FROM generate_series(1, 3)",
    )
    assert database.rows("SELECT reltuples FROM pg_class WHERE relname = 'big'") == [(-1.0,)]
    proposal = database.inspect(sample_rows=50)
    assert proposed(proposal) == {("public", "big"): ("id", "ref_id")}
    assert "3 of 3 sampled values" in proposal.tables[0].columns[1].reason


def test_what_this_version_refuses_is_left_alone_with_the_reason(database: Database) -> None:
    database.run(
        "CREATE TABLE keyless (user_id text)",
        "CREATE TABLE used (id text PRIMARY KEY)",
        "CREATE TABLE user_of_it (n int, whole used)",
        "CREATE DOMAIN identifier AS text",
        "CREATE TABLE domained (id identifier PRIMARY KEY)",
        "INSERT INTO keyless SELECT gen_random_uuid() FROM generate_series(1, 5)",
        "INSERT INTO used SELECT gen_random_uuid() FROM generate_series(1, 5)",
        "INSERT INTO domained SELECT gen_random_uuid() FROM generate_series(1, 5)",
    )
    proposal = database.inspect()
    given = reasons(proposal)
    assert proposal.tables == ()
    assert "no primary key" in given["public.keyless.user_id"]
    assert "column whole of table public.user_of_it" in given["public.used.id"]
    assert "domain" in given["public.domained.id"]
    assert "5 of 5 sampled values are uuids" in given["public.used.id"]


def test_a_partitioned_table_is_proposed_as_a_whole(database: Database) -> None:
    # Given ids in partitions of two levels, the larger ones below
    database.run(
        "CREATE TABLE parts (id text PRIMARY KEY, word text) PARTITION BY HASH (id)",
        "CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY HASH (id)",
        "CREATE TABLE parts_2 PARTITION OF parts_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "CREATE TABLE child (part_id text REFERENCES parts, n int PRIMARY KEY)",
        "INSERT INTO parts SELECT gen_random_uuid(), 'word' FROM generate_series(1, 3000)",
        "INSERT INTO child SELECT id, row_number() OVER () FROM parts LIMIT 50",
    )
    proposal = database.inspect()
    # Then the plan names it and its child once, and no partition anywhere
    assert proposed(proposal) == {("public", "child"): ("part_id",), ("public", "parts"): ("id",)}
    assert reasons(proposal) == {}


def test_a_column_that_nobody_calls_an_id_needs_many_values(database: Database) -> None:
    database.run(
        "CREATE TABLE notes (id integer PRIMARY KEY, note text, origin text)",
        "INSERT INTO notes SELECT n, CASE WHEN n = 1 THEN gen_random_uuid()::text END, gen_random_uuid()"
        " FROM generate_series(1, 20) AS n",
    )
    proposal = database.inspect()
    assert proposed(proposal) == {("public", "notes"): ("origin",)}
    assert reasons(proposal)["public.notes.note"].startswith("only 1 value in the sample")


def test_gotcha_03_the_plan_says_that_old_spellings_do_not_come_back(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY)", "INSERT INTO t SELECT upper(gen_random_uuid()::text)")
    text = write_plan(database.inspect())
    assert "1 of them are not written in PostgreSQL's form" in text
    assert "only the past table keeps the original texts" in text


def test_gotcha_31_names_with_quotes_newlines_and_63_bytes_survive_the_plan(database: Database) -> None:
    database.run(
        'CREATE SCHEMA "we""ird.schema"',
        'CREATE TABLE "we""ird.schema"."userÄccount\n%s" ("camelId" char(40) PRIMARY KEY, "back\\slash_id" varchar)',
        'INSERT INTO "we""ird.schema"."userÄccount\n%s" VALUES (\'$ID\', \'$ID\')',
        'CREATE TABLE "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" (id text PRIMARY KEY)',
        'INSERT INTO "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" VALUES (gen_random_uuid())',
    )
    proposal = database.inspect()
    text = write_plan(proposal)
    plan = parse_plan(text, source="plan.toml")
    assert [(t.table_schema, t.name) for t in plan.tables] == [(t.schema, t.name) for t in proposal.tables]
    assert proposed(proposal)['we"ird.schema', "userÄccount\n%s"] == ("camelId", "back\\slash_id")
    assert all(line.startswith(("#", "[")) or "=" in line or not line for line in text.splitlines())
    # And the check reads these tables without a mistake
    report = database.check({"x" * 63: ["id"]})
    assert report.blockers == ()
    assert report.rows == 1


@pytest.mark.real_schema
def test_a_real_platforms_schema_is_read_right(database: Database) -> None:
    # Given some seventy tables that nobody here wrote, filled from the catalogue
    apply_migrations(database.url)
    fill(database.url, rows=3_000)
    truth = kinds(database.url)
    proposal = database.inspect()
    found = {(s, t, c) for (s, t), columns in proposed(proposal).items() for c in columns}
    # Then only columns of uuids are proposed
    assert len(found) > 100
    assert {column for column in found if truth.get(column) != "uuid"} == set()
    # And the check agrees, over every value
    report = database.check({f"{t.schema}.{t.name}": [c.name for c in t.columns] for t in proposal.tables})
    assert report.blockers == ()
    assert "soft_reference" in codes(report.warnings)


def test_only_keys_and_what_leads_to_them_are_active_and_the_rest_is_a_comment(database: Database) -> None:
    # Given a key, a foreign key to it, a secondary key, and columns of uuids that are none of these
    database.run(
        "CREATE TABLE a (id text PRIMARY KEY, trace_id text, session text UNIQUE, member_ids text[])",
        "CREATE TABLE b (n int PRIMARY KEY, a_id text REFERENCES a, uuid text UNIQUE, origin text)",
        "INSERT INTO a SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),"
        " ARRAY[gen_random_uuid(), gen_random_uuid()]::text[] FROM generate_series(1, 20)",
        "INSERT INTO b SELECT row_number() OVER (), id, gen_random_uuid(), gen_random_uuid() FROM a",
        "CREATE TABLE log (n int PRIMARY KEY, request_id text)",
        "INSERT INTO log SELECT n, gen_random_uuid() FROM generate_series(1, 20) AS n",
    )
    proposal = database.inspect(every_uuid=False)
    assert proposed(proposal) == {("public", "a"): ("id",), ("public", "b"): ("a_id", "uuid")}
    could = {f"{p.table}.{p.column}": p.to for p in proposal.possible}
    assert could == {
        "a.trace_id": "uuid",
        "a.session": "uuid",
        "a.member_ids": "uuid[]",
        "b.origin": "uuid",
        "log.request_id": "uuid",
    }
    # Then each is a comment with its evidence, and with every comment of that kind taken away the plan is right
    text = write_plan(proposal)
    assert (
        '# it could become uuid[]; text[]: 40 of 40 sampled values are uuids\n# [[tables.columns]]\n# name = "m' in text
    )
    opened = text.replace("# [[", "[[").replace("# name =", "name =").replace("# to =", "to =")
    plan = parse_plan(opened.replace("# schema =", "schema ="), source="plan.toml")
    assert sum(len(table.columns) for table in plan.tables) == 8
    assert proposed(database.inspect(every_uuid=True))["public", "log"] == ("request_id",)


def test_hashes_are_no_uuids_whatever_they_are_called(database: Database) -> None:
    # Given md5 digests, which PostgreSQL reads as uuids, beside 32 hex digits that are uuids
    database.run(
        "CREATE TABLE file (id char(32) PRIMARY KEY, etag text, checksum_id char(32) UNIQUE)",
        "INSERT INTO file SELECT replace(gen_random_uuid()::text, '-', ''), md5(n::text), md5('x' || n)"
        " FROM generate_series(1, 50) AS n",
    )
    proposal = database.inspect(every_uuid=True)
    assert proposed(proposal) == {("public", "file"): ("id",)}
    assert proposal.possible == ()
    assert "as hashes are" in reasons(proposal)["public.file.etag"]
    assert "32 hex digits without a uuid's version" in reasons(proposal)["public.file.checksum_id"]


def test_a_generic_foreign_key_of_django_is_polymorphic(database: Database) -> None:
    # Given Django's own tables: object_id beside content_type_id, which leads to django_content_type
    django_world.create_tables(database.url)
    proposal = database.inspect()
    assert ("public", "django_shop_note") not in proposed(proposal)
    given = reasons(proposal)["public.django_shop_note.object_id"]
    assert given == (
        "polymorphic: content_type_id has the name of the table that it refers to; 20 of 20 sampled values are uuids"
    )
    assert proposed(proposal)["public", "django_shop_item"] == ("id", "owner_id", "session", "trace")


@pytest.mark.parametrize(
    ("columns", "polymorphic"),
    [
        ("target_content_type_id int, target_object_id text, actor_ct_id bigint, actor_object_id text", 1),
        ("content_type_id bigint REFERENCES model, object_pk text, request_id text", 1),
        ("content_type_id bigint REFERENCES model, row_id text", 1),
        ("about_id bigint REFERENCES model, object_id text", 1),
        ("subject_type_id int, subject_id text", 1),
        ("content_type_id text, object_id text", 0),
        ("content_type_id bigint, other_id text REFERENCES other", 0),
    ],
)
def test_a_type_may_be_a_number(database: Database, columns: LiteralString, polymorphic: int) -> None:
    database.run(
        "CREATE TABLE model (id bigint PRIMARY KEY, app_label varchar(100), model varchar(100))",
        "CREATE TABLE other (id text PRIMARY KEY)",
        "INSERT INTO other VALUES ('$ID')",
        "CREATE TABLE about (no int PRIMARY KEY, " + columns + ")",
    )
    told = [column for column, why in reasons(database.inspect()).items() if why.startswith("polymorphic: ")]
    assert len(told) == polymorphic
