"""The check: everything that would stop a run, or surprise after it, found before the first write."""

from __future__ import annotations

from dataclasses import replace

from psycopg import errors

from producer.check.definitions.already import audit_already
from producer.check.definitions.caches import audit_caches
from producer.check.definitions.catalogue import audit_catalogue
from producer.check.definitions.enums import audit_enums
from producer.check.definitions.equality import audit_equality
from producer.check.definitions.expressions import audit_expressions
from producer.check.definitions.foreign_code import audit_foreign_code
from producer.check.definitions.mappings import audit_mappings
from producer.check.definitions.names import audit_names
from producer.check.definitions.partitions import audit_partitions
from producer.check.definitions.pattern_indexes import audit_pattern_indexes
from producer.check.definitions.storage import audit_storage
from producer.check.definitions.text_casts import audit_text_casts
from producer.check.findings import Audited, Finding, Report, audited
from producer.check.readers import audit_readers
from producer.check.server.broker import audit_broker
from producer.check.server.event_triggers import audit_event_triggers
from producer.check.server.gates import audit_gates
from producer.check.server.health import audit_health
from producer.check.server.locks import audit_locks
from producer.check.server.server import audit_server
from producer.check.statements.mentions import audit_functions, audit_statements
from producer.check.statements.sets_apart import audit_sets_apart
from producer.check.trial.cache_trial import try_caches
from producer.check.trial.families import audit_families
from producer.check.trial.trial import Trial, audit_by_trial, audit_hold
from producer.check.values.dangling import audit_dangling, needs_count
from producer.check.values.new_writes import audit_new_writes
from producer.check.values.progress import ScanWatch
from producer.check.values.quarantine import audit_policies, count_rows_aside
from producer.check.values.references import audit_orphans, keys_with_orphans
from producer.check.values.soft_references import audit_soft_references
from producer.check.values.values import Scan, audit_collisions, audit_values, scan
from producer.planning.cache_resolution import refuse_unknown
from producer.planning.pending_names import named_now
from producer.planning.plan_session import connect_for_plan
from producer.planning.resolution import PlanFile, Resolved, resolve
from replank.activity import doing
from replank.settings import Settings
from sql.catalogue import catalogue
from sql.catalogue.catalogue import ForeignKey
from sql.session.connection import Connection

REFUSED_BEFORE_TRIAL = (
    "enum_checks_lost",
    "enum_partition",
    "enum_torn",
    "family_partitioned",
    "family_torn",
    "locks_short",
    "name_taken",
    "name_too_long",
    "not_a_heap",
    "partition",
    "row_security_forced",
    "standby",
)


def audit(settings: Settings, file: PlanFile, *, workers: int, watch: ScanWatch) -> Report:
    """Look at catalogue, server, every value, references and program text.

    Nothing is changed: what the trial builds is rolled back. Raises WrongUse if the plan does not fit the
    database at all, NeedsPerson if a table vanishes meanwhile.
    """
    session = {"lock_timeout": f"{settings.lock_timeout_ms}ms"}
    doing("reading the catalogue")
    with connect_for_plan(settings, file.plan, name="check", session=session) as connection:
        now = named_now(connection, file)
        resolved = resolve(connection, now.file)
        foreign = audit_foreign_code(connection, now.file, resolved)
        if any(finding.blocks for finding in foreign):
            # Whatever else were looked at might execute it.
            return Report.of(foreign, rows=0, tables=0, hold_ms=None, already=resolved.already)
        subject = _subject(connection, now.file, resolved)
        refuse_unknown(connection, now.file)
        structure = _structure(connection, subject)
        found = foreign + structure.findings + audit_already(resolved)
        found += audit_readers(connection, file.plan.access.readers)
        found += audit_mappings(connection, file.plan, now.waiting)
    doing("asking gates and broker")
    found += audit_gates(subject)
    found += audit_broker(settings)
    try:
        doing("reading the values of every table")
        scanned = scan(settings, subject, workers=workers, watch=watch)
        found += _of_rows(settings, subject, scanned)
    except errors.OutOfMemory:
        if not any(finding.code == "locks_short" for finding in found):
            raise
        # Reading takes a lock on every partition too: there is a blocker for that, and no row was looked at.
        return Report.of(found, rows=0, tables=0, hold_ms=structure.hold_ms, already=resolved.already)
    report = Report.of(
        found,
        rows=scanned.rows,
        tables=len(subject.readable),
        hold_ms=structure.hold_ms,
        already=resolved.already,
    )
    more = resolved.tables or file.plan.caches or file.plan.steps.asked
    return replace(report, nothing_to_do=bool(resolved.already) and not more)


