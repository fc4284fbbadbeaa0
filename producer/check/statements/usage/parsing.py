"""Text of SQL becomes trees: PostgreSQL's own grammar, as nested dicts with one key, the node's tag.

pglast is imported here and nowhere else. Its JSON is several times faster than its objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pglast.parser import ParseError, parse_sql_json

Node = Mapping[str, Any]
"""The fields of a node."""


class Unparsable(Exception):
    """The grammar does not take this text, or it is nested too deeply to be read."""


def parse(text: str) -> list[tuple[str, Node]]:
    """The statements of a text, each as tag and fields. Raises Unparsable."""
    try:
        document = json.loads(parse_sql_json(text))
    except (ParseError, RecursionError) as error:
        raise Unparsable(str(error)) from None
    return [tagged(entry["stmt"]) for entry in document.get("stmts", ())]


def tagged(node: Any) -> tuple[str, Node]:
    """Tag and fields of a node."""
    ((tag, fields),) = node.items()
    return tag, fields


def nodes(value: Any) -> Iterator[tuple[str, Node]]:
    """The nodes that stand in a field: one, a list of them, or none."""
    for one in value if isinstance(value, list) else (value,):
        # A node's tag is written in capitals, as CamelCase; a field never is.
        if isinstance(one, dict) and len(one) == 1 and next(iter(one))[:1].isupper():
            yield tagged(one)


def words(value: Any) -> list[str]:
    """The names in a list of String nodes."""
    return [fields.get("sval", "") for tag, fields in nodes(value) if tag == "String"]
