"""What must be so when ids of text became uuids, by the catalogue and by the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg

from demo.datasets.data_set import Columns, Migration
from replank.wording import counted


def judge_of(columns: Columns) -> Callable[[str, Migration, Sequence[Mapping[str, Any]]], tuple[bool, str]]:
    """By the catalogue: are all these columns uuid and all keys valid; by the ledger: was every table compared?"""
    wanted = {(s, t, c) for (s, t), names in columns.items() for c in names}

    def judge(url: str, migration: Migration, _criteria: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
        with psycopg.connect(url, autocommit=True) as connection:
            typed = connection.execute(
                "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE data_type = 'uuid'"
            ).fetchall()
            invalid = connection.execute(
                "SELECT count(*) FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace"
                " WHERE k.contype = 'f' AND NOT k.convalidated AND n.nspname !~ '^replank'"
            ).fetchall()
        missing = wanted - {tuple(row) for row in typed}
        words = (
            f"{len(wanted) - len(missing)} of {len(wanted)} columns are uuid, {migration.compared} of "
            f"{migration.tables} tables compared row by row before the swap, "
            f"{counted(invalid[0][0], 'foreign key')} left unvalidated"
        )
        all_done = migration.compared == migration.tables and migration.state == "done"
        return not missing and not invalid[0][0] and all_done, words

    return judge
