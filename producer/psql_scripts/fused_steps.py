"""What a step of the pass has brought about, asked of the catalogue alone: it shares nothing with what did it."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Composable

from producer.psql_scripts.pass_tables import Work, asked_by, label
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.scripts.psql_script import comment, refuse_if, regclass
from sql.scripts.script_templates import Block
from sql.session.table_names import live_table, server_text

FUSED = "Step {carrier} does this in the same pass over the table (fused)."

STRATEGY = {"RANGE": "r", "LIST": "l", "HASH": "h"}


def check_blocks(work: Work, number: int, carrier: str) -> Iterator[Block]:
    """What the step asks for, as comments, and queries that end the script where it is not there."""
    for spec in (spec for spec in work.specs if asked_by(spec, number)):
        wanted = list(_columns(spec, number)) if number < 10 else list(_partitions(spec))
        said = [FUSED.format(carrier=carrier), *(words for words, _ in wanted)]
        checks = [
            refuse_if(condition, f"{spec.full_name}: {words}: this is not the case") for words, condition in wanted
        ]
        yield label(spec, "check what the pass has done for this step", "\n".join([comment("\n".join(said)), *checks]))


def _columns(spec: TableSpec, number: int) -> Iterator[tuple[str, Composable]]:
    for column in spec.columns:
        if number == 8 and column.converted:
            yield f"{column.name} is {column.next_type}", _not_there(spec, column, not_null=False)
        if number == 9 and (column.added or column.value or column.on_update):
            value = f", in existing rows: {column.value}" if column.value else ""
            default = f", by default {column.default}" if column.default else ""
            update = f", on UPDATE {column.on_update}" if column.on_update else ""
            never = ", NOT NULL" if column.not_null else ""
            words = " ".join(f"{column.name} {column.next_type}{never}{default}{value}{update}".split())
            yield words, _not_there(spec, column, not_null=column.not_null)


def _not_there(spec: TableSpec, column: ColumnSpec, *, not_null: bool) -> Composable:
    return SQL(
        "NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = {} AND attname = {} AND NOT attisdropped"
        " AND atttypid = {}::regtype AND (attnotnull OR {}))"
    ).format(SQL(regclass(live_table(spec))), column.name, column.next_type, not not_null)


def _partitions(spec: TableSpec) -> Iterator[tuple[str, Composable]]:
    assert spec.layout is not None
    table = SQL(regclass(live_table(spec)))
    if not spec.layout.partitioned_by:
        plain = SQL("(SELECT relkind FROM pg_class WHERE oid = {}) <> 'r'").format(table)
        yield "not partitioned any more", plain
        return
    strategy = STRATEGY[spec.layout.partitioned_by.split(None, 1)[0]]
    yield (
        f"partitioned by {spec.layout.partitioned_by}",
        SQL(
            "NOT EXISTS (SELECT FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid"
            " AND a.attnum = p.partattrs[0] WHERE p.partrelid = {} AND p.partstrat = {} AND a.attname = {})"
        ).format(table, strategy, spec.layout.column),
    )
    for partition in spec.layout.partitions:
        missing = SQL("NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = {} AND inhrelid = to_regclass({}))")
        name = live_table(partition).as_string(None)
        yield f"partition {partition.name} {server_text(partition.bound).as_string(None)}", missing.format(table, name)
