"""PL/pgSQL that runs over tables of others: a column may be called as one of its variables is.

The application's tables may have columns called `found`, `new`, `old`, `tg_op`, … Whatever setting of
`plpgsql.variable_conflict` a session has, a name that could be either is a column in what Replank writes. So its own
variables stand only where no table of others does, or are called by their full name.
"""

from __future__ import annotations

from psycopg.sql import SQL

COLUMNS_FIRST = SQL("#variable_conflict use_column\n")
"""The first line of a body."""
