"""The platform of 71 models: what it is made of, and what a run with conversion, columns and partitions makes of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.oracles.journal_oracle import foreign_keys_hold
from support.runs.harness import Rebuild, Table, table
from support.runs.programs import Replank
from support.servers.shared import new_database, template

from demo.datasets.platform import create_platform, create_tables, read_schema_file, read_script
from demo.datasets.platform.fill import fill
from demo.embedded import EmbeddedPostgres
from prisma import engine
from prisma.engine import Migration
from producer.prisma.changes.planned_changes import planned_changes
from producer.prisma.changes.rewrite import rewrite
from producer.prisma.migration.script import migration_script
from producer.prisma.schema.reader import read_schema
from replank.plan.plan import Plan
from sql.session.connection import connect

pytestmark = [pytest.mark.prisma, pytest.mark.timeout(900)]

ROWS = 20_000


def test_it_has_71_models_and_the_engine_likes_the_file() -> None:
    schema = read_schema_file()
    engine.validate(schema)
    assert engine.formatted(schema) == schema
    assert len(engine.ask("dmmf", schema=schema)["datamodel"]["models"]) == 71
    assert len(read_schema(schema).models) == 71


def test_its_script_is_what_the_engine_makes_of_the_file(database: str) -> None:
    assert engine.creation(database, read_schema_file()) == read_script()
    create_tables(database)
    assert engine.difference(database, read_schema_file()) == []


def test_it_fills_by_sets_and_always_alike(postgres: EmbeddedPostgres, database: str) -> None:
    create_tables(database)
    with psycopg.connect(database) as connection:
        before = _constraints(connection)
        counts = fill(connection, rows=ROWS, seed=7)
        # Then every constraint is there again, and checked by the server
        assert _constraints(connection) == before
        content = _content(connection)
    assert foreign_keys_hold(database) == []
    assert abs(sum(counts.values()) - ROWS) < ROWS / 10
    assert min(counts.values()) >= 12
    assert len(counts) == 71 + 5
    # And another database has the same rows by the same seed, and others by another
    for seed, same in ((7, True), (8, False)):
        url = postgres.create_database(f"again_{seed}")
        create_tables(url)
        with psycopg.connect(url) as connection:
            fill(connection, rows=ROWS, seed=seed)
            assert (_content(connection) == content) is same
        postgres.drop_database(f"again_{seed}")


def _constraints(connection: psycopg.Connection) -> list[tuple[str, ...]]:
    found = connection.execute(
        "SELECT conrelid::regclass::text || conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND convalidated"
        " UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
    )
    return found.fetchall()


def _content(connection: psycopg.Connection) -> list[tuple[str, ...]]:
    query = "SELECT md5(string_agg(r::text, E'\\n' ORDER BY r::text)) FROM {} AS r"
    names = ("audit_events", "ActivityEvent", "User", "_ContentToTag", "PlanFeature", "Payment")
    return [
        connection.execute(psycopg.sql.SQL(query).format(psycopg.sql.Identifier(name))).fetchall()[0] for name in names
    ]


UUID = {"name": "uuid", "type": "uuid", "default": "gen_random_uuid()", "not_null": True, "unique": True}
BY_YEAR = {"by": "range", "every": "year", "consent": ["uniqueness"]}

MORE = {
    "Slug": {"add": [UUID]},
    "PermissionCache": {
        "add": [
            UUID,
            {"name": "created_at", "type": "timestamptz(3)", "default": "now()", "not_null": True},
            {"name": "kind", "type": "public.account_kind", "default": "'team'"},
            {"name": "score", "type": "numeric(10,2)", "on_update": "1"},
        ]
    },
    "audit_events": {"partition": {**BY_YEAR, "column": "created_at"}},
    "ActivityEvent": {"partition": {**BY_YEAR, "column": "createdAt"}},
}
"""What people add to the proposed plan: missing uuids, audit columns, partitions of the two large tables."""


@dataclass(frozen=True, kw_only=True)
class Migrated:
    url: str
    plan: Plan
    planned: str
    after: str


@pytest.fixture(scope="module")
def filled(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database with the platform and its rows."""
    with template(postgres, "platform_filled", lambda url: create_platform(url, rows=ROWS)) as name:
        yield name


@pytest.fixture(scope="module")
def migrated(postgres: EmbeddedPostgres, filled: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrated]:
    """The platform, filled, inspected, planned and rebuilt."""
    url = postgres.create_database("platform", template=filled)
    tables = _tables(url, tmp_path_factory.mktemp("platform"))
    rebuild = Rebuild.begin(url, tables, {})
    plan = rebuild.run.plan
    planned = _rewritten(url, plan)
    rebuild.finish()
    rebuild.close()
    yield Migrated(url=url, plan=plan, planned=planned, after=_rewritten(url, plan))
    postgres.drop_database("platform")


