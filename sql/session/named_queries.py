"""Named queries: SQL is read as SQL, in `.sql` files of blocks `-- name: purpose`.

A block may hold `{placeholders}` for quoted identifiers and composed fragments; values are parameters.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from psycopg.sql import SQL

_HEADER = re.compile(r"^-- (\w+): (.+)$", re.MULTILINE)


@cache
def _blocks(file: str) -> dict[str, str]:
    text = (files("sql") / "queries" / f"{file}.sql").read_text(encoding="utf-8")
    heads = list(_HEADER.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head.group(1): text[head.end() : end].strip().rstrip(";") for head, end in zip(heads, ends, strict=True)}


@cache
def query(name: str) -> SQL:
    """The query `file.block`. The text is the package's own, never outside input."""
    file, _, block = name.partition(".")
    return SQL(_blocks(file)[block])
