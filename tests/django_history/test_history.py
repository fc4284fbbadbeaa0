"""The plan's migrations in a project's history, and what a database must have to be told of them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from support.schemas.django_studio import copy_application

from producer.django.migrations import History, history_of
from producer.django.recording import not_recorded, record
from producer.history.foreign_code import Interpreter
from replank.errors import WrongUse
from replank.plan.plan import Plan
from replank.plan.tables.table_plan import TablePlan
from sql.session.connection import connect

pytestmark = pytest.mark.django

PLAN = Plan.model_validate(
    {
        "database": {"name": "studio"},
        "tables": [
            {"name": "people_member", "columns": [{"name": "token", "to": "uuid"}]},
            {"name": "work_project", "columns": [{"name": "trace", "to": "uuid"}]},
        ],
    }
)
STATEMENTS = [
    """SELECT '%s', '100%', 'a\\b', '{x}'""",
    "ALTER TABLE \"t\"\n  ALTER COLUMN \"id\" SET DEFAULT 'it''s'",
    """COMMENT ON TABLE t IS 'three \"\"\" quotes, three \'\'\'\'\'\' more'""",
    "SELECT E'a line\\nmore', 'ends with \\",
]
TOKEN = "models.CharField(max_length=36, unique=True, default=new_id)"
TRACE = "models.CharField(max_length=36, db_index=True, null=True)"

Ask = Callable[..., History]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_application(tmp_path / "project")


@pytest.fixture
def ask(project: Path) -> Ask:
    """What the history has and lacks, with what it lacks written if that is asked for."""

    def asked(statements: list[str] = STATEMENTS, *, app: str | None = None, write: bool = False) -> History:
        interpreter = Interpreter(variables={"DJANGO_SETTINGS_MODULE": "studio.settings"}, folder=project)
        found = history_of(PLAN, statements, interpreter, app=app, default_schema="public")
        for migration in found.made if write else ():
            migration.path.write_text(migration.text)
        return found

    return asked


def change(project: Path, file: str, old: str, new: str) -> None:
    path = project / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_models_may_follow_later(project: Path, ask: Ask) -> None:
    # Given models that stay as they are
    first = ask(write=True)
    (sql,) = first.made
    assert (sql.app, sql.statements) == ("people", tuple(STATEMENTS))
    assert sql.name.startswith("0002_replank_")
    assert set(sql.follows) == {("people", "0001_initial"), ("work", "0001_initial")}
    assert {(one.model, one.field, one.kind) for one in first.fields} == {
        ("people.Member", "token", "CharField"),
        ("work.Project", "trace", "CharField"),
    }
    trace = next(one for one in first.fields if one.field == "trace")
    assert (project / "work" / "models.py").read_text().splitlines()[trace.line - 1].strip() == f"trace = {TRACE}"
    # It is found as it is
    again = ask()
    assert [(one.key, one.statements) for one in again.present] == [(sql.key, sql.statements)]
    assert again.made == ()

    # When one model follows, its own app gets a migration that changes no database
    change(project, "work/models.py", TRACE, "models.UUIDField(db_index=True, null=True)")
    (later,) = ask(write=True).made
    assert later.app == "work"
    assert later.statements is None
    assert set(later.follows) == {("work", "0001_initial"), sql.key}
    assert "database_operations" not in later.text
    assert "RunSQL" not in later.text
    done = ask()
    assert (len(done.present), done.made, [one.field for one in done.fields]) == (2, (), ["token"])


def test_a_proxy_in_another_app_and_a_model_without_source_change_nothing(project: Path) -> None:
    # Given a proxy of a planned model in an app that comes later, and a model that no source says
    with (project / "work" / "models.py").open("a") as models:
        models.write(
            "\n\nfrom people.models import Member\n\n\nclass Worker(Member):\n    class Meta:\n        proxy = True\n"
            "\n\nBadge = type('Badge', (models.Model,), {'__module__': __name__, 'token': models.TextField()})\n"
        )
    made = [sys.executable, "manage.py", "makemigrations", "work"]
    subprocess.run(made, cwd=project, check=True, capture_output=True)
    badge = TablePlan.model_validate({"name": "work_badge", "columns": [{"name": "token", "to": "uuid"}]})
    plan = PLAN.model_copy(update={"tables": (*PLAN.tables, badge)})
    interpreter = Interpreter(variables={"DJANGO_SETTINGS_MODULE": "studio.settings"}, folder=project)
    found = history_of(plan, STATEMENTS, interpreter, app=None, default_schema="public")
    assert [one.app for one in found.made] == ["people"]
    assert [(one.model, one.line) for one in found.fields if one.field == "token"] == [
        ("people.Member", 9),
        ("work.Badge", 0),
    ]


def test_the_app_can_be_named(ask: Ask) -> None:
    assert [one.app for one in ask(app="work").made] == ["work"]
    with pytest.raises(WrongUse, match="App nobody has no migrations"):
        ask(app="nobody")


def test_branches_of_a_history_are_refused(project: Path, ask: Ask) -> None:
    versions = project / "work" / "migrations"
    for name in ("0002_one", "0002_other"):
        (versions / f"{name}.py").write_text(
            "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
            "    dependencies = [('work', '0001_initial')]\n    operations = []\n"
        )
    with pytest.raises(WrongUse, match=r"work: 0002_one, 0002_other.*makemigrations --merge"):
        ask()


def test_other_changes_of_the_models_are_refused(project: Path, ask: Ask) -> None:
    change(project, "work/models.py", TRACE, TRACE + '\n    mood = models.TextField(default="good")')
    with pytest.raises(WrongUse, match=r"other changes than the plan's.*Add field mood to project"):
        ask()


def test_a_migration_with_other_statements_is_refused(ask: Ask) -> None:
    ask(write=True)
    with pytest.raises(WrongUse, match="has other statements"):
        ask([*STATEMENTS, "SELECT 1"])


def test_models_that_do_not_load_are_told_in_their_own_words(project: Path, ask: Ask) -> None:
    change(project, "work/models.py", "class Tag", "import nothing_of_this_name\n\n\nclass Tag")
    with pytest.raises(WrongUse, match=r"(?s)could not be loaded.*No module named 'nothing_of_this_name'"):
        ask()


def test_a_database_is_told_once_and_only_if_it_has_what_comes_before(ask: Ask, database: str) -> None:
    made = ask().made
    with connect(database, name="test") as connection:
        with pytest.raises(WrongUse, match=r"no table public\.django_migrations"):
            not_recorded(connection, made, "public")
        with psycopg.connect(database) as app:
            app.execute("CREATE TABLE django_migrations (id serial, app text, name text, applied timestamptz)")
            app.execute("INSERT INTO django_migrations (app, name) VALUES ('people', '0001_initial')")
        with pytest.raises(WrongUse, match=r"does not have work\.0001_initial, .*manage\.py migrate"):
            not_recorded(connection, made, "public")
        with psycopg.connect(database) as app:
            app.execute("INSERT INTO django_migrations (app, name) VALUES ('work', '0001_initial')")
        assert not_recorded(connection, made, "public") == list(made)
        record(connection, made, "public")
        record(connection, made, "public")
        assert not_recorded(connection, made, "public") == []
    with psycopg.connect(database) as app:
        said = app.execute("SELECT app, name, applied IS NOT NULL FROM django_migrations WHERE name LIKE '%replank%'")
        assert said.fetchall() == [(*made[0].key, True)]
