"""`replank prisma` and `replank inspect --prisma` as people use them; no engine is asked."""

import re
from pathlib import Path

import psycopg
import pytest
from support.runs.programs import Replank

from producer.prisma.migration.history import checksum_of

pytestmark = pytest.mark.cli

TABLES = """
CREATE TABLE "Author" (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE books (
  id varchar(36) PRIMARY KEY, "authorId" text REFERENCES "Author" (id), code text DEFAULT 'none', pages int);
CREATE TABLE "_AuthorToTag" ("A" text NOT NULL REFERENCES "Author" (id), "B" int NOT NULL);
CREATE TABLE stray (id int PRIMARY KEY);
CREATE VIEW titled AS SELECT b.id, a.name FROM books b JOIN "Author" a ON a.id = b."authorId";
INSERT INTO "Author" SELECT gen_random_uuid()::text, 'a' || g FROM generate_series(1, 20) AS g;
INSERT INTO books SELECT gen_random_uuid()::text, id FROM "Author";
"""

SCHEMA = """\
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

model Author {
  id    String  @id @default(uuid())
  name  String?
  books Book[]
  tags  Tag[]
}

model Book {
  id       String  @id @default(uuid()) @db.VarChar(36)
  authorId String?
  code     String? @default("none")
  author   Author? @relation(fields: [authorId], references: [id])

  @@map("books")
}

model Tag {
  id      Int      @id
  authors Author[]
}
"""

PLAN = """
version = 1
[database]
name = "{name}"
[[tables]]
name = "Author"
columns = [{{ name = "id", to = "uuid" }}]
[[tables]]
name = "_AuthorToTag"
columns = [{{ name = "A", to = "uuid" }}]
[[tables]]
name = "books"
columns = [{{ name = "id", to = "uuid" }}, {{ name = "authorId", to = "uuid" }},
           {{ name = "code", to = "uuid", on_invalid = "name_based", default = "gen_random_uuid()" }}]
add = [{{ name = "created_at", type = "timestamptz", default = "now()", not_null = true, on_update = "now()" }}]
"""


@pytest.fixture
def shelf(database: str, tmp_path: Path) -> Replank:
    """A small database, its schema file and a plan, in the present folder's `tmp_path`."""
    with psycopg.connect(database) as connection:
        connection.execute(TABLES.encode())
        (tmp_path / "plan.toml").write_text(PLAN.format(name=connection.info.dbname))
    (tmp_path / "schema.prisma").write_text(SCHEMA)
    return Replank(database_url=database, broker_url="")


def test_inspect_says_which_model_is_which_table_and_what_differs(shelf: Replank, tmp_path: Path) -> None:
    schema, plan = str(tmp_path / "schema.prisma"), str(tmp_path / "proposed.toml")
    said = shelf("inspect", "--prisma", schema, "--out", plan, "--json")
    assert said.status == 0, said.words
    found = said.document["prisma"]
    models = {one["model"]: (one["table"], one["found"], one["mismatches"]) for one in found["models"]}
    assert models == {
        "Author": ("Author", True, ["field name?: its column may not be NULL"]),
        "Book": ("books", True, ["column pages (integer): the model has no field for it"]),
        "Tag": ("Tag", False, []),
    }
    assert found["join_tables"] == [{"schema": "public", "table": "_AuthorToTag"}]
    assert found["without_model"] == [{"schema": "public", "table": "stray"}]
    assert "NO TABLE public.Tag" in said.words


def test_a_diff_is_written_and_no_file_is_touched(shelf: Replank, tmp_path: Path) -> None:
    schema, plan = tmp_path / "schema.prisma", str(tmp_path / "plan.toml")
    said = shelf("prisma", plan, "--schema", str(schema), "--out", str(tmp_path / "new.prisma"), "--json")
    assert said.status == 0, said.words
    assert said.document == {"changed": True, "schemas_of_steps": [], "without_model": [], "migration": None}
    assert schema.read_text() == SCHEMA
    new = (tmp_path / "new.prisma").read_text()
    lines = [" ".join(line.split()) for line in new.splitlines()]
    assert "id String @id @default(uuid()) @db.Uuid" in lines
    assert 'code String? @default(dbgenerated("gen_random_uuid()")) @db.Uuid' in lines
    assert "created_at DateTime @default(now()) @db.Timestamptz(6)" in lines


def test_the_migration_does_offline_what_the_plan_says(shelf: Replank, tmp_path: Path) -> None:
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    (migrations / "29990101000000_later").mkdir()
    arguments = ("prisma", str(tmp_path / "plan.toml"), "--schema", str(tmp_path / "schema.prisma"))
    said = shelf(*arguments, "--migration", str(migrations), "--json")
    assert said.status == 0, said.words
    folder = Path(said.document["migration"]["path"])
    assert folder.name == "29990101000001_replank"
    script = (folder / "migration.sql").read_text()
    assert said.document["migration"]["checksum"] == checksum_of(script)
    assert checksum_of(script) in (folder / "baseline.sql").read_text()
    # When it runs on a database with rows, views and foreign keys
    url = shelf.database_url
    with psycopg.connect(url) as connection:
        connection.execute(script.encode())
        types = (
            "SELECT attname, atttypid::regtype::text FROM pg_attribute"
            " WHERE attrelid = 'books'::regclass AND attnum > 0"
        )
        assert dict(connection.execute(types.encode()).fetchall()) == {
            "id": "uuid",
            "authorId": "uuid",
            "code": "uuid",
            "pages": "integer",
            "created_at": "timestamp with time zone",
        }
        # Then no row is lost, texts have their names' uuids, and the view reads again
        assert connection.execute("SELECT count(*), count(DISTINCT code) FROM books").fetchone() == (20, 1)
        version = connection.execute("SELECT substr(min(code::text), 15, 1) FROM books").fetchone()
        assert version == ("3",)
        assert connection.execute("SELECT count(*) FROM titled").fetchone() == (20,)
        connection.execute("UPDATE books SET created_at = '2001-01-01'")
        connection.execute("UPDATE books SET pages = 1")
        assert connection.execute("SELECT bool_and(created_at > '2020-01-01') FROM books").fetchone() == (True,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), r"--out FILE, --diff, or --migration DIR"),
        (("--apply",), r"--apply records a migration"),
        (("--diff", "--migration", "missing"), r"is no folder"),
        (("--migration", ".", "--apply"), r"not migrated yet: public.Author.id is still text"),
    ],
)
def test_wrong_use_is_told(shelf: Replank, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    said = shelf("prisma", str(tmp_path / "plan.toml"), "--schema", str(tmp_path / "schema.prisma"), *arguments)
    assert said.status == 2
    assert re.search(words, said.words), said.words


def test_without_a_history_there_is_nothing_to_record(shelf: Replank, tmp_path: Path) -> None:
    with psycopg.connect(shelf.database_url) as connection:
        script = tmp_path / "migrations"
        script.mkdir()
        arguments = ("prisma", str(tmp_path / "plan.toml"), "--schema", str(tmp_path / "schema.prisma"))
        said = shelf(*arguments, "--migration", str(script))
        (folder,) = script.iterdir()
        connection.execute((folder / "migration.sql").read_bytes())
    said = shelf(*arguments, "--migration", str(script), "--apply")
    assert said.status == 2
    assert "keeps no history here" in said.words
