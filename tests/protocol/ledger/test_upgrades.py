"""The ledger's upgrades: an older ledger is brought up with its open run, a newer one is refused by all, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from support.runs.harness import Rebuild, Url, table
from support.servers.shared import new_database

from demo.embedded import EmbeddedPostgres
from monitoring.status.read_status import read_status
from producer.waiting.leader import try_to_lead
from replank.errors import NeedsOperator, OtherVersion
from replank.values.states import RunState, TableState
from sql.ledger.runs import runs
from sql.ledger.schema import fact_tables, job_tables
from sql.ledger.schema.columns import LEDGER
from sql.ledger.tables import tables
from sql.ledger.upgrades.ledger import REVISIONS, ensure_ledger, ledger_config, ledger_exists, upgrade_ledger
from sql.session.connection import Connection, connect
from workers.stopping.refused_worker import refuse_at_start

Begin = Callable[..., Rebuild]

pytestmark = pytest.mark.protocol

HERE = Path(__file__).parent

DESCRIBED = (fact_tables, job_tables)
"""Whoever has imported these has the whole description."""

BACK_TO_THE_FIRST = (HERE / "back_to_the_first.sql").read_text(encoding="utf-8")
"""What turns a ledger of today into what it was before its upgrades were Alembic's. The test proves that it does."""

SHAPE = (HERE / "shape.sql").read_text(encoding="utf-8")


def shape(connection: psycopg.Connection, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Everything of the ledger's schema, by what it is; not Alembic's own table."""
    found = dict(connection.execute(SHAPE).fetchall())
    return {
        name: said for name, said in found.items() if "alembic_version" not in name and not name.startswith(without)
    }


@pytest.fixture
def made(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """A session on a new ledger."""
    with new_database(postgres) as url, connect(url, name="test") as connection:
        ensure_ledger(connection)
        yield connection


@pytest.fixture
def described(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """A session on a database whose schema `replank` was made by the description, and by no revision."""
    with new_database(postgres) as url:
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.begin() as begun:
            begun.exec_driver_sql("CREATE SCHEMA replank")
            LEDGER.create_all(begun)
        engine.dispose()
        with connect(url, name="test") as connection:
            yield connection


def differences(connection: Connection) -> list[object]:
    """What `alembic check` finds: between the description and the ledger of this session."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=StaticPool)
    with engine.connect() as bound:
        config = ledger_config(bound)
        script = ScriptDirectory.from_config(config)
        found: list[object] = []

        def keep(_revision: object, context: MigrationContext) -> list[object]:
            found.extend(compare_metadata(context, LEDGER))
            return []

        with EnvironmentContext(config, script, fn=keep):
            script.run_env()
        return found


def test_the_revisions_are_those_that_this_version_knows() -> None:
    script = ScriptDirectory(str(files("sql") / "ledger" / "upgrades"))
    assert tuple(one.revision for one in script.walk_revisions())[::-1] == REVISIONS


def test_the_ledger_is_what_its_description_says(made: Connection, described: psycopg.Connection) -> None:
    # Views and functions are made by revisions alone
    revised = (
        "table run_in_force",
        "table job_restraint",
        "column run_in_force",
        "column job_restraint",
        "view ",
        "function ",
    )
    assert shape(made, without=revised) == shape(described)
    assert len(shape(described)) > 300


def test_alembic_finds_no_difference_and_would_see_one(made: Connection) -> None:
    assert differences(made) == []
    made.execute("ALTER TABLE replank.event ADD COLUMN misplaced integer; DROP INDEX replank.job_failed")
    assert len(differences(made)) == 2


def test_an_older_ledger_is_upgraded_with_its_open_run_and_the_run_goes_on(
    app: psycopg.Connection, database: Url, begin: Begin, made: Connection
) -> None:
    # Given a run in the middle of its copy, in a ledger of the days before Alembic
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n text)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, repeat(g::text, 50) FROM generate_series(1, 12000) AS g")
    rebuild = begin(table("t", "id"), chunk_mb=1)
    rebuild.until(TableState.COPYING)
    rebuild.turn()
    assert rebuild.work("copy") > 0
    rebuild.close()
    app.execute(BACK_TO_THE_FIRST)
    with connect(database, name="setup") as connection:
        older = connection.execute("SELECT count(*), max(state) FROM replank.job").fetchone()
        # which is what that version made, to the letter
        first = (files("sql") / "ledger" / "upgrades" / "versions" / "v0001_tables.sql").read_text(encoding="utf-8")
        made.execute("DROP SCHEMA replank CASCADE; CREATE SCHEMA replank")
        made.execute(first)
        assert {name: said for name, said in shape(connection).items() if name in shape(made)} == shape(made)

        # When nobody has upgraded it, everybody says so
        with pytest.raises(OtherVersion, match="made by an older Replank"):
            read_status(connection)
        with pytest.raises(OtherVersion, match="made by an older Replank"):
            refuse_at_start(database, "w1")

        # and the run's own command upgrades it
        assert upgrade_ledger(connection)
        assert ledger_exists(connection)
        assert connection.execute("SELECT count(*), max(state) FROM replank.job").fetchone() == older
        assert differences(connection) == []
        made.execute("DROP SCHEMA replank CASCADE")
        ensure_ledger(made)
        assert {name: said for name, said in shape(connection).items() if name in shape(made)} == shape(made)

    # Then the run goes on to its end
    resumed = Rebuild.attach(database)
    with resumed.closing():
        resumed.ready()
        resumed.swap()
        resumed.finish()
        assert resumed.run.state is RunState.DONE, resumed.why()
        assert resumed.run.begun_by == ""
    assert app.execute(
        "SELECT count(DISTINCT id), count(*), pg_typeof(max(id::text)::uuid)::text FROM t"
    ).fetchone() == (
        12_000,
        12_000,
        "uuid",
    )


