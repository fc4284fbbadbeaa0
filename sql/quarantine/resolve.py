"""Resolving: which rows of a conversion set are in quarantine, at one snapshot.

A row belongs there if a text of its own is no uuid, or if a foreign key of it leads to a row that belongs there:
the least set with that property, so that two rows cannot keep each other in. Each row that is there for another
remembers that one; it was there before, so these memories are a forest whose roots are rows with such texts.

Whatever may have changed since the last time stands in a change log. So: (1) doubt every row in quarantine whose
key is logged, and all that are there for its sake; (2) take in, round by round, what belongs there: logged and
doubtful rows are checked themselves, and for each row that came in, all that refer to it; (3) what is still in
doubt leaves. What came or left is logged, so that the next drain of its table takes it out or puts it in.

A table joins with its first drain: its log then holds every row with such a text (the copy logs them), and whatever
leads from it into quarantine is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import LiteralString

from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.values.reference import Reference
from replank.values.table_spec import TableSpec
from sql.ledger.tables import quarantines
from sql.quarantine.admit import Admission, Parents, values_lead_to
from sql.quarantine.quarantined_rows import count_quarantined, quarantine_table
from sql.rows.change_log import ANALYZE_FROM_ROWS, FEW_KEYS, keys_of, log_keys, log_table, logged
from sql.rows.copy import source
from sql.session.connection import Connection, apply_settings, present_settings, run
from sql.session.table_names import live_table
from sql.values.equality_operators import all_equal


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A foreign key between two tables that have joined."""

    child: TableSpec
    reference: Reference
    parent: TableSpec


def resolve_quarantine(connection: Connection, specs: Sequence[TableSpec], *, draining: TableSpec | None) -> None:
    """Resolve the quarantine of a set at the transaction's snapshot; the caller holds it (`quarantines.hold`).

    `draining` is drained next at the same snapshot; None means all. Nothing is done while no log has rows.
    """
    concerned = [spec for spec in specs if spec.settles]
    if not concerned:
        return
    newcomer = draining is not None and draining.settles and quarantines.join(connection, draining)
    joined = quarantines.joined(connection, concerned[0].run_id)
    members = [spec for spec in concerned if spec.table_no in joined]
    newcomers = frozenset({draining.table_no} if newcomer and draining is not None else ())
    for spec in resolve_conversion_set(connection, members, newcomers):
        quarantines.set_rows(connection, spec, count_quarantined(connection, spec))


def resolve_conversion_set(
    connection: Connection, members: Sequence[TableSpec], newcomers: frozenset[int]
) -> list[TableSpec]:
    """Resolve these tables; `newcomers` (table numbers) join now. Returns those whose quarantine has changed."""
    resolution = _Resolution(connection=connection, members=members, newcomers=newcomers)
    resolution.count_logs()
    if not newcomers and not any(resolution.active.values()):
        return []
    resolution.doubt()
    resolution.admit_rows()
    return resolution.log_changes()


