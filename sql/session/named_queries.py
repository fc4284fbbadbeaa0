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


EACH = """\
SELECT each.oid::bigint AS root, found.*
  FROM (SELECT root, array_agg(member ORDER BY n) FROM unnest(%(roots)s::oid[], %(members)s::oid[]) WITH ORDINALITY
         AS given (root, member, n) GROUP BY root) AS each (oid, oids)
 CROSS JOIN LATERAL (SELECT row_number() OVER () AS number, one.* FROM (
{text}
) AS one) AS found
 ORDER BY each.oid, found.number"""


@cache
def query_for_each(name: str) -> SQL:
    """A query of one relation (`%(oid)s::oid`), or of several that belong together (`%(oids)s::oid[]`), for many.

    Its parameters are `roots` and `members`, as long as each other; `root` says whose a row is. The rows of one root
    come in the query's own order.
    """
    text = query(name).as_string(None)
    text = text.replace("%(oid)s::oid", "each.oid").replace("%(oids)s::oid[]", "each.oids")
    return SQL(EACH.replace("{text}", text))