def test_a_ledger_is_not_upgraded_under_who_works_with_it(app: psycopg.Connection, database: Url) -> None:
    with connect(database, name="setup") as connection:
        ensure_ledger(connection)
        app.execute(BACK_TO_THE_FIRST)
        with connect(database, name="worker 1@host"), pytest.raises(OtherVersion, match="a worker is still connected"):
            upgrade_ledger(connection)
        with connect(database, name="coordinator") as other:
            assert try_to_lead(other)
            with pytest.raises(OtherVersion, match="coordinator is still connected"):
                upgrade_ledger(connection)
        # Nothing was changed
        assert app.execute("SELECT version FROM replank.version").fetchone() == (1,)
        assert upgrade_ledger(connection)


def test_a_newer_ledger_is_refused_by_all_and_left_as_it_is(
    app: psycopg.Connection, database: Url, begin: Begin
) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    begin(table("t", "id")).close()
    app.execute("UPDATE replank.alembic_version SET version_num = '0999'")
    with connect(database, name="setup") as connection:
        before = shape(connection)
        for act in (
            lambda: read_status(connection),
            lambda: upgrade_ledger(connection),
            lambda: ensure_ledger(connection),
            lambda: runs.open_run(connection),
            lambda: refuse_at_start(database, "w1"),
        ):
            with pytest.raises(OtherVersion, match="made by a newer Replank: it has revision 0999"):
                act()
        assert shape(connection) == before
        assert app.execute("SELECT version_num FROM replank.alembic_version").fetchone() == ("0999",)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE replank.run_table SET spec = spec - 'partitions'", "spec: .*its document has no 'partitions'"),
        ("UPDATE replank.run_table SET spec = spec || '{\"of_tomorrow\": 1}'", "spec: .*of_tomorrow"),
        ("UPDATE replank.run_table SET spec = '[]'", "spec: .*its document is another one"),
        (
            "UPDATE replank.run SET plan = plan || '{\"of_tomorrow\": 1}'",
            "plan.of_tomorrow: Extra inputs are not permitted",
        ),
    ],
)
def test_a_document_of_another_version_is_an_error_in_words(
    app: psycopg.Connection, begin: Begin, damage: str, words: str
) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    rebuild = begin(table("t", "id"))
    app.execute(damage)
    with pytest.raises(NeedsOperator, match=words) as refused:
        runs.open_run(rebuild.connection)
        tables.read_tables(rebuild.connection, rebuild.run_id)
    assert "begun_by" in refused.value.hint
