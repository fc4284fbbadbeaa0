"""Functions of a table's owner would run with the run's rights: a superuser's run is not to become the owner's key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from support.oracles.oracle import one
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table

from producer.check.check import audit
from producer.check.findings import Finding
from producer.check.values.progress import ScanWatch
from producer.inspect.evidence import read_evidence
from producer.planning.resolution import PlanFile
from producer.starting.compile_all import compile_all
from producer.starting.preflight import refuse_stores
from replank.errors import NeedsOperator
from replank.plan.plan import Plan
from replank.settings import Settings
from replank.values.states import TableState
from sql.session.connection import connect

pytestmark = [pytest.mark.protocol, pytest.mark.core]

EVIL = """
CREATE SCHEMA mallory AUTHORIZATION mallory;
SET ROLE mallory;
CREATE FUNCTION mallory.takes() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    ALTER ROLE mallory SUPERUSER;
  END IF;
  RETURN true;
END $$;
CREATE FUNCTION mallory.evil(n int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
  $$ BEGIN RETURN mallory.takes(); END $$;
CREATE TABLE mallory.t (id text PRIMARY KEY, n int NOT NULL);
INSERT INTO mallory.t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g;
"""
PLACES = {
    "check": "ALTER TABLE mallory.t ADD CHECK (mallory.evil(n))",
    "generated column": "ALTER TABLE mallory.t ADD g boolean GENERATED ALWAYS AS (mallory.evil(n)) STORED",
    "default": "ALTER TABLE mallory.t ADD d boolean DEFAULT mallory.takes()",
    "index": "CREATE INDEX ON mallory.t (mallory.evil(n))",
    "predicate": "CREATE INDEX ON mallory.t (n) WHERE mallory.evil(1)",
    "statistics": "CREATE STATISTICS mallory.s ON (mallory.evil(n)), n FROM mallory.t",
    "domain": "CREATE DOMAIN mallory.d AS int CHECK (mallory.evil(VALUE)); ALTER TABLE mallory.t ADD m mallory.d",
    "cast": "CREATE TYPE mallory.e AS ENUM ('a', 'b');"
    " CREATE FUNCTION mallory.said(mallory.e) RETURNS text LANGUAGE sql AS"
    " $$ SELECT CASE WHEN mallory.takes() THEN 'a' END $$;"
    " CREATE CAST (mallory.e AS text) WITH FUNCTION mallory.said(mallory.e);"
    " ALTER TABLE mallory.t ADD e mallory.e DEFAULT 'a'",
    "policy": "ALTER TABLE mallory.t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON mallory.t USING (mallory.evil(n))",
    "materialized view": "CREATE MATERIALIZED VIEW mallory.v AS SELECT id, mallory.evil(n) AS e FROM mallory.t",
    "trigger": "CREATE FUNCTION mallory.fires() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM mallory.takes(); RETURN NEW; END $$;"
    " CREATE TRIGGER fires BEFORE UPDATE ON mallory.t FOR EACH ROW EXECUTE FUNCTION mallory.fires();"
    " ALTER TABLE mallory.t ENABLE ALWAYS TRIGGER fires",
}
HARMLESS = ("policy", "materialized view")
"""What PostgreSQL itself keeps from running with our rights."""

PLANNED: dict[str, Any] = {"schema": "mallory"}
IN_PLACE: dict[str, Any] = {**PLANNED, "method": "backfill", "add": [{"name": "x", "type": "int", "value": "live.n"}]}


class _Unwatched(ScanWatch):
    def begin(self, *, blocks: int) -> None: ...

    def scanned(self, table: str, *, table_blocks: int, blocks: int, rows: int) -> None: ...


@pytest.fixture
def mallory(app: psycopg.Connection, database: Url) -> Iterator[Url]:
    """The URL with which a role enters that owns a table, and functions."""
    app.execute("CREATE ROLE mallory LOGIN PASSWORD 'secret'")
    app.execute(f"GRANT CREATE ON DATABASE {app.info.dbname} TO mallory".encode())
    yield make_conninfo(database, user="mallory", password="secret")
    app.execute("RESET ROLE; DROP OWNED BY mallory CASCADE; DROP ROLE mallory")


def _own(app: psycopg.Connection, place: str) -> None:
    """The table anew, with the owner's code in one place."""
    app.execute("DROP SCHEMA IF EXISTS mallory CASCADE; ALTER ROLE mallory NOSUPERUSER")
    app.execute(EVIL)
    for statement in PLACES[place].split("; ") if "$$" not in PLACES[place] else [PLACES[place]]:
        app.execute(statement.encode())
    app.execute("RESET ROLE")


def _file(app: psycopg.Connection, **options: Any) -> PlanFile:
    planned = [table("t", "id", **PLANNED).planned.model_dump(by_alias=True)]
    said = {"database": {"name": app.info.dbname}, "tables": planned, "options": options}
    return PlanFile(plan=Plan.model_validate(said), source="plan.toml", text="")


def _check(url: Url, file: PlanFile) -> list[Finding]:
    report = audit(Settings(database_url=SecretStr(url)), file, workers=1, watch=_Unwatched())
    return [*report.blockers, *report.warnings]


def _is_superuser(app: psycopg.Connection) -> bool:
    return bool(one(app, "SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'"))


@pytest.mark.attack("D3", "a table's owner hides code that grants rights where a superuser's run would execute it")
@pytest.mark.usefixtures("mallory")
def test_the_owners_code_never_gets_the_runs_rights(app: psycopg.Connection, database: Url, attack: Attack) -> None:
    for place in PLACES:
        _own(app, place)
        with connect(database, name="inspect", settings={"default_transaction_read_only": "on"}) as connection:
            read_evidence(connection, sample_rows=100)
        found = [] if place == "trigger" else [f.code for f in _check(database, _file(app)) if f.blocks]
        planned = table("t", **IN_PLACE) if place == "trigger" else table("t", "id", **PLANNED)
        if place in HARMLESS:
            assert "foreign_code" not in found
            rebuild = Rebuild.begin(database, [planned], {})
            rebuild.finish()
            rebuild.close()
            app.execute("DROP SCHEMA replank CASCADE; DROP SCHEMA replank_past_mallory CASCADE")
        else:
            assert found == ([] if place == "trigger" else ["foreign_code"]), place
            with pytest.raises(NeedsOperator, match=r"foreign_code.*mallory"):
                Rebuild.begin(database, [planned], {})
        assert not _is_superuser(app), place
        attack.record("run as it was planned" if place in HARMLESS else "refused by name before anything was executed")


@pytest.mark.usefixtures("mallory")
def test_scripts_are_not_compiled_over_the_owners_code(app: psycopg.Connection, database: Url) -> None:
    _own(app, "predicate")
    with connect(database, name="compile") as connection, pytest.raises(NeedsOperator, match="foreign_code"):
        compile_all(connection, _file(app))
    assert not _is_superuser(app)


@pytest.mark.usefixtures("mallory")
def test_a_table_outside_of_the_plan_is_not_read(app: psycopg.Connection, database: Url) -> None:
    """`check` looks for ids in other tables, too; those with such code are left out."""
    _own(app, "predicate")
    app.execute("CREATE TABLE public.t (id text PRIMARY KEY)")
    app.execute("INSERT INTO public.t SELECT id FROM mallory.t WHERE n < 40")
    app.execute("ALTER ROLE mallory NOSUPERUSER")
    plan = Plan.model_validate(
        {"database": {"name": app.info.dbname}, "tables": [{"name": "t", "columns": [{"name": "id", "to": "uuid"}]}]}
    )
    found = _check(database, PlanFile(plan=plan, source="plan.toml", text=""))
    assert [f.code for f in found if f.blocks] == []
    assert not _is_superuser(app)
    # And where a foreign key leads there, it would be read
    app.execute("ALTER TABLE mallory.t ADD FOREIGN KEY (id) REFERENCES public.t NOT VALID")
    app.execute("ALTER ROLE mallory NOSUPERUSER")
    assert "foreign_code" in [f.code for f in _check(database, PlanFile(plan=plan, source="plan.toml", text=""))]
    assert not _is_superuser(app)


@pytest.mark.usefixtures("mallory")
def test_code_that_comes_during_the_run(app: psycopg.Connection, database: Url) -> None:
    """Before the next table is made of what the live one is by then."""
    _own(app, "policy")
    rebuild = Rebuild.begin(database, [table("t", "id", **PLANNED)], {})
    app.execute("SET ROLE mallory; ALTER TABLE mallory.t ADD CHECK (mallory.evil(n)) NOT VALID; RESET ROLE")
    rebuild.turn()
    assert "mallory.evil" in rebuild.table("t").problem, rebuild.table("t").problem
    assert rebuild.table("t").state is TableState.PLANNED
    rebuild.close()
    assert not _is_superuser(app)


@pytest.mark.usefixtures("mallory")
def test_expressions_of_the_plan(app: psycopg.Connection, database: Url) -> None:
    _own(app, "policy")
    for more in (
        {"add": [{"name": "x", "type": "boolean", "value": "mallory.evil(live.n)"}]},
        {"add": [{"name": "x", "type": "boolean", "default": "mallory.takes()"}]},
        {
            "add": [{"name": "x", "type": "boolean", "value": "j.e"}],
            "join": [{"name": "j", "query": "SELECT id, mallory.evil(n) AS e FROM mallory.t", "on": "j.id = live.id"}],
        },
    ):
        with pytest.raises(NeedsOperator, match=r"foreign_code.*mallory\.(evil|takes)"):
            Rebuild.begin(database, [table("t", "id", **PLANNED, **more)], {})
        assert not _is_superuser(app)


def test_who_may_run_it(app: psycopg.Connection, mallory: Url, database: Url) -> None:
    """Its owner; a role that may do no more than its owner; and whoever says so in the plan."""
    _own(app, "check")
    app.execute("CREATE ROLE migrator LOGIN PASSWORD 'secret' IN ROLE mallory; CREATE ROLE treasurer")
    try:
        app.execute(f"GRANT CREATE ON DATABASE {app.info.dbname} TO migrator".encode())
        member = make_conninfo(database, user="migrator", password="secret")
        for url in (mallory, member):
            assert "foreign_code" not in [f.code for f in _check(url, _file(app))]
        app.execute("GRANT treasurer TO migrator")
        assert [f.code for f in _check(member, _file(app)) if f.blocks] == ["foreign_code"]
        consenting = _check(member, _file(app, consent=["foreign_functions"]))
        (said,) = [f for f in consenting if f.code == "foreign_code"]
        assert not said.blocks
        assert said.details["functions"] == [{"function": "mallory.evil(integer)", "owner": "mallory"}]
    finally:
        app.execute("DROP OWNED BY migrator; DROP ROLE migrator, treasurer")


@pytest.mark.attack("D3", "an index whose predicate grants rights is added while the run copies, or waits")
@pytest.mark.usefixtures("mallory")
@pytest.mark.parametrize("state", [TableState.COPYING, TableState.READY])
def test_an_index_that_comes_while_jobs_run(
    app: psycopg.Connection, database: Url, state: TableState, attack: Attack
) -> None:
    """Every statement that reads the table evaluates its predicate."""
    _own(app, "policy")
    rebuild = Rebuild.begin(database, [table("t", "id", **PLANNED)], {})
    rebuild.until(state)
    app.execute("SET ROLE mallory")
    app.execute("UPDATE mallory.t SET n = -n WHERE n < 5")
    app.execute("CREATE INDEX evil ON mallory.t (n) WHERE mallory.evil(1)")
    app.execute("RESET ROLE")
    rebuild.settle()
    assert "mallory.evil" in rebuild.why() + "".join(one.problem for one in rebuild.sets)
    assert not _is_superuser(app)
    app.execute("DROP INDEX mallory.evil")
    rebuild.retry()
    rebuild.finish()
    rebuild.close()
    assert not _is_superuser(app)
    attack.record("the next job, or the cutover, refused; the run went on when the index was gone")


@pytest.mark.usefixtures("mallory")
def test_a_rehearsal_does_not_begin_over_the_owners_code(app: psycopg.Connection, database: Url) -> None:
    # Given partitions that begin at the lowest value: it is read from the database itself, before there is a clone
    _own(app, "predicate")
    by_month = {"by": "range", "column": "id", "every": "month", "uuidv7": True, "timezone": "UTC"}
    planned = table("t", "id", **PLANNED, partition=by_month).planned
    file = _file(app)
    file = replace(file, plan=file.plan.model_copy(update={"tables": (planned,)}))
    with (
        connect(database, name="rehearsal") as connection,
        pytest.raises(NeedsOperator, match=r"foreign_code.*mallory"),
    ):
        refuse_stores(connection, file)
    assert not _is_superuser(app)
