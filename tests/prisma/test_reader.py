"""Reading and writing back loses nothing, whatever stands in the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.prisma.schema.document import Field
from producer.prisma.schema.reader import read_schema
from producer.prisma.schema.schema_names import column_of, criteria, join_tables, name_of, table_of
from producer.prisma.schema.tokens import quoted, unquoted
from producer.prisma.schema.writer import write_schema
from replank.errors import WrongUse

pytestmark = pytest.mark.unit

ODD = """\
// model Not { }
/* model Nor {
 */
generator client {
  provider = "prisma-client-js"
  binaryTargets = ["native",
    "debian"]
}

datasource pg {
  provider = "postgresql"
  url = env("URL") // a { brace
}

/// documented
model Weird  {   // {
  id String @id@default(uuid())   @map( "the_id" )
  text   String?  @default("a // b { ) \\" }") /// behind }
  kinds Kind[] @default([a, b])
  point Unsupported("geometry(Point, 4326)")?
  other Other @relation("R", fields: [otherId],
    references: [ id ], // why
    onDelete: Cascade)
  otherId String @unique(map: "one")
  @@index([text(sort: Desc, ops: raw("x, y")), id], type: BTree, map: "weird")
  /* } */
  @@map("weird table")
  @@schema("odd")
}

view V {
  id String @unique
}

enum Kind {
  a @map("A a") // {
  b
  @@map("kind")
}
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_what_is_not_changed_is_written_back_byte_by_byte(newline: str, ending: str) -> None:
    text = (ODD + ending).replace("\n", newline)
    assert write_schema(read_schema(text)) == text


def test_everything_is_told_apart() -> None:
    document = read_schema(ODD)
    assert [(block.kind, block.name) for block in document.blocks] == [
        ("generator", "client"),
        ("datasource", "pg"),
        ("model", "Weird"),
        ("view", "V"),
        ("enum", "Kind"),
    ]
    weird = document.models[0]
    assert table_of(weird) == ("odd", "weird table")
    fields = [(one.name, one.type, one.arity, column_of(one), one.comment) for one in weird.fields]
    assert fields == [
        ("id", "String", "", "the_id", ""),
        ("text", "String", "?", "text", "/// behind }"),
        ("kinds", "Kind", "[]", "kinds", ""),
        ("point", 'Unsupported("geometry(Point, 4326)")', "?", "point", ""),
        ("other", "Other", "", "other", ""),
        ("otherId", "String", "", "otherId", ""),
    ]
    said = weird.fields[1].attribute("default")
    assert said is not None
    assert said.text_of("value", unnamed=True) == 'a // b { ) " }'
    found = [(one.kind, one.fields, name_of(weird, one)) for one in criteria(weird)]
    assert found == [
        ("id", ("id",), "weird table_pkey"),
        ("relation", ("otherId",), "weird table_otherId_fkey"),
        ("unique", ("otherId",), "one"),
        ("index", ("text", "id"), "weird"),
    ]
    kinds = document.block("Kind")
    assert kinds is not None
    assert [column_of(one) for one in kinds.fields] == ["A a", "b"]


def test_a_block_that_does_not_end_is_named() -> None:
    with pytest.raises(WrongUse, match="line 3: model B has no closing brace"):
        read_schema("model A {\n}\nmodel B {\n  id Int @id\n")


def test_implicit_many_to_many_tables_are_found() -> None:
    document = read_schema(
        """
model Post {
  id Int @id
  tags Tag[]
  liked User[] @relation("Likes")
  authorId Int
  author User @relation("Author", fields: [authorId], references: [id])
  next Post[] @relation("Next")
  previous Post[] @relation("Next")
}
model Tag {
  id Int @id
  posts Post[]
}
model User {
  id Int @id
  posts Post[] @relation("Author")
  likes Post[] @relation("Likes")
}
"""
    )
    assert {one.table[1]: one.models for one in join_tables(document)} == {
        "_PostToTag": ("Post", "Tag"),
        "_Likes": ("Post", "User"),
        "_Next": ("Post", "Post"),
    }


@given(st.text())
def test_any_string_survives_its_quotes(text: str) -> None:
    assert unquoted(quoted(text)) == text


_LINES = st.lists(
    st.sampled_from(
        [
            "",
            "// c",
            "  id Int @id",
            "model A {",
            "}",
            'x String @default("{")',
            "@@index([a,",
            "b])",
            "/*",
            "*/",
            "enum E {",
        ]
    ),
    max_size=14,
)


@given(_LINES)
def test_no_line_is_ever_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        document = read_schema(text)
    except WrongUse:
        return
    assert write_schema(document) == text
    assert all(isinstance(field, Field) for block in document.blocks for field in block.fields)
