"""Each change as lines that were and lines that are; a second time nothing changes."""

import pytest

from producer.history.changes.changes import (
    AddedColumn,
    AddedIndex,
    Change,
    KeyChanged,
    LostForeignKey,
    RenamedColumn,
    RenamedEnum,
    RenamedTable,
    SettledColumn,
    ToEnum,
    ToUuid,
)
from producer.prisma.changes.rewrite import rewrite

pytestmark = pytest.mark.unit

USER, POST = ("public", "User"), ("public", "posts")

SCHEMA = """\
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

model User {
  id    String   @id @default(cuid()) @db.VarChar(36)
  email String   @unique // login
  role  String   @default("in-house")
  tagIds String[]

  posts Post[]
  best Post? @relation("Best")
}

// kept as it   is
model Post {
  id        String   @id @default(uuid())
  authorId  String?  @map("author_id")
  bestOfId  String   @unique
  createdAt DateTime @default(now()) @map("created_at")

  author User? @relation(fields: [authorId], references: [id], onDelete: Cascade)
  bestOf User  @relation("Best", fields: [bestOfId], references: [id])

  @@index([authorId, createdAt])
  @@map("posts")
}
"""


def _changed(*changes: Change) -> tuple[list[str], list[str]]:
    """Lines that went and lines that came, without the spaces that align them."""
    after = rewrite(SCHEMA, changes)
    assert rewrite(after, changes) == after
    old, new = ([" ".join(line.split()) for line in text.splitlines()] for text in (SCHEMA, after))
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_no_change_no_difference() -> None:
    assert rewrite(SCHEMA, []) == SCHEMA
    assert rewrite(SCHEMA, [ToUuid(table=("public", "_PostToTag"), column="A")]) == SCHEMA


def test_ids_become_uuids_and_only_their_group_is_aligned_anew() -> None:
    after = rewrite(SCHEMA, [ToUuid(table=USER, column="id"), ToUuid(table=USER, column="tagIds")])
    assert after == SCHEMA.replace(
        """\
  id    String   @id @default(cuid()) @db.VarChar(36)
  email String   @unique // login
  role  String   @default("in-house")
  tagIds String[]
""",
        """\
  id     String   @id @default(uuid()) @db.Uuid
  email  String   @unique // login
  role   String   @default("in-house")
  tagIds String[] @db.Uuid
""",
    )


def test_a_default_of_the_database_is_said() -> None:
    change = ToUuid(table=POST, column="id", default="gen_random_uuid()")
    gone, came = _changed(change)
    assert gone == ["id String @id @default(uuid())"]
    assert came == ['id String @id @default(dbgenerated("gen_random_uuid()")) @db.Uuid']


def test_columns_that_came_in_follow_the_file_s_way_of_naming() -> None:
    gone, came = _changed(
        AddedColumn(table=POST, column="public_id", type="uuid", not_null=True, unique="posts_public_id_key"),
        AddedColumn(table=POST, column="updated_at", type="timestamp(3) with time zone", default="now()"),
        AddedColumn(table=POST, column="price", type="numeric(10,2)", not_null=True, default="0", unique="cheap"),
        AddedColumn(table=POST, column="labels", type="text[]", not_null=True, default="'{}'::text[]"),
    )
    assert gone == []
    assert came == [
        'publicId String @unique @map("public_id") @db.Uuid',
        'updatedAt DateTime? @default(now()) @map("updated_at") @db.Timestamptz(3)',
        'price Decimal @unique(map: "cheap") @default(0) @db.Decimal(10, 2)',
        "labels String[] @default([])",
    ]


def test_a_text_of_few_values_becomes_an_enum() -> None:
    labels = ("admin", "in-house", "2nd")
    gone, came = _changed(ToEnum(table=USER, column="role", enum=("public", "user_role"), labels=labels))
    assert gone == ['role String @default("in-house")']
    assert came == [
        "role UserRole @default(in_house)",
        "enum UserRole {",
        "admin",
        'in_house @map("in-house")',
        'v2nd @map("2nd")',
        '@@map("user_role")',
    ]