def _of_rows(settings: Settings, subject: Audited, scanned: Scan) -> list[Finding]:
    """What the rows say."""
    session = {"lock_timeout": f"{settings.lock_timeout_ms}ms"}
    found = audit_values(subject, scanned)
    doing("counting rows that would be quarantined")
    found += count_rows_aside(settings, subject, scanned)
    # A new connection: the scan may have taken hours, and an idle one may have been cut meanwhile.
    session["default_transaction_read_only"] = "on"
    with connect_for_plan(settings, subject.file.plan, name="check", session=session) as connection:
        doing("looking for values that would collide")
        found += audit_collisions(connection, subject, scanned)
        doing("counting orphans of the foreign keys")
        found += audit_orphans(connection, subject)
        doing("looking for references without a foreign key")
        found += audit_soft_references(connection, subject)
        found += audit_sets_apart(connection, subject)
        doing("reading functions and statements that name the columns")
        found += audit_statements(connection, subject)
        found += audit_functions(connection, subject)
    del session["default_transaction_read_only"]  # For temporary tables.
    with connect_for_plan(settings, subject.file.plan, name="check", session=session) as connection:
        doing("looking for references that would lead nowhere")
        found += audit_dangling(connection, subject)
    return found


def structural_findings(connection: Connection, file: PlanFile, resolved: Resolved) -> list[Finding]:
    """What catalogue, server and trial say: all that needs no look at the rows."""
    foreign = audit_foreign_code(connection, file, resolved)
    if any(finding.blocks for finding in foreign):
        return foreign
    return foreign + _structure(connection, _subject(connection, file, resolved)).findings


def dangling_findings(connection: Connection, file: PlanFile, resolved: Resolved) -> list[Finding]:
    """References that the plan would let lead nowhere without saying so. Reads rows, and only where some may."""
    subject = _subject(connection, file, resolved)
    if not needs_count(subject):
        return []
    doing("looking for references that would lead nowhere")
    return audit_dangling(connection, subject)


def stored_elsewhere(connection: Connection, file: PlanFile, resolved: Resolved) -> list[Finding]:
    """Tables of the plan that are no heaps of this server."""
    return audit_storage(connection, _subject(connection, file, resolved))


def proved_keys(
    connection: Connection, file: PlanFile, resolved: Resolved
) -> tuple[list[Finding], tuple[ForeignKey, ...]]:
    """What orphans say against the run, and its foreign keys as they are to come back. Reads every referring table."""
    return keys_with_orphans(connection, _subject(connection, file, resolved))


def _subject(connection: Connection, file: PlanFile, resolved: Resolved) -> Audited:
    return audited(connection, file, catalogue.read_server(connection), resolved)


def _structure(connection: Connection, subject: Audited) -> Trial:
    """All of it as the trial's findings, with its forecast."""
    doing("checking the catalogue and the server")
    found = audit_catalogue(connection, subject) + audit_server(connection, subject)
    found += audit_health(connection, subject)
    found += audit_storage(connection, subject)
    found += audit_locks(connection, subject)
    found += audit_families(connection, subject)
    found += audit_names(connection, subject)
    found += audit_text_casts(subject)
    found += audit_equality(subject)
    found += audit_enums(connection, subject)
    found += audit_expressions(connection, subject)
    found += audit_partitions(connection, subject)
    found += audit_pattern_indexes(connection, subject)
    found += audit_policies(subject)
    found += audit_new_writes(subject)
    found += audit_caches(connection, subject)
    skip = _not_to_be_tried(subject, found)
    found += audit_event_triggers(connection, subject, tried=not set(subject.oids) <= skip)
    torn = [str(f.details["foreign_key"]) for f in found if f.blocks and "foreign_key" in f.details]
    doing("trying the rebuild and the swap in a transaction that is rolled back")
    tried = audit_by_trial(connection, subject, skip=skip, torn=torn)
    found += tried.findings
    found += audit_hold(subject, tried.hold_ms)
    if not any(finding.blocks or finding.code == "run_open" for finding in found):
        doing("trying the queries of the caches")
        # Cache queries read the tables as they will be: they can only be tried when all of these can be built.
        found += try_caches(connection, subject)
    return Trial(findings=found, hold_ms=tried.hold_ms)


def _not_to_be_tried(subject: Audited, found: list[Finding]) -> frozenset[int]:
    """Tables that the trial could only fail on again; all of them while a run is open or nothing may be created."""
    codes = {finding.code for finding in found}
    too_many = any(finding.code == "locks_short" and finding.table is None for finding in found)
    if "run_open" in codes or "standby" in codes or too_many or not subject.server.may_create:
        return frozenset(subject.oids)
    refused = {f.table for f in found if f.code in REFUSED_BEFORE_TRIAL}
    unowned = {f.table for f in found if f.code == "no_privilege"}
    return frozenset(s.live.oid for s in subject.subjects if s.name in refused | unowned)