def _tables(url: str, folder: Path) -> list[Table]:
    """What inspect proposes, and MORE."""
    schema = folder / "schema.prisma"
    schema.write_text(read_schema_file())
    said = Replank(database_url=url, broker_url="")(
        "inspect", "--every-uuid", "--out", str(folder / "plan.toml"), "--prisma", str(schema), "--json"
    )
    assert said.status == 0, said.words
    matched = said.document["prisma"]
    assert [one for one in matched["models"] if not one["found"] or one["mismatches"]] == []
    assert len(matched["join_tables"]) == 5
    assert matched["without_model"] == []
    tables = {one["name"]: {"columns": _columns(one)} for one in said.document["tables"]}
    return [table(name, **tables.get(name, {}), **MORE.get(name, {})) for name in dict.fromkeys([*tables, *MORE])]


def _columns(proposed: dict[str, Any]) -> list[dict[str, str]]:
    return [{"name": column["name"], "to": column["to"]} for column in proposed["columns"]]


def _rewritten(url: str, plan: Plan) -> str:
    text = read_schema_file()
    with connect(url, name="test") as connection:
        return rewrite(text, planned_changes(connection, plan, read_schema(text), "public"))


def test_ids_of_both_shapes_become_uuids(migrated: Migrated) -> None:
    with psycopg.connect(migrated.url) as connection:
        kinds = dict(
            connection.execute(
                "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns"
                " WHERE table_schema = 'public'"
            ).fetchall()
        )
    text_keys = ("Tenant.id", "Content.authorId", "_ContentToTag.A", "Payment.id", "Invoice.id", "audit_events.id")
    numbered = ("Tag.uuid", "Permission.uuid", "Slug.uuid", "SecurityEvent.uuid", "ActivityEvent.uuid")
    assert {kinds[name] for name in (*text_keys, *numbered)} == {"uuid"}
    assert kinds["_ContentToTag.B"] == "integer"
    assert kinds["Locale.code"] == "character varying"


def test_the_rewritten_file_leaves_nothing_to_do(migrated: Migrated) -> None:
    engine.validate(migrated.after)
    assert engine.formatted(migrated.after) == migrated.after
    assert migrated.planned == migrated.after
    assert engine.difference(migrated.url, migrated.after) == []
    # And it says what was added and partitioned
    assert re.search(
        r"uuid +String +@unique @default\(dbgenerated\(\"gen_random_uuid\(\)\"\)\) @db.Uuid", migrated.after
    )
    assert len(re.findall(r"@@id\(\[id, createdAt\]\)", migrated.after)) == 2


def test_a_second_rewriting_changes_nothing(migrated: Migrated) -> None:
    with connect(migrated.url, name="test") as connection:
        changes = planned_changes(connection, migrated.plan, read_schema(migrated.after), "public")
    assert rewrite(migrated.after, changes) == migrated.after


def test_the_migration_makes_the_same_of_an_empty_database(migrated: Migrated) -> None:
    with connect(migrated.url, name="test") as connection:
        script = migration_script(connection, migrated.plan, "public")
    first = Migration(name="20240101000000_init", script=read_script())
    second = Migration(name="20240102000000_replank", script=script)
    assert engine.difference_from_migrations(migrated.url, [first, second], migrated.after) == []
    assert engine.difference_from_migrations(migrated.url, [first], migrated.after) != []


def test_the_migration_keeps_the_rows_of_a_copy(postgres: EmbeddedPostgres, filled: str, migrated: Migrated) -> None:
    with connect(migrated.url, name="test") as connection:
        script = migration_script(connection, migrated.plan, "public")
    with new_database(postgres, template=filled) as copy:
        with psycopg.connect(copy) as connection:
            connection.execute(script.encode())
        with psycopg.connect(copy) as offline, psycopg.connect(migrated.url) as online:
            assert _content(offline) == _content(online)
        assert engine.difference(copy, migrated.after) == []


def test_fields_in_one_order_are_for_people_only(migrated: Migrated) -> None:
    with connect(migrated.url, name="test") as connection:
        changes = planned_changes(connection, migrated.plan, read_schema(migrated.after), "public")
    ordered = rewrite(migrated.after, changes, ordered=True)
    assert ordered != migrated.after
    assert engine.formatted(ordered) == ordered
    assert rewrite(ordered, changes, ordered=True) == ordered
    assert engine.difference(migrated.url, ordered) == []
    content = read_schema(ordered).block("Content")
    assert content is not None
    names = [field.name for field in content.fields][:14]
    assert names == [
        *("id", "tenantId", "authorId", "categoryId", "editorId"),
        *("title", "body", "mediaIds", "status", "type", "metadata", "createdAt", "publishedAt", "updatedAt"),
    ]