def test_a_key_that_holds_the_partition_column_takes_its_relations_with_it() -> None:
    # Given posts partitioned by created_at: the key grows, and what was unique is so no longer
    gone, came = _changed(
        KeyChanged(table=POST, name="posts_pkey", kind="id", columns=("id", "created_at")),
        KeyChanged(table=POST, name="posts_bestOfId_key", kind="index", columns=("bestOfId",)),
    )
    assert gone == ['best Post? @relation("Best")', "id String @id @default(uuid())", "bestOfId String @unique"]
    assert came == [
        'best Post[] @relation("Best")',
        "id String @default(uuid())",
        "bestOfId String",
        "@@id([id, createdAt])",
        '@@index([bestOfId], map: "posts_bestOfId_key")',
    ]


def test_a_relation_without_foreign_key_goes_with_both_its_ends() -> None:
    gone, came = _changed(LostForeignKey(table=POST, columns=("author_id",)))
    assert gone == ["posts Post[]", "author User? @relation(fields: [authorId], references: [id], onDelete: Cascade)"]
    assert came == []


def test_indexes_that_came_in_are_said_once() -> None:
    _, came = _changed(
        AddedIndex(table=POST, name="posts_author_id_idx", columns=("author_id",)),
        AddedIndex(table=POST, name="by_hash", columns=("author_id",), method="hash"),
        AddedIndex(table=POST, name="posts_author_id_created_at_idx", columns=("author_id", "created_at")),
        AddedIndex(table=POST, name="once", columns=("created_at",), unique=True),
    )
    assert came == [
        'createdAt DateTime @default(now()) @map("created_at") @unique(map: "once")',
        "@@index([authorId])",
    ]
    _, hashed = _changed(AddedIndex(table=POST, name="by_hash", columns=("created_at",), method="hash"))
    assert hashed == ['@@index([createdAt], type: Hash, map: "by_hash")']


def test_renames_keep_every_name_that_prisma_would_derive_otherwise() -> None:
    gone, came = _changed(
        RenamedTable(table=POST, to="post"),
        RenamedTable(table=USER, to="users"),
        RenamedColumn(table=POST, column="bestOfId", to="best_of_id"),
    )
    assert came == [
        'id String @id(map: "User_pkey") @default(cuid()) @db.VarChar(36)',
        'email String @unique(map: "User_email_key") // login',
        '@@map("users")',
        'id String @id(map: "posts_pkey") @default(uuid())',
        'bestOfId String @unique(map: "posts_bestOfId_key") @map("best_of_id")',
        'author User? @relation(fields: [authorId], references: [id], onDelete: Cascade, map: "posts_author_id_fkey")',
        'bestOf User @relation("Best", fields: [bestOfId], references: [id], map: "posts_bestOfId_fkey")',
        '@@index([authorId, createdAt], map: "posts_author_id_created_at_idx")',
        '@@map("post")',
    ]
    assert '@@map("posts")' in gone


def test_renames_with_their_names_need_no_more_words() -> None:
    gone, came = _changed(RenamedTable(table=POST, to="Post", kept_names=False))
    assert gone == ['@@map("posts")']
    assert came == []


def test_an_enum_keeps_its_values_names() -> None:
    schema = 'enum Role {\n  ADMIN\n  user @map("usr")\n}\n'
    change = RenamedEnum(enum=("public", "Role"), to="role", labels=(("ADMIN", "admin"), ("usr", "user")))
    after = rewrite(schema, [change])
    assert after == 'enum Role {\n  ADMIN @map("admin")\n  user\n\n  @@map("role")\n}\n'
    assert rewrite(after, [change]) == after


def test_not_null_and_defaults_are_said() -> None:
    gone, came = _changed(SettledColumn(table=POST, column="author_id", not_null=True, default="'x'::text"))
    assert gone == ['authorId String? @map("author_id")']
    assert came == ['authorId String @map("author_id") @default("x")']


def test_changes_together_come_in_the_right_order() -> None:
    _, came = _changed(
        RenamedTable(table=POST, to="post"),
        KeyChanged(table=POST, name="posts_pkey", kind="id", columns=("id", "day")),
        AddedColumn(table=POST, column="day", type="date", not_null=True),
        ToUuid(table=POST, column="id"),
    )
    assert '@@id([id, day], map: "posts_pkey")' in came
    assert "day DateTime @db.Date" in came
