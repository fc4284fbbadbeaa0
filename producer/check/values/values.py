"""Every value of every planned column, read once, in chunks of blocks, over several connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from psycopg import errors

from producer.check.findings import Finding, blocker, warning
from producer.check.values.progress import ScanWatch
from producer.check.values.recency import recency_of, recent_details, recent_hint, recent_words
from producer.planning.plan_session import connect_for_plan
from producer.planning.prepared_run import PreparedRun, Subject
from replank.errors import NeedsOperator, TryAgain
from replank.settings import Settings
from replank.values.chunk import Axis, Chunk
from replank.values.table_spec import ColumnSpec
from replank.wording import counted, verb
from sql.checks.value_audit import ColumnCount, Recent, find_collisions, scan_chunk
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

CHUNK_BLOCKS = 2_048
"""16 MB: a second or less, so that no snapshot grows old."""

Counts = dict[tuple[int, str], ColumnCount]
"""By table oid and column name."""


@dataclass(frozen=True, kw_only=True)
class ScanPart:
    """One statement's work: these blocks of the table, or of every partition of it."""

    subject: Subject
    chunk: Chunk
    blocks: int


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What was counted, and over how many rows."""

    counts: Counts
    rows: int


def cut(subjects: Sequence[Subject]) -> Iterator[ScanPart]:
    """The parts of all tables, one at a time. The last of a table is open: rows may come in meanwhile."""
    for subject in subjects:
        if not subject.converted:
            continue
        blocks = subject.live.longest_heap
        for lower in range(0, max(blocks, 1), CHUNK_BLOCKS):
            upper = lower + CHUNK_BLOCKS
            chunk = Chunk(axis=Axis.HEAP, lower=(str(lower),), upper=(str(upper),) if upper < blocks else None)
            yield ScanPart(subject=subject, chunk=chunk, blocks=max(min(upper, blocks) - lower, 1))


class _Scanner:
    """Threads that take parts from one iterator and add to one set of counts."""

    def __init__(self, settings: Settings, audited: PreparedRun, watch: ScanWatch) -> None:
        self._settings = settings
        self._plan = audited.file.plan
        self._version = audited.server.version
        self._watch = watch
        self._parts = cut(audited.readable)
        self._lock = threading.Lock()
        self._stopped = False
        self.rows = 0
        self.counts: Counts = {(s.live.oid, c.name): ColumnCount() for s in audited.readable for c in s.converted}

    def work(self) -> None:
        """Scan parts until none is left. An error here stops the other threads as well."""
        session = {"lock_timeout": f"{self._settings.lock_timeout_ms}ms", "default_transaction_read_only": "on"}
        try:
            with connect_for_plan(self._settings, self._plan, name="check values", session=session) as connection:
                while (part := self._next()) is not None:
                    self._scan(connection, part)
        finally:
            self.stop()

    def stop(self) -> None:
        """Let every thread end after the part it is at."""
        with self._lock:
            self._stopped = True

    def _next(self) -> ScanPart | None:
        with self._lock:
            return None if self._stopped else next(self._parts, None)

    def _scan(self, connection: Connection, part: ScanPart) -> None:
        subject = part.subject
        recency = [recency_of(subject, column) for column in subject.converted]
        try:
            count, found = scan_chunk(connection, subject.spec, subject.converted, part.chunk, self._version, recency)
        except (errors.UndefinedTable, errors.UndefinedColumn):
            raise NeedsOperator(
                f"{subject.name} was dropped or changed while it was read. Create a new plan with `replank inspect`."
            ) from None
        except errors.LockNotAvailable:
            raise TryAgain(
                f"{subject.name} is locked by another session for longer than {self._settings.lock_timeout_ms} ms. "
                "Run `replank check` again when that session has ended."
            ) from None
        with self._lock:
            self.rows += count
            for column, counted in zip(subject.converted, found, strict=True):
                self.counts[subject.live.oid, column.name].add(counted)
            self._watch.scanned(
                subject.name, table_blocks=max(subject.live.longest_heap, 1), blocks=part.blocks, rows=count
            )


def scan(settings: Settings, audited: PreparedRun, *, workers: int, watch: ScanWatch) -> Scan:
    """Read everything with `workers` connections. Memory does not grow with the tables."""
    watch.begin(blocks=sum(max(s.live.longest_heap, 1) for s in audited.readable))
    scanner = _Scanner(settings, audited, watch)
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="check-values") as pool:
        try:
            for future in [pool.submit(scanner.work) for _ in range(workers)]:
                future.result()
        finally:
            scanner.stop()
    return Scan(counts=scanner.counts, rows=scanner.rows)


def audit_values(audited: PreparedRun, scan: Scan) -> list[Finding]:
    """What does not convert, and what would not come back in its old spelling."""
    found: list[Finding] = []
    for subject in audited.readable:
        for column in subject.converted:
            count = scan.counts[subject.live.oid, column.name]
            if count.bad:
                found.append(_not_convertible(subject, column, count))
            if count.odd:
                found.append((_other_text if column.enum else _odd_spelling)(subject, column, count))
    return found


def _not_convertible(subject: Subject, column: ColumnSpec, count: ColumnCount) -> Finding:
    one, many = (f"not a value of {column.next_type}", f"not values of {column.next_type}")
    if not column.enum:
        one, many = "not a uuid", "not uuids"
    no = one if count.bad == 1 else many
    recency = recency_of(subject, column)
    words, more = recent_words(recency, count.bad_recent), recent_hint(count.bad_recent)
    told = _told(subject, column, count.bad, count.bad_recent, count.bad_examples)
    if column.on_invalid != "fail":
        fate = {"null": "they become NULL", "quarantine": "their rows are quarantined"}.get(
            column.on_invalid, "they become uuids made of them"
        )
        return warning(
            "converted_by_policy",
            f"{counted(count.bad, 'value', 'is')} {no}, such as {_quoted(count.bad_examples)}; {fate}, as the "
            f"plan says{words}",
            hint="The past table keeps the original texts until `replank finish`. From the cutover on, an INSERT or "
            f"UPDATE with such a text fails.{more}",
            **told,
        )
    return blocker(
        "not_convertible",
        f"{counted(count.bad, 'value', 'is')} {no}, such as {_quoted(count.bad_examples)}{words}",
        hint="Correct or remove these rows, set on_invalid in the plan, or remove the column from the plan "
        f"(together with columns that foreign keys join to it).{more}",
        **told,
    )


def _odd_spelling(subject: Subject, column: ColumnSpec, count: ColumnCount) -> Finding:
    recency = recency_of(subject, column)
    # An unusual form is still accepted after the cutover, so this is no error: it is read back in PostgreSQL's form.
    more = " Clients may still write them, but read them back in PostgreSQL's form." if count.odd_recent.count else ""
    return warning(
        "odd_spelling",
        f"{count.odd:,} uuids are not written in PostgreSQL's form, such as "
        f"{_quoted(count.odd_examples)}{recent_words(recency, count.odd_recent)}",
        hint="After the run they are read in lower case with four hyphens; only the past table keeps the original "
        f"texts. Clients that compare ids as text must not depend on them.{more}",
        **_told(subject, column, count.odd, count.odd_recent, count.odd_examples),
    )


def _other_text(subject: Subject, column: ColumnSpec, count: ColumnCount) -> Finding:
    recency = recency_of(subject, column)
    # A text that only the map knows is no value: its client meets an error.
    more = recent_hint(count.odd_recent)
    return warning(
        "odd_spelling",
        f"{counted(count.odd, 'text', 'shares')} {verb(count.odd, 'its')} value with the text that the plan lists "
        f"first for it, such as {_quoted(count.odd_examples)}{recent_words(recency, count.odd_recent)}",
        hint="A rollback restores them in rows that did not change since the cutover and in changed rows that keep "
        f"the value; new rows with the value get the first text.{more}",
        **_told(subject, column, count.odd, count.odd_recent, count.odd_examples),
    )


def _told(subject: Subject, column: ColumnSpec, count: int, recent: Recent, examples: Sequence[str]) -> dict[str, Any]:
    """Of which column a finding is, and its details: how many values, how recent, and some of them."""
    return {
        "table": subject.name,
        "column": column.name,
        "count": count,
        "recent": recent_details(recency_of(subject, column), recent),
        "examples": examples,
    }


def _quoted(examples: Sequence[str]) -> str:
    return ", ".join(f"'{example}'" for example in examples)


def audit_collisions(connection: Connection, audited: PreparedRun, scan: Scan) -> list[Finding]:
    """Keys that become equal. Only odd spellings can collide: texts in PostgreSQL's own are unique as they are."""
    found: list[Finding] = []
    by_oid = {s.live.oid: s for s in audited.readable}
    for index in rows(connection, query("audit.unique_indexes"), {"oids": list(by_oid)}):
        subject = by_oid[index["oid"]]
        odd = [name for name in index["columns"] if _is_odd(scan, subject, name)]
        if not odd:
            continue
        collisions = find_collisions(
            connection,
            subject.spec,
            index["columns"],
            predicate=index["predicate"],
            nulls_equal=index["nulls_equal"],
            version=audited.server.version,
        )
        if collisions.keys:
            found.append(
                blocker(
                    "collision",
                    f"{counted(collisions.keys, 'key')} of unique index {index['name']} "
                    f"({', '.join(index['columns'])}) would be duplicates, because different texts become the same "
                    f"{subject.becomes(odd[0])}: {'; '.join(collisions.examples)}",
                    hint="Decide which of the rows is right, and change or remove the others.",
                    table=subject.name,
                    column=odd[0],
                    count=collisions.keys,
                    examples=list(collisions.examples),
                )
            )
    return found


def _is_odd(scan: Scan, subject: Subject, column: str) -> bool:
    """Whether some value of the column may become one that another value has already."""
    count = scan.counts.get((subject.live.oid, column))
    return count is not None and (count.odd > 0 or count.bad > 0)
