"""A schema file and 220 migrations that nobody here wrote: Prisma's engine judges them after a real run."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import psycopg
import pytest
from support.filling.filler import fill
from support.runs.programs import Replank
from support.schemas.litellm import migration_files

from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from prisma import engine
from prisma.engine import Migration

pytestmark = [pytest.mark.prisma, pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = 3_000

# The platform makes these two itself when it starts; its schema file has them, its migrations have not.
OF_THE_PLATFORM = Migration(
    name="20990101000000_indexes_made_at_start",
    script="""
CREATE INDEX "LiteLLM_SpendLogs_litellm_call_id_idx" ON "LiteLLM_SpendLogs"("litellm_call_id");
CREATE INDEX "LiteLLM_SpendLogs_api_key_startTime_idx" ON "LiteLLM_SpendLogs"("api_key", "startTime");
""",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run has left: the live database, the files, and the files as they were written before the run."""

    url: str
    replank: Replank
    folder: Path
    migrations: list[Migration]
    before: str
    planned: str
    after: str

    @property
    def plan(self) -> str:
        return str(self.folder / "plan.toml")

    @property
    def schema(self) -> str:
        return str(self.folder / "schema.prisma")


@pytest.fixture(scope="module")
def run(postgres: EmbeddedPostgres, broker: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The platform, made by Prisma's engine, migrated by Replank."""
    url, folder = postgres.create_database("litellm"), tmp_path_factory.mktemp("litellm")
    migrations = [Migration(name=file.parent.name, script=file.read_text()) for file in _files()]
    migrations.append(OF_THE_PLATFORM)
    engine.apply(url, migrations)
    before = engine.formatted(resources.files("litellm_proxy_extras").joinpath("schema.prisma").read_text())
    (folder / "schema.prisma").write_text(before)
    fill(url, rows=ROWS, odd_spellings=True)
    with psycopg.connect(url) as connection:
        # The filler knows no table that is not the application's: its rows are no migrations.
        named = [one.name for one in migrations]
        connection.execute("DELETE FROM _prisma_migrations WHERE migration_name <> ALL (%s)", [named])
    replank = Replank(database_url=url, broker_url=broker.url())
    plan, schema = str(folder / "plan.toml"), str(folder / "schema.prisma")
    for command in (
        ("inspect", "--every-uuid", "--out", plan),
        ("prisma", plan, "--schema", schema, "--out", str(folder / "planned.prisma")),
        ("run", plan, "--workers=2", "--quiet"),
        ("prisma", plan, "--schema", schema, "--out", str(folder / "after.prisma")),
    ):
        said = replank(*command)
        assert said.status == 0, said.words
    texts = [(folder / name).read_text() for name in ("planned.prisma", "after.prisma")]
    yield Run(
        url=url,
        replank=replank,
        folder=folder,
        migrations=migrations,
        before=before,
        planned=texts[0],
        after=texts[1],
    )
    postgres.drop_database("litellm")


def _files() -> list[Path]:
    return [Path(str(file)) for file in migration_files()]


def test_the_rewritten_file_is_valid_and_as_the_formatter_writes_it(run: Run) -> None:
    engine.validate(run.after)
    assert engine.formatted(run.after) == run.after
    # And it says after the run what it said before it
    assert run.planned == run.after


def test_nothing_is_left_for_prisma_to_do(run: Run) -> None:
    assert engine.difference(run.url, run.after) == []
    # And the engine does look: going by the old file it would make texts of every id again
    back = engine.difference(run.url, run.before)
    assert sum("SET DATA TYPE TEXT" in statement for statement in back) > 50
    # And one missing word is seen
    once = run.after.replace(" @client.Uuid", "", 1)
    assert len(engine.difference(run.url, once)) > 0


def test_only_lines_of_converted_columns_changed(run: Run) -> None:
    before, after = run.before.splitlines(), run.after.splitlines()
    assert len(before) == len(after)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 132
    # Without the new words and with spaces made equal, every line is what it was
    assert all(old.split() == new.replace("@client.Uuid", "").split() for old, new in changed)


def test_the_migration_makes_the_same_of_a_shadow_database_and_the_history_is_clean(run: Run) -> None:
    # Given the folder that the live database is to have recorded
    migrations = run.folder / "migrations"
    migrations.mkdir()
    for one in run.migrations[-2:]:
        (migrations / one.name).mkdir()
    arguments = ("prisma", run.plan, "--schema", run.schema, "--migration", str(migrations))
    said = run.replank(*arguments, "--apply", "--json")
    assert said.status == 0, said.words
    folder = Path(said.document["migration"]["path"])
    everything = [*run.migrations, Migration(name=folder.name, script=(folder / "migration.sql").read_text())]
    # Then it comes last, and all of them make of an empty database what the file says
    assert folder.name > OF_THE_PLATFORM.name
    assert engine.difference_from_migrations(run.url, everything, run.after) == []
    assert engine.difference_from_migrations(run.url, run.migrations, run.after) != []
    # And the live database knows it: nothing is behind, edited or failed
    assert engine.history(run.url, everything) == {
        "editedMigrationNames": [],
        "failedMigrationNames": [],
        "hasMigrationsTable": True,
        "history": None,
    }
    assert engine.applied(run.url, everything) == []


def test_recording_it_twice_is_recording_it_once(run: Run) -> None:
    migrations = run.folder / "twice"
    migrations.mkdir()
    for _ in range(2):
        arguments = ("prisma", run.plan, "--schema", run.schema, "--migration", str(migrations), "--apply")
        said = run.replank(*arguments)
        assert said.status == 0, said.words
    (folder,) = migrations.iterdir()
    with psycopg.connect(run.url) as connection:
        named = "SELECT count(*) FROM _prisma_migrations WHERE migration_name = %s"
        assert connection.execute(named, [folder.name]).fetchone() == (1,)
        # And the file that says the same by hand adds nothing
        connection.execute((folder / "baseline.sql").read_bytes())
        assert connection.execute(named, [folder.name]).fetchone() == (1,)
        connection.execute("DELETE FROM _prisma_migrations WHERE migration_name = %s", [folder.name])
