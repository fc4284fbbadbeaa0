"""Step 06: the schema file is read, compiled, written by the run, and restored by the rollback."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from support.runs.harness import Rebuild

from monitoring.status.read_status import read_status
from producer.compiling.compile_steps import write_scripts
from producer.planning.resolution import read_plan_file
from producer.prisma.schema.schema_file import diff_names
from producer.rollback.rollback import roll_back
from producer.starting.begin import begin_or_resume
from producer.starting.compile_all import compile_all
from replank.errors import WrongUse
from replank.values.states import RunState
from replank.values.steps import BY_NAME
from sql.ledger.runs.events import read_events
from sql.session.connection import connect

pytestmark = pytest.mark.catalogue

SCHEMA = """\
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

model account {
  id       String  @id
  tenantId String  @map("tenant_id")
  Name     String?
}

model membership {
  accountId String @map("account_id")
  tenantId  String @map("tenant_id")
  role      String

  @@id([accountId, tenantId])
}
"""
PLAN = """
[database]
name = "{database}"
[prisma]
schema = "an app/schema.prisma"
write = {write}
[steps.uuid_fields]
column = "public_id"
tables = ["account"]
[[steps.enums]]
name = "member_role"
values = ["member", "admin"]
[[tables]]
name = "membership"
columns = [{{ name = "role", to = "enum", type = "member_role" }}]
"""


@dataclass(kw_only=True)
class Site:
    """A folder with a plan and a schema file, and the runs that are driven from it."""

    url: str
    folder: Path
    begun: list[Rebuild] = field(default_factory=list)

    @property
    def schema(self) -> Path:
        return self.folder / "an app" / "schema.prisma"

    @property
    def beside(self) -> Path:
        return self.folder / "an app" / "schema.replank.prisma"

    @property
    def plan(self) -> Path:
        return self.folder / "plan.toml"

    def begin(self, scripts: Path | None = None) -> Rebuild:
        with connect(self.url, name="test") as connection:
            begin_or_resume(connection, read_plan_file(self.plan), hold_cutover=True, scripts_in=scripts)
        self.begun.append(Rebuild.attach(self.url))
        return self.begun[-1]

    def compile(self) -> Path:
        with connect(self.url, name="test") as connection:
            write_scripts(compile_all(connection, read_plan_file(self.plan)), self.folder / "out")
        return self.folder / "out"

    def back(self, to: str | None = None) -> list[str]:
        said: list[str] = []
        while self.begun:
            self.begun.pop().close()
        with connect(self.url, name="test") as connection:
            roll_back(connection, say=said.append, to=None if to is None else BY_NAME[to])
        return said


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Callable[[bool], Site]]:
    made: list[Site] = []

    def make(write: bool) -> Site:
        one = Site(url=database, folder=tmp_path)
        one.schema.parent.mkdir()
        one.schema.write_text(SCHEMA)
        name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
        one.plan.write_text(PLAN.format(database=name, write=str(write).lower()))
        made.append(one)
        return one

    yield make
    for one in made:
        for rebuild in one.begun:
            rebuild.close()


def _scripts(rebuild: Rebuild) -> None:
    while rebuild.take_script():
        assert rebuild.run.state is RunState.RUNNING, rebuild.run.reason


def _events(rebuild: Rebuild) -> list[str]:
    found = read_events(rebuild.connection, rebuild.run_id)
    return [event.message for event in found if event.subject == "06-update-prisma-schema"]


def test_in_place_forward_back_and_forward_again(site: Callable[[bool], Site]) -> None:
    # Given a diff that a person has read, and that `patch` understands
    here = site(True)
    scripts = here.compile()
    diff = (scripts / "06-update-prisma-schema.diff").read_text()
    assert "+  role      member_role" in diff or "MemberRole" in diff
    assert here.schema.read_text() == SCHEMA
    # When the run comes to step 06
    rebuild = here.begin(scripts)
    _scripts(rebuild)
    # Then the file is what the diff makes of it, and the ledger has both checksums
    after = here.schema.read_text()
    assert "publicId" in after
    assert 'dbgenerated("gen_random_uuid()")' in after
    assert "enum MemberRole" in after
    for tool in (["patch", "-s", "-p1", "-i"], ["git", "apply"]):
        copy = here.folder / f"copy by {tool[0]}"
        shutil.copytree(here.schema.parent, copy / "an app")
        for name, text in (("rollback-06-restore-prisma-schema", SCHEMA), ("06-update-prisma-schema", after)):
            patched = subprocess.run([*tool, str(scripts / f"{name}.diff")], cwd=copy)
            assert (patched.returncode, (copy / "an app" / "schema.prisma").read_text()) == (0, text)
    assert "sha256" in _events(rebuild)[0]
    told = {step.name: (step.phase, step.finished) for step in read_status(rebuild.connection).steps}
    assert told["06-update-prisma-schema"] == (2, True)
    rebuild.finish()
    # And it comes back with the rollback, goes forward again, and back
    assert f"step 06-update-prisma-schema: {here.schema} is restored" in here.back("05-fix-enum-mappings")
    assert here.schema.read_text() == SCHEMA
    again = here.begin()
    _scripts(again)
    again.finish()
    assert here.schema.read_text() == after
    here.back()
    assert here.schema.read_text() == SCHEMA


def test_beside_unless_the_plan_says_write(site: Callable[[bool], Site]) -> None:
    here = site(False)
    rebuild = here.begin()
    _scripts(rebuild)
    assert here.schema.read_text() == SCHEMA
    assert "enum MemberRole" in here.beside.read_text()
    assert str(here.beside) in _events(rebuild)[0]
    assert any("schema.replank.prisma is removed" in words for words in here.back())
    assert not here.beside.exists()


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_somebody_changed_is_neither_overwritten_nor_restored(
    site: Callable[[bool], Site], write: bool
) -> None:
    here = site(write)
    scripts = here.compile()
    # Given a change between compile and run
    here.schema.write_text(SCHEMA + "// mine\n")
    with pytest.raises(WrongUse, match=r"06-update-prisma-schema\.diff.* is not what this plan"):
        here.begin(scripts)
    # And one between the beginning and the step
    here.schema.write_text(SCHEMA)
    rebuild = here.begin(scripts)
    here.schema.write_text(SCHEMA + "// mine\n")
    while rebuild.take_script() and rebuild.run.state is RunState.RUNNING:
        pass
    assert rebuild.run.state is RunState.NEEDS_OPERATOR
    assert "was changed since the step was compiled" in rebuild.run.reason
    here.schema.write_text(SCHEMA)
    rebuild.retry()
    _scripts(rebuild)
    # And one after it
    written = here.schema if write else here.beside
    written.write_text(written.read_text() + "// mine\n")
    assert any("was changed since and is left as it is" in words for words in here.back())
    assert written.read_text().endswith("// mine\n")


def test_a_diff_names_the_file_from_a_folder_above_it_and_the_plan(tmp_path: Path) -> None:
    plans = tmp_path / "db" / "plans"
    assert diff_names(tmp_path / "db" / "schema.prisma", tmp_path / "db") == ("a/schema.prisma", "b/schema.prisma")
    names = diff_names(plans / ".." / ".." / "prisma" / "schema.prisma", plans)
    assert names == ("a/prisma/schema.prisma", "b/prisma/schema.prisma")


def test_a_step_that_was_killed_after_its_writing_goes_on(site: Callable[[bool], Site]) -> None:
    here = site(True)
    rebuild = here.begin()
    _scripts(rebuild)
    after = here.schema.read_text()
    rebuild.connection.execute("UPDATE replank.step SET finished_at = NULL WHERE step LIKE '06%'")
    rebuild.connection.execute("UPDATE replank.script SET blocks_done = 0 WHERE step LIKE '06%'")
    _scripts(rebuild)
    assert here.schema.read_text() == after
    here.back()
    assert here.schema.read_text() == SCHEMA


def test_what_cannot_be_is_refused_before_the_first_write(site: Callable[[bool], Site]) -> None:
    here = site(False)
    here.beside.write_text("somebody's own")
    with pytest.raises(WrongUse, match="exists already"):
        here.begin()
    here.schema.unlink()
    with pytest.raises(WrongUse, match="cannot be read"):
        here.begin()
    with psycopg.connect(here.url) as connection:
        assert connection.execute("SELECT to_regnamespace('replank')").fetchone() == (None,)