@dataclass(kw_only=True)
class _Resolution:
    connection: Connection
    members: Sequence[TableSpec]
    newcomers: frozenset[int]
    active: dict[int, int] = field(default_factory=dict)
    """By table number: how many rows of the log, and rows in doubt, are to be checked."""
    touched: set[int] = field(default_factory=set)
    few: bool = False
    own: Mapping[str, str] = field(default_factory=dict)
    """The planner's settings as they were before, and are again at the end."""
    planner: Mapping[str, str] = field(default_factory=dict)

    @property
    def edges(self) -> list[Edge]:
        by_no = {spec.table_no: spec for spec in self.members}
        return [
            Edge(child=spec, reference=reference, parent=by_no[reference.parent_no])
            for spec in self.members
            for reference in spec.references
            if reference.parent_no in by_no
        ]

    def count_logs(self) -> None:
        """How much there is to check, and statistics where it is much."""
        if not self.members:
            return
        counts = SQL(" UNION ALL ").join(
            SQL("SELECT {}, count(*) FROM {}").format(spec.table_no, log_table(spec)) for spec in self.members
        )
        self.active = dict(run(self.connection, counts, prepare=True).fetchall())
        for spec in self.members:
            if self.active[spec.table_no] >= ANALYZE_FROM_ROWS:
                self.connection.execute(SQL("ANALYZE {}").format(log_table(spec)))
        self.few = max(self.active.values(), default=0) < ANALYZE_FROM_ROWS

    def doubt(self) -> None:
        """Mark rows whose key is logged, then whatever is there for a doubtful row's sake."""
        self.own = self.planner = present_settings(self.connection, FEW_KEYS)
        self._by_index(True)
        for spec in (spec for spec in self.members if self.active[spec.table_no] and spec.quarantines):
            everything = self._one(
                "SELECT count(*) FROM (SELECT FROM {} WHERE truncated LIMIT 1) AS t", log_table(spec)
            )
            self._doubt(spec, _all_rows(spec) if everything else _logged_rows(spec))
        while any(
            [self._doubt(edge.child, _kept_for(edge)) for edge in self.edges if edge.parent.table_no in self.touched]
        ):
            pass

    def _doubt(self, spec: TableSpec, statement: Composable) -> int:
        return self._count(spec, run(self.connection, statement, prepare=True).rowcount)

    def _count(self, spec: TableSpec, rows: int) -> int:
        if rows:
            self.active[spec.table_no] += rows
            self.touched.add(spec.table_no)
        return rows

    def admit_rows(self) -> None:
        """Round by round, until one admits none."""
        came = self._first_round()
        round_no = 1
        while came:
            parents, round_no, came = came, round_no + 1, set()
            entered = {
                spec.table_no for spec in self.members if spec.table_no in parents and self._entered(spec, round_no - 1)
            }
            for edge in (edge for edge in self._followed() if edge.parent.table_no in parents):
                admission = self._admission(edge.child, round_no)
                if self.active[edge.child.table_no]:
                    self._by_index(True)
                    self._admit(
                        came, edge.child, admission.candidates_leading_to(edge.reference, edge.parent, Parents.FRESH)
                    )
                if edge.parent.table_no in entered:
                    self._by_index(False)
                    statement = admission.all_leading_to(edge.reference, edge.parent, Parents.ENTERED)
                    self._admit(came, edge.child, statement)

    def _entered(self, spec: TableSpec, round_no: int) -> bool:
        """Whether any row came in that was not there: only then the tables that may refer to it are scanned."""
        found = "SELECT count(*) FROM (SELECT FROM {} WHERE fresh = {} AND entered LIMIT 1) AS e"
        return bool(self._one(found, quarantine_table(spec), Literal(round_no)))

    def _first_round(self) -> set[int]:
        """Candidates, by their own texts and by what is in quarantine already; and all of a newcomer's rows."""
        came: set[int] = set()
        for spec in self.members:
            if self.active[spec.table_no] and spec.quarantining_columns:
                self._by_index(True)
                self._admit(came, spec, self._admission(spec, 1).candidates_with_bad_texts())
        for edge in self._followed():
            admission = self._admission(edge.child, 1)
            if edge.child.table_no in self.newcomers:
                self._by_index(False)
                self._admit(came, edge.child, admission.all_leading_to(edge.reference, edge.parent, Parents.ALL))
            elif self.active[edge.child.table_no]:
                self._by_index(True)
                self._admit(came, edge.child, admission.candidates_leading_to(edge.reference, edge.parent, Parents.ALL))
        return came

    def _followed(self) -> list[Edge]:
        return [edge for edge in self.edges if not edge.reference.nulled]

    def _admission(self, spec: TableSpec, round_no: int) -> Admission:
        return Admission(spec=spec, round_no=round_no, version=self.connection.info.server_version)

    def _admit(self, came: set[int], spec: TableSpec, statement: Composable) -> None:
        if run(self.connection, statement, prepare=True).rowcount:
            self.touched.add(spec.table_no)
            came.add(spec.table_no)

    def log_changes(self) -> list[TableSpec]:
        """Log what came and what left, and references that become NULL or no longer do; then forget the marks."""
        self._by_index(False)
        for edge in (edge for edge in self.edges if edge.reference.nulled):
            if edge.child.table_no in self.newcomers:
                run(self.connection, _log_children(edge, SQL("true")))
            elif edge.parent.table_no in self.touched:
                run(self.connection, _log_children(edge, SQL("(kept.doubtful OR kept.fresh > 0 AND kept.entered)")))
        changed = [spec for spec in self.members if spec.table_no in self.touched]
        for spec in changed:
            names = {"table": quarantine_table(spec), "log": log_table(spec)}
            keys = SQL(", ").join(log_keys(spec))
            for statement in (
                "INSERT INTO {log} ({keys}) SELECT {keys} FROM {table} WHERE doubtful OR fresh > 0 AND entered",
                "DELETE FROM {table} WHERE doubtful",
                "UPDATE {table} SET fresh = 0 WHERE fresh > 0",
            ):
                run(self.connection, SQL(statement).format(**names, keys=keys), prepare=True)
        return changed

    def _by_index(self, candidates: bool) -> None:
        """Few candidates are looked up by their keys; for rows that refer to a row the planner knows best."""
        wanted = FEW_KEYS if self.few and candidates else self.own
        if wanted != self.planner:
            apply_settings(self.connection, wanted, local=True)
            self.planner = wanted

    def _one(self, statement: LiteralString, *parts: Composable) -> int:
        found = run(self.connection, SQL(statement).format(*parts), prepare=True).fetchone()
        return int(found[0]) if found else 0


def _all_rows(spec: TableSpec) -> Composable:
    return SQL("UPDATE {} SET doubtful = true WHERE NOT doubtful").format(quarantine_table(spec))


def _logged_rows(spec: TableSpec) -> Composable:
    same = all_equal(spec.key_columns, keys_of(spec, "quarantined"), keys_of(spec, "log"))
    return SQL("UPDATE {} AS quarantined SET doubtful = true FROM {} WHERE NOT doubtful AND {}").format(
        quarantine_table(spec), logged(spec), same
    )


def _kept_for(edge: Edge) -> Composable:
    return SQL(
        "UPDATE {} AS quarantined SET doubtful = true FROM {} AS kept WHERE kept.doubtful AND NOT quarantined.doubtful"
        " AND quarantined.parent_no = {} AND quarantined.parent_key = kept.key"
    ).format(quarantine_table(edge.child), quarantine_table(edge.parent), edge.parent.table_no)


def _log_children(edge: Edge, which: Composable) -> Composable:
    """Log rows whose reference becomes NULL, or no longer does. A deleted row is known as it was quarantined."""
    return SQL(
        "INSERT INTO {log} ({keys}) SELECT {live_keys} FROM {quarantined} AS kept"
        ' CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(NULL::{parent}, kept."row") AS parent'
        " JOIN {live} ON {leads} WHERE {which}"
    ).format(
        log=log_table(edge.child),
        keys=SQL(", ").join(log_keys(edge.child)),
        live_keys=SQL(", ").join(Identifier("live", name) for name in edge.child.key),
        quarantined=quarantine_table(edge.parent),
        parent=live_table(edge.parent),
        live=source(edge.child),
        leads=values_lead_to(edge.reference),
        which=which,
    )
