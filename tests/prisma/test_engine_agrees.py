"""What we believe of Prisma, said to its engine: names it derives, types it takes, names that must be told."""

from dataclasses import replace

import psycopg
import pytest

from demo.datasets.platform import read_schema_file
from prisma import engine
from producer.history.changes.changes import (
    AddedColumn,
    AddedIndex,
    Change,
    RenamedColumn,
    RenamedEnum,
    RenamedTable,
    ToEnum,
    ToUuid,
)
from producer.prisma.changes.rewrite import rewrite
from producer.prisma.schema.document import Block, BlockAttribute, Document, Field, Member
from producer.prisma.schema.reader import read_schema
from producer.prisma.schema.schema_names import criteria, derived_name
from producer.prisma.schema.writer import write_schema
from sql.catalogue.prisma import normalize_column
from sql.session.connection import connect

pytestmark = pytest.mark.prisma

SCHEMA = """\
datasource pg {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

enum Mood {
  GOOD
  BAD  @map("bad")
}

model Author {
  id    String  @id @default(uuid())
  email String  @unique
  role  String  @default("in-house")
  mood  Mood    @default(GOOD)
  books Book[]
  boss  Author? @relation("Boss", fields: [bossId], references: [id])

  bossId String?
  staff  Author[] @relation("Boss")
  likes  Book[]   @relation("Likes")

  @@unique([email, role])
}

model Book {
  isbn     String
  edition  Int
  title    String   @pg.VarChar(200)
  authorId String   @map("author_id")
  author   Author   @relation(fields: [authorId], references: [id])
  id       String   @id @default(uuid())
  likedBy  Author[] @relation("Likes")

  @@unique([isbn, edition])
  @@index([authorId])
  @@index([title(sort: Desc), edition], type: BTree)
}

model Shelf {
  room  Int
  place Int

  @@id([room, place])
}

model AVeryLongNameOfAModelThatLeavesNoRoomForTheNamesOfItsColumns {
  anIdentifierThatIsRatherLong String @id
  another                      String @unique

  @@index([anIdentifierThatIsRatherLong, another])
}
"""


