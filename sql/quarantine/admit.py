"""The statements that take rows into quarantine: for their own texts, or for a row that they refer to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.values.reference import Reference
from replank.values.table_spec import TableSpec
from sql.quarantine.quarantined_rows import NO_UUID, key_texts, quarantine_table
from sql.rows.change_log import log_keys, log_table, same_key
from sql.rows.copy import source
from sql.session.table_names import live_table
from sql.values.conversion import is_convertible
from sql.values.equality_operators import leads_to


class Parents(Enum):
    """Which of a table's rows in quarantine take in those that refer to them. A doubtful one never does."""

    ALL = "true"
    FRESH = "kept.fresh = {}"
    """Those of the round before."""
    ENTERED = "kept.fresh = {} AND kept.entered"
    """Those of the round before that were not there, or were otherwise, when this began."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Statements for one table in one round. Each counts the rows it has taken in or has freed of doubt."""

    spec: TableSpec
    round_no: int
    version: int

    def candidates_with_bad_texts(self) -> Composable:
        """Logged and doubtful rows with a text that does not convert; the first such column is named."""
        columns = self.spec.quarantining_columns
        bad = {c.name: SQL("{} IS FALSE").format(is_convertible(c, _live(c.name), self.version)) for c in columns}
        column = SQL(" ").join(SQL("WHEN {} THEN {}").format(test, name) for name, test in bad.items())
        value = SQL(" ").join(
            SQL("WHEN {} THEN {}::pg_catalog.text").format(test, _live(name)) for name, test in bad.items()
        )
        why = {c.name: f"the text is no value of {c.next_type}" if c.enum else NO_UUID for c in columns}
        reason = SQL(" ").join(SQL("WHEN {} THEN {}").format(test, why[name]) for name, test in bad.items())
        return self._insert(
            column=SQL("CASE {} END").format(column),
            value=SQL("CASE {} END").format(value),
            reason=SQL("CASE {} END").format(reason),
            parent=SQL("NULL::integer, NULL::jsonb"),
            found=SQL("{} JOIN {} ON {}").format(self._candidates(), source(self.spec), self._is_candidate()),
            where=SQL(" OR ").join(bad.values()),
        )

    def candidates_leading_to(self, reference: Reference, parent: TableSpec, parents: Parents) -> Composable:
        """Logged and doubtful rows that refer to a row in quarantine."""
        found = SQL("{} JOIN {} ON {}").format(self._candidates(), source(self.spec), self._is_candidate())
        return self._leading_to(reference, parent, parents, found)

    def all_leading_to(self, reference: Reference, parent: TableSpec, parents: Parents) -> Composable:
        """All rows that refer to a row in quarantine."""
        return self._leading_to(reference, parent, parents, source(self.spec))

    def _leading_to(self, reference: Reference, parent: TableSpec, parents: Parents, found: Composable) -> Composable:
        values = SQL(", ").join(SQL("{}::pg_catalog.text").format(_live(name)) for name in reference.columns)
        joined = SQL("{found} JOIN {parent} AS parent ON {leads} JOIN {quarantined} AS kept ON {same}").format(
            found=found,
            parent=live_table(parent) if parent.partitioned else SQL("ONLY {}").format(live_table(parent)),
            leads=values_lead_to(reference),
            quarantined=quarantine_table(parent),
            same=same_key(parent, "parent", "kept"),
        )
        return self._insert(
            column=Literal(", ".join(reference.columns)),
            value=SQL("pg_catalog.concat_ws(', ', {})").format(values),
            reason=SQL("{} || kept.key::text").format(f"it refers to a quarantined row of {parent.full_name}: "),
            parent=SQL("{}::integer, kept.key").format(parent.table_no),
            found=joined,
            where=SQL("NOT kept.doubtful AND ({})").format(SQL(parents.value).format(self.round_no - 1)),
        )

    def _candidates(self) -> Composable:
        keys = SQL(", ").join(log_keys(self.spec))
        return SQL(
            "(SELECT {keys} FROM {log} WHERE NOT coalesce(truncated, false)"
            " UNION SELECT {keys} FROM {quarantined} WHERE doubtful) AS candidate"
        ).format(keys=keys, log=log_table(self.spec), quarantined=quarantine_table(self.spec))

    def _is_candidate(self) -> Composable:
        return same_key(self.spec, "live", "candidate")

    def _insert(
        self,
        *,
        column: Composable,
        value: Composable,
        reason: Composable,
        parent: Composable,
        found: Composable,
        where: Composable,
    ) -> Composable:
        """A row that is there without doubt stays as it is: whom it is there for was there before it."""
        live_keys = SQL(", ").join(_live(name) for name in self.spec.key)
        return SQL(
            'INSERT INTO {table} AS quarantined ({keys}, key, "row", "column", value, reason, parent_no, parent_key,'
            " fresh)"
            " SELECT DISTINCT ON ({live_keys}) {live_keys}, {texts}, pg_catalog.to_jsonb(live.*), {column}, {value},"
            " {reason}, {parent}, {round_no} FROM {found} WHERE {where}"
            ' ON CONFLICT ({keys}) DO UPDATE SET doubtful = false, key = excluded.key, "row" = excluded."row",'
            ' "column" = excluded."column", value = excluded.value, reason = excluded.reason,'
            " parent_no = excluded.parent_no, parent_key = excluded.parent_key, fresh = excluded.fresh,"
            ' entered = quarantined."row"::text IS DISTINCT FROM excluded."row"::text WHERE quarantined.doubtful'
        ).format(
            table=quarantine_table(self.spec),
            keys=SQL(", ").join(log_keys(self.spec)),
            live_keys=live_keys,
            texts=key_texts(self.spec, "live"),
            column=column,
            value=value,
            reason=reason,
            parent=parent,
            round_no=self.round_no,
            found=found,
            where=where,
        )


def values_lead_to(reference: Reference) -> Composable:
    """The row `live` refers to the row `parent`."""
    return leads_to([_live(name) for name in reference.columns], reference.ref_columns, reference.equality)


def _live(name: str) -> Identifier:
    return Identifier("live", name)
