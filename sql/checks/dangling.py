"""Texts that become other ids under `name_based`, and where else they stand: all rows, in one pass over each table.

Tables are read in ranges of blocks, so that no snapshot grows old; the texts that change are a temporary table, which
is usually small, and every text is looked up in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.values.chunk import Axis, Chunk
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.rows.copy import in_chunk, source
from sql.session.connection import Connection, rows, run, value
from sql.session.named_queries import query
from sql.values.uuid_texts import HAS_INPUT_IS_VALID, is_valid

CHUNK_BLOCKS = 2_048
EXAMPLES = 5
EXAMPLE_LENGTH = 80
MOST_PATHS = 20


@dataclass(frozen=True, kw_only=True)
class WordColumn:
    """A column of a stored table that may hold texts. `table` is the oid of the table that it is a partition of."""

    heap: int
    schema: str
    name: str
    table: int
    root_schema: str
    root_name: str
    blocks: int
    column: str
    form: str
    readable: bool

    @property
    def full_name(self) -> str:
        return f"{self.root_schema}.{self.root_name}"


@dataclass(kw_only=True)
class Found:
    """How many texts of one column are ids that change; in JSON by path, the first ones."""

    count: int = 0
    examples: list[str] = field(default_factory=list)
    paths: Counter[str] = field(default_factory=Counter)


def word_columns(connection: Connection) -> list[WordColumn]:
    return [WordColumn(**found) for found in rows(connection, query("dangling.word_columns"))]


def referring_alike(connection: Connection, oids: Sequence[int]) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    """(oid, column) pairs that valid foreign keys join: child and parent."""
    for key in rows(connection, query("dangling.referred_alike"), {"oids": list(oids)}):
        yield (key["oid"], key["column"]), (key["ref_oid"], key["ref_column"])


def remember_changed(
    connection: Connection, columns: Sequence[tuple[TableSpec, ColumnSpec, int]], version: int
) -> bool:
    """Keep the texts of these columns (with the blocks of their table) that are no uuids. True if there are any."""
    run(connection, query("dangling.drop_changed"))
    run(connection, query("dangling.create_changed"))
    for number, (spec, column, blocks) in enumerate(columns):
        text = SQL("{}::pg_catalog.text").format(Identifier("live", column.name))
        for lower in range(0, max(blocks, 1), CHUNK_BLOCKS):
            upper = lower + CHUNK_BLOCKS
            chunk = Chunk(axis=Axis.HEAP, lower=(str(lower),), upper=(str(upper),) if upper < blocks else None)
            statement = SQL(
                "INSERT INTO pg_temp.replank_changed SELECT DISTINCT {text}, {number} FROM {source}"
                " WHERE {chunk} AND {name} IS NOT NULL AND NOT {valid}"
            ).format(
                text=text,
                number=Literal(number),
                source=source(spec),
                chunk=in_chunk(spec, chunk),
                name=Identifier("live", column.name),
                valid=is_valid(text, version),
            )
            run(connection, statement)
    run(connection, query("dangling.create_words"))
    run(connection, query("dangling.index_words"))
    connection.execute("ANALYZE pg_temp.replank_words")
    return bool(value(connection, SQL("SELECT EXISTS (SELECT FROM pg_temp.replank_words)")))


def forget_changed(connection: Connection) -> None:
    run(connection, query("dangling.drop_changed"))


def find_words(connection: Connection, columns: Sequence[WordColumn], version: int) -> dict[tuple[int, int], Found]:
    """(number of the column in `columns`, number of the changed column) → what was found, in one pass over one heap."""
    found: dict[tuple[int, int], Found] = {}
    branches = SQL(" UNION ALL ").join(_words(number, column, version) for number, column in enumerate(columns))
    for lower in range(0, columns[0].blocks + 1, CHUNK_BLOCKS):
        last = lower + CHUNK_BLOCKS > columns[0].blocks
        place = {
            "table": Identifier(columns[0].schema, columns[0].name),
            "lower": Literal(f"({lower},0)"),
            # The last part is open: rows may come in meanwhile.
            "upper": Literal("(4294967295,0)" if last else f"({lower + CHUNK_BLOCKS},0)"),
        }
        counted = query("dangling.count_found").format(
            words=branches, length=Literal(EXAMPLE_LENGTH), examples=Literal(EXAMPLES), **place
        )
        for hit in rows(connection, counted):
            one = found.setdefault((hit["n"], hit["source"]), Found())
            one.count += hit["count"]
            one.examples = sorted({*one.examples, *hit["examples"]})[:EXAMPLES]
        for number in sorted({hit for hit, _ in found}):
            _add_paths(connection, columns[number], number, found, place, version)
    return found


def _add_paths(
    connection: Connection,
    column: WordColumn,
    number: int,
    found: dict[tuple[int, int], Found],
    place: dict[str, Composable],
    version: int,
) -> None:
    document = _document(column, version)
    if document is None:
        return
    for hit in rows(connection, query("dangling.count_paths").format(document=document, **place)):
        one = found.get((number, hit["source"]))
        if one is not None and (hit["path"] in one.paths or len(one.paths) < MOST_PATHS):
            one.paths[hit["path"]] += hit["count"]


def _words(number: int, column: WordColumn, version: int) -> Composable:
    """One branch of a lateral query: the texts that a row has in this column."""
    name = Identifier("live", column.column)
    made: list[Composable] = []
    if column.form == "text":
        made.append(SQL("SELECT {} AS n, {}::pg_catalog.text AS word").format(Literal(number), name))
    if column.form == "array":
        each = SQL("SELECT {} AS n, word FROM pg_catalog.unnest({}::pg_catalog.text[]) AS word")
        made.append(each.format(Literal(number), name))
    document = _document(column, version)
    if document is not None:
        made.append(
            SQL(
                "SELECT {number} AS n, v #>> '{{}}' AS word FROM pg_catalog.jsonb_path_query({document},"
                ' \'strict $.** ? (@.type() == "string" || @.type() == "number")\') AS v'
                " UNION ALL SELECT {number}, k FROM pg_catalog.jsonb_path_query({document},"
                " 'strict $.** ? (@.type() == \"object\")') AS o"
                " CROSS JOIN LATERAL pg_catalog.jsonb_object_keys(o) AS k"
            ).format(number=Literal(number), document=document)
        )
    return SQL(" UNION ALL ").join(made)


def _document(column: WordColumn, version: int) -> Composable | None:
    """The cell as jsonb; NULL where it is none. A text may hold a document too, which can be asked from 16 on."""
    name = Identifier("live", column.column)
    if column.form == "jsonb":
        return name
    if column.form == "documents":
        return SQL("pg_catalog.to_jsonb({})").format(name)
    if column.form == "array":
        return None
    text = SQL("{}::pg_catalog.text").format(name)
    if version < HAS_INPUT_IS_VALID:
        # There a document with \u0000 is an error, which is reported.
        return SQL("{}::pg_catalog.jsonb").format(name) if column.form == "json" else None
    begins = SQL("pg_catalog.left(pg_catalog.ltrim(pg_catalog.left({}, 20)), 1) IN ('{{', '[')").format(text)
    valid = SQL("pg_catalog.pg_input_is_valid({}, 'jsonb')").format(text)
    return SQL("CASE WHEN {} THEN CASE WHEN {} THEN {}::pg_catalog.jsonb END END").format(begins, valid, text)


UNREADABLE = (errors.InsufficientPrivilege, errors.DataError, errors.UndefinedTable, errors.UndefinedColumn)
"""What keeps a table from being scanned: rights, row security, a document that jsonb cannot hold, DDL."""
