"""Parameters of a database's URL that PostgreSQL's client library does not know: it does not say which."""

from __future__ import annotations

import re

from psycopg import pq

_JDBC = "ssl"
"""libpq takes `ssl=true` for the sake of JDBC's URLs."""


def unknown_parameters(url: str) -> list[str]:
    """Their names alone, never a value; none where the URL has another fault."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {_JDBC}
    asked = url.partition("?")[2]
    names = [parameter.partition("=")[0] for parameter in asked.split("&") if "=" in parameter]
    return [name for name in names if re.fullmatch(r"[A-Za-z_]{1,40}", name) and name not in known]
