"""Indexes for `LIKE 'abc%'` over columns that become uuid: their operator classes are for texts alone.

Django makes one beside every index of a CharField. No uuid is ever found by such an index, so where another index
begins with the same columns nothing takes its place; otherwise the same index with the type's own operator class does.
What makes rows unique, names them for replication or orders the table stays in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from psycopg.sql import Identifier

from replank.values.table_spec import Relation, TableSpec
from sql.catalogue.dependents import looking_in
from sql.session.connection import Connection, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class PatternIndex:
    """An index of a live relation for text patterns, over `columns` that have none after the run.

    `served_by` is the index that does its work then; empty where it becomes a plain one. That one is `head` and
    `tail`, which is what stands behind the table's name.
    """

    relation: Relation
    name: str
    columns: tuple[str, ...]
    served_by: str
    head: str
    tail: str
    scans: int
    """How often it was used since the server began to count."""

    @property
    def goes(self) -> bool:
        """Whether nothing takes its place."""
        return self.served_by != ""

    @property
    def fate(self) -> str:
        """What becomes of it, as the end of a sentence."""
        return "left out of the new table, another index serves" if self.goes else "plain indexes in the new table"


Found = Mapping[str, Any]

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def pattern_of_keys(columns: Iterable[str]) -> str:
    """What finds keys over any of these columns with an operator class for text patterns, in an index's definition.

    For Python's `re` and PostgreSQL's alike; the first group is the column. `columns` must not be empty.
    """
    names = "|".join(map(_quoted_or_plain, columns))
    collated = r'(?: COLLATE (?:[^ ,()"]|"[^"]*")+)?'
    return rf"(?<=[(, ])({names}){collated} (?:text|varchar|bpchar)_pattern_ops"


def _quoted_or_plain(name: str) -> str:
    # The server quotes its key words too.
    quotes = '"?' if _PLAIN_NAME.fullmatch(name) else '"'
    return quotes + re.escape(name.replace('"', '""')) + quotes


def read_pattern_indexes(connection: Connection, spec: TableSpec) -> list[PatternIndex]:
    """Those of the live table and its partitions, parents first. Partitions' parts share their parent's fate."""
    columns = [column.name for column in spec.columns if column.converted and not column.array]
    return pattern_indexes_over(connection, spec.relations, columns)


def pattern_indexes_over(
    connection: Connection, relations: Sequence[Relation], columns: Sequence[str]
) -> list[PatternIndex]:
    """Those of some relations over any of these columns, which all of them have."""
    if not columns:
        return []
    by_relation = _read(connection, relations, columns)
    served: dict[tuple[int, str], str] = {}
    made: list[PatternIndex] = []
    for relation in relations:
        there = by_relation.get(relation.oid, [])
        own = _served(there)
        for index in (index for index in there if index["columns"]):
            served_by = served.get((index["parent_relation"], index["parent"]), own[index["name"]])
            served[relation.oid, index["name"]] = served_by
            made.append(
                PatternIndex(
                    relation=relation,
                    name=index["name"],
                    columns=tuple(index["columns"]),
                    served_by=served_by,
                    head=index["head"],
                    tail=index["tail"],
                    scans=index["scans"],
                )
            )
    return made


def _read(connection: Connection, relations: Iterable[Relation], columns: Sequence[str]) -> dict[int, list[Found]]:
    """All indexes by the oids of their relations. A search_path of the relation's schema says how names are spelled."""
    found: dict[int, list[Found]] = {}
    for schema, members in groupby(sorted(relations, key=lambda one: one.schema), key=lambda one: one.schema):
        named = {"oids": [one.oid for one in members], "columns": columns}
        with connection.transaction(), looking_in(connection, Identifier(schema).as_string(None)):
            for index in rows(connection, query("pattern_indexes.read"), named):
                found.setdefault(index["relation"], []).append(index)
    return found


def _served(there: Iterable[Found]) -> dict[str, str]:
    """Each pattern index → the index of the same relation that does its work, or nothing."""
    patterned = [index for index in there if index["columns"]]
    kept = [index for index in there if not index["columns"] or index["stays"]]
    served = {index["name"]: "" for index in patterned}
    # What begins with more columns, and holds more rows, can do the others' work.
    for index in sorted(patterned, key=lambda one: (-len(one["keys"]), one["predicate"] is not None, one["name"])):
        if index["stays"]:
            continue
        served[index["name"]] = next((one["name"] for one in kept if _serves(one, index)), "")
        if not served[index["name"]]:
            kept.append(index)
    return served


def _serves(one: Found, index: Found) -> bool:
    """Whether an index finds all that another one would, when both are plain."""
    same_kind = one["method"] == "btree" or one["method"] == index["method"]
    same_rows = one["predicate"] is None or one["predicate"] == index["predicate"]
    begins = list(one["keys"][: len(index["keys"])]) == list(index["keys"])
    return same_kind and same_rows and begins
