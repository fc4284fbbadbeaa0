"""Whether capture had no gap: the facts it depends on now, and which of them have changed since they were read before.

A verification proves a table as of its beginning. What was written later is known by the log alone, so from then on
until the cutover nothing may have switched, dropped or passed by the triggers, and no row may have been changed without
them. The catalogue's rows tell: each that is written gets another `xmin`, even where it says again what it said before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replank.errors import NotProved
from replank.values.table_spec import TableSpec
from sql.rows.reverse_capture import function_name, reverse_log_name
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

CaptureFacts = frozenset[str]
"""Facts, each as `kind relation …`; a relation of 0 is none of the table's."""

WORDS: Mapping[str, str] = {
    "trigger": "its capture triggers were disabled, enabled, dropped or created again",
    "function": "its capture function was replaced",
    "log": "its change log was emptied or replaced",
    "partition": "a partition was detached or attached",
    "columns": "a column was dropped, added or renamed",
    "file": "its rows were written to a new file (ALTER TABLE, TRUNCATE, VACUUM FULL, CLUSTER, pg_repack)",
    "counterpart": "the table that replaces it was rewritten or altered",
    "attributes": "",
}
"""By kind of fact; alone, a change of attributes (a default, a statistics target) says nothing of rows."""


@dataclass(frozen=True, kw_only=True)
class CapturedTable:
    """By `oid`, or by name where `oid` is None. `counterpart` is the table that is kept equal to it."""

    table_no: int
    oid: int | None
    schema: str
    name: str
    counterpart: tuple[str, str]
    function: str
    log: str


def captured_table(spec: TableSpec) -> CapturedTable:
    """The live table; its counterpart is the next one."""
    return CapturedTable(
        table_no=spec.table_no,
        oid=spec.oid,
        schema=spec.schema,
        name=spec.name,
        counterpart=(spec.next_schema, spec.name),
        function=spec.capture_name,
        log=spec.log_name,
    )


def reverse_captured_table(spec: TableSpec) -> CapturedTable:
    """The table that is live since the cutover; its counterpart is the past one."""
    return CapturedTable(
        table_no=spec.table_no,
        oid=None,
        schema=spec.schema,
        name=spec.name,
        counterpart=(spec.past_schema, spec.name),
        function=function_name(spec),
        log=reverse_log_name(spec),
    )


def read_capture_facts(connection: Connection, captured: Sequence[CapturedTable]) -> dict[int, CaptureFacts]:
    """Table number → its facts, in one query, whose plan is kept for the lock."""
    found = rows(connection, query("capture_facts.read"), named(captured), prepare=True)
    return {r["table_no"]: frozenset(r["lines"]) for r in found}


def named(captured: Sequence[CapturedTable]) -> dict[str, list[Any]]:
    """The parameters of the query."""
    return {
        "numbers": [s.table_no for s in captured],
        "oids": [s.oid for s in captured],
        "schemas": [s.schema for s in captured],
        "names": [s.name for s in captured],
        "counterpart_schemas": [s.counterpart[0] for s in captured],
        "counterpart_names": [s.counterpart[1] for s in captured],
        "functions": [s.function for s in captured],
        "logs": [s.log for s in captured],
    }


def why_capture_broke(before: Iterable[str], now: CaptureFacts) -> str:
    """What has touched capture since `before`, in words; empty where nothing has."""
    return _in_words(set(before) - now)


def why_capture_broke_since(before: Iterable[str], now: CaptureFacts) -> str:
    """The same of a long time, in which partitions may have gone and files been packed: both leave rows as they are.

    Rows are rewritten by an ALTER TABLE that writes the attributes too.
    """
    there = {_relation(line) for line in now}
    lost = {line for line in set(before) - now if _relation(line) in there}
    kinds = {_kind(line) for line in lost}
    ignored = {"counterpart"} if {"file", "attributes"} <= kinds else {"counterpart", "file"}
    return _in_words({line for line in lost if _kind(line) not in ignored})


def broken_reverse_captures(
    connection: Connection, specs: Iterable[TableSpec], capture_facts: Mapping[str, Sequence[str]]
) -> dict[int, str]:
    """Table number → what has changed reverse capture since the cutover, whose `capture_facts` these are, by number."""
    known = [spec for spec in specs if str(spec.table_no) in capture_facts]
    now = read_capture_facts(connection, [reverse_captured_table(spec) for spec in known])
    found = {
        spec.table_no: why_capture_broke_since(capture_facts[str(spec.table_no)], now[spec.table_no]) for spec in known
    }
    return {number: why for number, why in found.items() if why}


def _in_words(lost: Iterable[str]) -> str:
    kinds = {_kind(line) for line in lost}
    return "; ".join(words for kind, words in WORDS.items() if kind in kinds and words)


def _kind(line: str) -> str:
    return line.split(" ", 1)[0]


def _relation(line: str) -> str:
    return line.split(" ", 2)[1]


def refuse_broken_capture(
    connection: Connection, specs: Sequence[TableSpec], before: Mapping[int, CaptureFacts]
) -> None:
    """Raises NotProved where a fact of capture has changed since `before`: one query for all, under the lock too."""
    now = read_capture_facts(connection, [captured_table(spec) for spec in specs])
    _refuse(specs, before, now)


def refuse_broken_reverse_capture(
    connection: Connection, specs: Sequence[TableSpec], before: Mapping[int, CaptureFacts]
) -> None:
    """The same of reverse capture."""
    now = read_capture_facts(connection, [reverse_captured_table(spec) for spec in specs])
    _refuse(specs, before, now)


def _refuse(specs: Sequence[TableSpec], before: Mapping[int, CaptureFacts], now: Mapping[int, CaptureFacts]) -> None:
    found = [
        f"{spec.full_name}: {why}"
        for spec in specs
        if (why := why_capture_broke(before[spec.table_no], now[spec.table_no]))
    ]
    if found:
        raise NotProved("; ".join(found))
