"""Clients of both styles side by side: on the platform with new names and uuids, the old names as views."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from demo.application import Application
from demo.datasets.platform import create_platform, create_tables, read_schema_file
from demo.datasets.platform.planning import compose_plan
from demo.datasets.platform.workload.names import is_ready
from demo.embedded import EmbeddedPostgres
from producer.compiling.compile_steps import compile_steps
from producer.prisma.migration.script import migration_script
from producer.scripts.run_script import ScriptRunner
from replank.cli.app import build_app
from replank.plan.plan import Plan, parse_plan
from replank.plan.steps.steps_plan import StepsPlan
from sql.session.connection import connect

pytestmark = [pytest.mark.protocol, pytest.mark.timeout(600)]

OLD_NAMES = """
SELECT oid::regclass::text, pg_get_viewdef(oid) FROM pg_class
 WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
"""


@pytest.fixture(scope="module")
def url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A platform of few rows, as ten years have left it."""
    made = postgres.create_database("platform_styles")
    create_platform(made, rows=2_000)
    yield made
    postgres.drop_database("platform_styles")


@pytest.fixture(scope="module")
def plan(url: str, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The demonstration's plan: what `inspect` proposes and what people add."""
    folder = tmp_path_factory.mktemp("platform_styles")
    (folder / "schema.prisma").write_text(read_schema_file())
    arguments = [
        "inspect",
        url,
        "--every-uuid",
        "--out",
        str(folder / "proposed.toml"),
        "--prisma",
        str(folder / "schema.prisma"),
    ]
    said = CliRunner().invoke(build_app(["inspect"]), [*arguments, "--json"])
    assert said.exit_code == 0, said.output
    proposed: list[dict[str, Any]] = json.loads(said.stdout.strip().splitlines()[-1])["tables"]
    return parse_plan(compose_plan(proposed, database="platform_styles", every="year"), source="plan.toml")


@pytest.fixture(scope="module")
def migrated(url: str, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Phases 1 and 2 by their scripts, then the new types at once: what is tried here is the application."""
    whole = plan.model_copy(update={"prisma": None})
    with connect(url, name="test") as connection:
        runner = ScriptRunner(connection=connection, attempts=20)
        for each in compile_steps(connection, whole, tmp_path_factory.mktemp("scripts")):
            if each.asked and each.step.phase < 3:
                runner.run(each.forward)
    with psycopg.connect(url, autocommit=True) as connection:
        assert not is_ready(connection), "ids are texts still"
    unpartitioned = tuple(table.model_copy(update={"partition": None}) for table in plan.tables)
    offline = whole.model_copy(update={"tables": unpartitioned, "steps": StepsPlan(), "caches": ()})
    with psycopg.connect(url) as connection:
        old_names = connection.execute(OLD_NAMES).fetchall()
        for name, _ in old_names:
            connection.execute(f"DROP VIEW {name}".encode())
    with connect(url, name="test") as connection:
        script = migration_script(connection, offline, "public")
    with psycopg.connect(url) as connection:
        connection.execute(script.encode())
        for name, definition in old_names:
            connection.execute(f"CREATE VIEW {name} AS {definition}".encode())
    return url


def test_the_plan_has_all_that_is_asked_for(plan: Plan) -> None:
    steps = plan.steps
    assert all((steps.uuid_fields, steps.indexes, steps.audit_log, steps.permission_cache, steps.enums, steps.mappings))
    assert steps.optimize is not None
    assert plan.prisma is not None
    assert plan.gates is not None
    assert plan.success.models == 71
    by_name = {table.name: table for table in plan.tables}
    assert [name for name, table in by_name.items() if table.partition] == ["audit_events", "activity_event"]
    assert {column.to for column in by_name["content"].columns} == {"uuid", "uuid[]", "enum"}
    # And what inspect proposes has the names that step 07 gives
    assert {"id", "tenant_id", "created_by"} <= {column.name for column in by_name["user"].columns}
    assert not any(column.name != column.name.lower() for column in by_name["content_comment"].columns)


def test_both_styles_write_side_by_side_and_lose_nothing(migrated: str) -> None:
    with Application(url=migrated, data_set="platform", clients=2, rate=80) as application:
        application.order("deployed new")
        time.sleep(2)
        # When all are held, looked at, and let go again, the old ones for good
        held = application.look()
        application.order("deploy new")
        time.sleep(0.7)
        report = application.stop()
    # Then nobody has seen an error, and all that was acknowledged is there under either name
    assert report.errors == []
    assert report.lost == held.lost == []
    assert min(held.by_style.values()) > 50
    assert report.by_style["old"] == held.by_style["old"]
    assert report.by_style["new"] > held.by_style["new"]
    assert report.found_again == report.acknowledged > 300
    with psycopg.connect(migrated) as connection:
        entries = connection.execute("SELECT count(*), count(DISTINCT actor) FROM audit.audit_log").fetchone()
    assert entries is not None
    assert entries[0] > 0
    assert entries[1] == 4, "each client by its name"


def test_new_clients_are_no_use_to_old_types(database: str) -> None:
    """A text column refuses what they send: otherwise waiting for the swap would prove nothing."""
    create_tables(database)
    with psycopg.connect(database) as connection, pytest.raises(psycopg.errors.UndefinedFunction, match="text = uuid"):
        connection.execute('SELECT FROM "Tenant" WHERE id = %s', [uuid.uuid4()])
