"""The revision's place in a history, and what a database must be at to be stamped."""

from pathlib import Path

import psycopg
import pytest

from demo.datasets.shop.project import alembic, copy_project
from producer.alembic.revision import Environment, Revision, revision_of
from producer.alembic.stamping import is_stamped, stamp
from producer.history.foreign_code import Interpreter
from replank.errors import WrongUse
from replank.plan.plan import Plan
from sql.session.connection import connect

pytestmark = pytest.mark.alembic

PLAN = Plan.model_validate(
    {"database": {"name": "shop"}, "tables": [{"name": "t", "columns": [{"name": "id", "to": "uuid"}]}]}
)
OTHER = """
import sqlalchemy as sa
from alembic import op
revision = "e5other"
down_revision = "c300shop"
"""
STATEMENTS = [
    """SELECT ':no_parameter', '100%', 'a\\:b'::text""",
    'CREATE TABLE "t" (\n  "id" uuid DEFAULT \'00000000-0000-0000-0000-000000000000\'::uuid,\n  "at:me" text)',
    """COMMENT ON TABLE t IS 'three \"\"\" quotes, three \'\'\'\'\'\' more, and a back\\slash: it''s all'""",
]


@pytest.fixture
def application(tmp_path: Path) -> Environment:
    folder = copy_project(tmp_path / "application")
    return Environment(config=folder / "alembic.ini", script_location=None, interpreter=Interpreter(folder=folder))


def test_several_heads_are_refused_by_name(application: Environment) -> None:
    (application.config.parent / "migrations" / "versions" / "e5other.py").write_text(OTHER)
    with pytest.raises(WrongUse, match="has 2 heads: d400shop, e5other"):
        revision_of(PLAN, STATEMENTS, application, write=True)


def test_a_revision_is_shown_written_once_and_refused_with_other_statements(application: Environment) -> None:
    versions = application.config.parent / "migrations" / "versions"
    before = sorted(versions.glob("*.py"))
    shown = revision_of(PLAN, STATEMENTS, application, write=False)
    assert sorted(versions.glob("*.py")) == before
    written = revision_of(PLAN, STATEMENTS, application, write=True)
    assert (written.revision, written.follows, written.text) == (shown.revision, "d400shop", shown.text)
    assert written.path.read_text() == shown.text
    again = revision_of(PLAN, STATEMENTS, application, write=True)
    assert (again.revision, again.path, again.new) == (written.revision, written.path, False)
    with pytest.raises(WrongUse, match=f"Revision {written.revision} .* has other statements"):
        revision_of(PLAN, [*STATEMENTS, "SELECT 1"], application, write=True)


def test_statements_reach_the_server_as_they_are(application: Environment, database: str) -> None:
    revision_of(PLAN, STATEMENTS, application, write=True)
    alembic(database, "upgrade", "head", folder=application.config.parent)
    with psycopg.connect(database) as app:
        comment = app.execute("SELECT obj_description('t'::regclass)").fetchone()
        columns = [one.name for one in app.execute("SELECT * FROM t").description or ()]
    assert comment == ("three \"\"\" quotes, three ''' more, and a back\\slash: it's all",)
    assert columns == ["id", "at:me"]


def _revision(name: str, follows: str | None, *later: str) -> Revision:
    return Revision(revision=name, follows=follows, path=Path(), text="", new=True, descendants=frozenset(later))


def test_only_the_revision_before_is_stamped(database: str) -> None:
    with connect(database, name="test") as connection:
        with pytest.raises(WrongUse, match=r"no table public.alembic_version"):
            is_stamped(connection, _revision("b", "a"), "public.alembic_version")
        connection.execute("CREATE TABLE public.alembic_version (version_num varchar(32) PRIMARY KEY)")
        with pytest.raises(WrongUse, match="at no revision, and the revision before b is a"):
            is_stamped(connection, _revision("b", "a"), "public.alembic_version")
        stamp(connection, _revision("a", None), "public.alembic_version")
        with pytest.raises(WrongUse, match="at a, and the revision before c is b"):
            is_stamped(connection, _revision("c", "b"), "public.alembic_version")
        assert not is_stamped(connection, _revision("b", "a"), "public.alembic_version")
        stamp(connection, _revision("b", "a"), "public.alembic_version")
        with pytest.raises(WrongUse, match="has just changed"):
            stamp(connection, _revision("b", "a"), "public.alembic_version")
        # A database that is past it has it
        assert is_stamped(connection, _revision("a", None, "b"), "public.alembic_version")
