"""The statements that take rows into quarantine: for their own texts, or for a row that they refer to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from psycopg import sql

from replank.reference import Reference
from replank.table_spec import TableSpec
from sql.change_log import log_keys, log_table, same_key
from sql.conversion import is_convertible
from sql.copying import source
from sql.equality import leads_to
from sql.next_table import live_table
from sql.quarantine import NO_UUID, key_texts, quarantine_table


class Parents(Enum):
    """Which of a table's rows in quarantine take in those that refer to them. A doubtful one never does."""

    ALL = "true"
    FRESH = "kept.fresh = {}"
    """Those of the round before."""
    ENTERED = "kept.fresh = {} AND kept.entered"
    """Those of the round before that were not there, or were otherwise, when this began."""


@dataclass(frozen=True, kw_only=True)
class Entering:
    """Statements for one table in one round. Each counts the rows it has taken in or has freed of doubt."""

    spec: TableSpec
    turn: int
    version: int

    def candidates_with_bad_texts(self) -> sql.Composable:
        """Logged and doubtful rows with a text that does not convert; the first such column is named."""
        columns = self.spec.quarantining_columns
        bad = {c.name: sql.SQL("{} IS FALSE").format(is_convertible(c, _live(c.name), self.version)) for c in columns}
        column = sql.SQL(" ").join(sql.SQL("WHEN {} THEN {}").format(test, name) for name, test in bad.items())
        value = sql.SQL(" ").join(
            sql.SQL("WHEN {} THEN {}::pg_catalog.text").format(test, _live(name)) for name, test in bad.items()
        )
        why = {c.name: f"the text is no value of {c.next_type}" if c.enum else NO_UUID for c in columns}
        reason = sql.SQL(" ").join(sql.SQL("WHEN {} THEN {}").format(test, why[name]) for name, test in bad.items())
        return self._insert(
            column=sql.SQL("CASE {} END").format(column),
            value=sql.SQL("CASE {} END").format(value),
            reason=sql.SQL("CASE {} END").format(reason),
            parent=sql.SQL("NULL::integer, NULL::jsonb"),
            found=sql.SQL("{} JOIN {} ON {}").format(self._candidates(), source(self.spec), self._is_candidate()),
            where=sql.SQL(" OR ").join(bad.values()),
        )

    def candidates_leading_to(self, reference: Reference, parent: TableSpec, parents: Parents) -> sql.Composable:
        """Logged and doubtful rows that refer to a row in quarantine."""
        found = sql.SQL("{} JOIN {} ON {}").format(self._candidates(), source(self.spec), self._is_candidate())
        return self._leading_to(reference, parent, parents, found)

    def all_leading_to(self, reference: Reference, parent: TableSpec, parents: Parents) -> sql.Composable:
        """All rows that refer to a row in quarantine."""
        return self._leading_to(reference, parent, parents, source(self.spec))

    def _leading_to(
        self, reference: Reference, parent: TableSpec, parents: Parents, found: sql.Composable
    ) -> sql.Composable:
        values = sql.SQL(", ").join(sql.SQL("{}::pg_catalog.text").format(_live(name)) for name in reference.columns)
        joined = sql.SQL("{found} JOIN {parent} AS parent ON {leads} JOIN {aside} AS kept ON {same}").format(
            found=found,
            parent=live_table(parent) if parent.partitioned else sql.SQL("ONLY {}").format(live_table(parent)),
            leads=values_lead_to(reference),
            aside=quarantine_table(parent),
            same=same_key(parent, "parent", "kept"),
        )
        return self._insert(
            column=sql.Literal(", ".join(reference.columns)),
            value=sql.SQL("pg_catalog.concat_ws(', ', {})").format(values),
            reason=sql.SQL("{} || kept.key::text").format(
                f"it refers to a row of {parent.full_name} that is kept aside: "
            ),
            parent=sql.SQL("{}::integer, kept.key").format(parent.table_no),
            found=joined,
            where=sql.SQL("NOT kept.doubtful AND ({})").format(sql.SQL(parents.value).format(self.turn - 1)),
        )

    def _candidates(self) -> sql.Composable:
        keys = sql.SQL(", ").join(log_keys(self.spec))
        return sql.SQL(
            "(SELECT {keys} FROM {log} WHERE NOT coalesce(truncated, false)"
            " UNION SELECT {keys} FROM {aside} WHERE doubtful) AS candidate"
        ).format(keys=keys, log=log_table(self.spec), aside=quarantine_table(self.spec))

    def _is_candidate(self) -> sql.Composable:
        return same_key(self.spec, "live", "candidate")

    def _insert(
        self,
        *,
        column: sql.Composable,
        value: sql.Composable,
        reason: sql.Composable,
        parent: sql.Composable,
        found: sql.Composable,
        where: sql.Composable,
    ) -> sql.Composable:
        """A row that is there without doubt stays as it is: whom it is there for was there before it."""
        live_keys = sql.SQL(", ").join(_live(name) for name in self.spec.key)
        return sql.SQL(
            'INSERT INTO {table} AS aside ({keys}, key, "row", "column", value, reason, parent_no, parent_key, fresh)'
            " SELECT DISTINCT ON ({live_keys}) {live_keys}, {texts}, pg_catalog.to_jsonb(live.*), {column}, {value},"
            " {reason}, {parent}, {turn} FROM {found} WHERE {where}"
            ' ON CONFLICT ({keys}) DO UPDATE SET doubtful = false, key = excluded.key, "row" = excluded."row",'
            ' "column" = excluded."column", value = excluded.value, reason = excluded.reason,'
            " parent_no = excluded.parent_no, parent_key = excluded.parent_key, fresh = excluded.fresh,"
            ' entered = aside."row"::text IS DISTINCT FROM excluded."row"::text WHERE aside.doubtful'
        ).format(
            table=quarantine_table(self.spec),
            keys=sql.SQL(", ").join(log_keys(self.spec)),
            live_keys=live_keys,
            texts=key_texts(self.spec, "live"),
            column=column,
            value=value,
            reason=reason,
            parent=parent,
            turn=self.turn,
            found=found,
            where=where,
        )


def values_lead_to(reference: Reference) -> sql.Composable:
    """The row `live` refers to the row `parent`."""
    return leads_to([_live(name) for name in reference.columns], reference.ref_columns, reference.equality)


def _live(name: str) -> sql.Identifier:
    return sql.Identifier("live", name)