def _create(url: str, schema: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (engine.creation(url, schema), *statements):
            connection.execute(statement.encode())


def test_derived_names_are_those_of_the_database(database: str) -> None:
    _create(database, SCHEMA)
    asked = "SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u', 'f') UNION SELECT indexname FROM pg_indexes"
    with psycopg.connect(database) as connection:
        there = {name for (name,) in connection.execute(asked.encode())}
    document = read_schema(SCHEMA)
    names = [derived_name(block, one) for block in document.models for one in criteria(block)]
    assert len(names) == 13
    assert [name for name in names if name not in there] == []


def test_everything_written_anew_is_as_the_formatter_writes_it() -> None:
    for schema in (SCHEMA, read_schema_file()):
        formatted = engine.formatted(schema)
        document = read_schema(formatted)
        parts = tuple(_anew(part) if isinstance(part, Block) else part for part in document.parts)
        assert write_schema(Document(parts=parts)) == formatted


def _anew(block: Block) -> Block:
    def forget(member: Member) -> Member:
        return replace(member, lines=()) if isinstance(member, Field | BlockAttribute) else member

    return block.with_members(forget)


TYPES = {
    "text": "'it''s \"x\"'",
    "varchar(20)": "'a'",
    "char(3)": "",
    "uuid": "gen_random_uuid()",
    "inet": "",
    "boolean": "false",
    "integer": "-7",
    "smallint": "3",
    "bigint": "9007199254740993",
    "real": "",
    "double precision": "1.5",
    "numeric": "",
    "numeric(65,30)": "",
    "numeric(10,2)": "2.50",
    "numeric(8)": "0",
    "timestamp": "now()",
    "timestamp(3)": "CURRENT_TIMESTAMP",
    "timestamptz": "clock_timestamp()",
    "timestamptz(0)": "",
    "date": "",
    "time(3)": "",
    "jsonb": "'{\"a\": 1}'",
    "json": "",
    "bytea": "",
    "text[]": "'{}'",
    "uuid[]": "",
    "timestamptz(3)[]": "",
    'public."Mood"': "'bad'",
    'public."Mood"[]': "",
    "interval": "",
    "point": "",
    "money": "",
    "xml": "",
    "bit(4)": "",
}


def test_columns_of_every_type_are_said_as_the_database_has_them(database: str) -> None:
    _create(database, SCHEMA)
    changes: list[Change] = []
    with connect(database, name="test") as connection:
        for n, (spelled, default) in enumerate(TYPES.items()):
            normalized = normalize_column(connection, spelled, default)
            clause = f"ADD COLUMN c{n} {spelled}" + (f" DEFAULT {default}" if default else "")
            connection.execute(f'ALTER TABLE public."Book" {clause}'.encode())
            changes.append(
                AddedColumn(
                    table=("public", "Book"),
                    column=f"c{n}",
                    type=normalized.type,
                    default=normalized.default,
                    enum=normalized.enum,
                )
            )
    after = rewrite(SCHEMA, changes)
    engine.validate(after)
    assert engine.formatted(after) == after
    assert engine.difference(database, after) == []


AUTHOR, BOOK = ("public", "Author"), ("public", "Book")


def test_names_enums_and_indexes_are_told_where_the_engine_would_derive_others(database: str) -> None:
    # Given a database in which tables, columns, enums and labels were renamed, and nothing else has moved
    _create(
        database,
        SCHEMA,
        'ALTER TABLE "Author" RENAME TO authors',
        'ALTER TABLE "Book" RENAME TO books',
        'ALTER TABLE authors RENAME COLUMN "bossId" TO boss_id',
        "ALTER TABLE books RENAME COLUMN author_id TO written_by",
        'ALTER TYPE "Mood" RENAME TO mood',
        "ALTER TYPE mood RENAME VALUE 'GOOD' TO 'good'",
        "CREATE TYPE author_role AS ENUM ('in-house', 'free', '2nd')",
        "ALTER TABLE authors ALTER role DROP DEFAULT, ALTER role TYPE author_role USING role::author_role,"
        " ALTER role SET DEFAULT 'in-house'",
        "CREATE INDEX by_boss ON authors (boss_id)",
        "CREATE INDEX by_title ON books USING hash (title)",
    )
    after = rewrite(
        SCHEMA,
        [
            RenamedTable(table=AUTHOR, to="authors"),
            RenamedTable(table=BOOK, to="books"),
            RenamedColumn(table=AUTHOR, column="bossId", to="boss_id"),
            RenamedColumn(table=BOOK, column="author_id", to="written_by"),
            RenamedEnum(enum=("public", "Mood"), to="mood", labels=(("GOOD", "good"),)),
            ToEnum(table=AUTHOR, column="role", enum=("public", "author_role"), labels=("in-house", "free", "2nd")),
            AddedIndex(table=AUTHOR, name="by_boss", columns=("bossId",)),
            AddedIndex(table=BOOK, name="by_title", columns=("title",), method="hash"),
        ],
    )
    engine.validate(after)
    assert engine.formatted(after) == after
    # Then Prisma has nothing to do, and the client's models and fields are called as before
    assert engine.difference(database, after) == []
    assert _client_names(after) == _client_names(SCHEMA)


def _client_names(schema: str) -> dict[str, list[str]]:
    models = engine.ask("dmmf", schema=schema)["datamodel"]["models"]
    return {model["name"]: [field["name"] for field in model["fields"]] for model in models}


def test_lists_of_ids_and_join_tables_follow(database: str) -> None:
    schema = SCHEMA.replace("  isbn     String\n", "  isbn     String\n  readers  String[]\n")
    _create(
        database,
        schema,
        'ALTER TABLE "Book" DROP CONSTRAINT "Book_author_id_fkey"',
        'ALTER TABLE "_Likes" DROP CONSTRAINT "_Likes_A_fkey"',
        'ALTER TABLE "Author" DROP CONSTRAINT "Author_bossId_fkey"',
        'ALTER TABLE "Author" ALTER id TYPE uuid USING id::uuid, ALTER "bossId" TYPE uuid USING "bossId"::uuid',
        'ALTER TABLE "Book" ALTER author_id TYPE uuid USING author_id::uuid',
        'ALTER TABLE "Book" ALTER readers TYPE uuid[] USING readers::uuid[]',
        'ALTER TABLE "_Likes" ALTER "A" TYPE uuid USING "A"::uuid',
        'ALTER TABLE "Book" ADD CONSTRAINT "Book_author_id_fkey" FOREIGN KEY (author_id) REFERENCES "Author"(id)'
        " ON DELETE RESTRICT ON UPDATE CASCADE",
        'ALTER TABLE "Author" ADD CONSTRAINT "Author_bossId_fkey" FOREIGN KEY ("bossId") REFERENCES "Author"(id)'
        " ON DELETE SET NULL ON UPDATE CASCADE",
        'ALTER TABLE "_Likes" ADD CONSTRAINT "_Likes_A_fkey" FOREIGN KEY ("A") REFERENCES "Author"(id)'
        " ON DELETE CASCADE ON UPDATE CASCADE",
    )
    ids = ((AUTHOR, "id"), (AUTHOR, "bossId"), (BOOK, "author_id"), (BOOK, "readers"), (("public", "_Likes"), "A"))
    after = rewrite(schema, [ToUuid(table=table, column=column) for table, column in ids])
    engine.validate(after)
    assert engine.difference(database, after) == []
