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
from producer.check.findings import Finding, Report
from producer.check.readers import audit_readers
from producer.check.server.broker import audit_broker
from producer.check.server.event_triggers import audit_event_triggers
from producer.check.server.gates import audit_gates
from producer.check.server.health import audit_health
from producer.check.server.locks import audit_locks
from producer.check.server.server import audit_server
from producer.check.statements.audit import audit_statements
from producer.check.statements.mentions import audit_functions
from producer.check.statements.sets_apart import audit_sets_apart
from producer.check.trial.cache_trial import try_caches
from producer.check.trial.families import audit_families
from producer.check.trial.trial import Trial, audit_by_trial, audit_hold
from producer.check.values.dangling import audit_dangling
from producer.check.values.new_writes import audit_new_writes
from producer.check.values.progress import ScanWatch
from producer.check.values.quarantine import audit_policies, count_quarantined_rows
from producer.check.values.references import audit_orphans
from producer.check.values.soft_references import audit_soft_references
from producer.check.values.values import Scan, audit_collisions, audit_values, scan
from producer.planning.cache_resolution import refuse_unknown
from producer.planning.foreign_code import ForeignCodeRefused
from producer.planning.plan_session import connect_for_plan
from producer.planning.prepared_run import PreparedRun, prepare_run
from producer.planning.resolution import PlanFile
from replank.activity import doing
from replank.settings import Settings
from sql.session.connection import Connection

REFUSED_BEFORE_TRIAL = (
    "enum_checks_lost",
    "enum_partition",
    "enum_torn",
    "family_partitioned",
    "family_torn",
    "locks_short",
    "name_taken",
    "not_a_heap",
    "partition",
    "row_security_forced",
    "standby",
)


def audit(settings: Settings, file: PlanFile, *, workers: int, watch: ScanWatch) -> Report:
    """Look at catalogue, server, every value, references and program text.

    Nothing is changed: what the trial builds is rolled back. Raises WrongUse if the plan does not fit the
    database at all, NeedsOperator if a table vanishes meanwhile.
    """
    session = {"lock_timeout": f"{settings.lock_timeout_ms}ms"}
    doing("reading the catalogue")
    with connect_for_plan(settings, file.plan, name="check", session=session) as connection:
        try:
            prepared = prepare_run(connection, file)
        except ForeignCodeRefused as refused:
            # Whatever else were looked at might execute it.
            found = audit_foreign_code(refused.code, trusted=False)
            return Report.of(found, rows=0, tables=0, hold_ms=None, already=refused.already)
        refuse_unknown(connection, prepared.file)
        structure = examine(connection, prepared)
        found = structure.findings + audit_already(prepared.already)
        found += audit_readers(connection, file.plan.access.readers)
        found += audit_mappings(connection, file.plan, prepared.waiting)
    doing("asking gates and broker")
    found += audit_gates(prepared)
    found += audit_broker(settings)
    try:
        doing("reading every table")
        scanned = scan(settings, prepared, workers=workers, watch=watch)
        found += _of_rows(settings, prepared, scanned)
    except errors.OutOfMemory:
        if not any(finding.code == "locks_short" for finding in found):
            raise
        # Reading takes a lock on every partition too: there is a blocker for that, and no row was looked at.
        return Report.of(found, rows=0, tables=0, hold_ms=structure.hold_ms, already=prepared.already)
    report = Report.of(
        found,
        rows=scanned.rows,
        tables=len(prepared.readable),
        hold_ms=structure.hold_ms,
        already=prepared.already,
    )
    more = prepared.subjects or file.plan.caches or file.plan.steps.asked
    return replace(report, nothing_to_do=bool(prepared.already) and not more)


def _of_rows(settings: Settings, prepared: PreparedRun, scanned: Scan) -> list[Finding]:
    """What the rows say."""
    session = {"lock_timeout": f"{settings.lock_timeout_ms}ms"}
    found = audit_values(prepared, scanned)
    doing("counting rows that would be quarantined")
    found += count_quarantined_rows(settings, prepared, scanned)
    # A new connection: the scan may have taken hours, and an idle one may have been cut meanwhile.
    session["default_transaction_read_only"] = "on"
    with connect_for_plan(settings, prepared.file.plan, name="check", session=session) as connection:
        doing("searching for values that would collide")
        found += audit_collisions(connection, prepared, scanned)
        doing("counting orphans of the foreign keys")
        found += audit_orphans(connection, prepared)
        doing("searching for references without a foreign key")
        found += audit_soft_references(connection, prepared)
        found += audit_sets_apart(connection, prepared)
        doing("reading functions and statements that name the columns")
        found += audit_statements(connection, prepared)
        found += audit_functions(connection, prepared)
    del session["default_transaction_read_only"]  # For temporary tables.
    with connect_for_plan(settings, prepared.file.plan, name="check", session=session) as connection:
        doing("looking for references that would be lost")
        found += audit_dangling(connection, prepared)
    return found


def examine(connection: Connection, prepared: PreparedRun) -> Trial:
    """What catalogue, server and trial say: all that needs no look at the rows. As the trial's findings."""
    found = audit_foreign_code(prepared.foreign_code, trusted=True)
    doing("checking the catalogue and the server")
    found += audit_catalogue(connection, prepared) + audit_server(connection, prepared)
    found += audit_health(connection, prepared)
    found += audit_storage(connection, prepared)
    found += audit_locks(connection, prepared)
    found += audit_families(connection, prepared)
    found += audit_names(connection, prepared)
    found += audit_text_casts(prepared)
    found += audit_equality(prepared)
    found += audit_enums(connection, prepared)
    found += audit_expressions(connection, prepared)
    found += audit_partitions(connection, prepared)
    found += audit_pattern_indexes(connection, prepared)
    found += audit_policies(prepared)
    found += audit_new_writes(prepared)
    found += audit_caches(connection, prepared)
    skip = _not_to_be_tried(prepared, found)
    found += audit_event_triggers(connection, prepared, tried=not set(prepared.oids) <= skip)
    torn = [str(f.details["foreign_key"]) for f in found if f.blocks and "foreign_key" in f.details]
    doing("trial: rebuilding and swapping in a transaction that is rolled back")
    tried = audit_by_trial(connection, prepared, skip=skip, torn=torn)
    found += tried.findings
    found += audit_hold(prepared, tried.hold_ms)
    if not any(finding.blocks or finding.code == "run_open" for finding in found):
        doing("trial: planning the queries of the caches")
        # Cache queries read the tables as they will be: they can only be tried when all of these can be built.
        found += try_caches(connection, prepared)
    return Trial(findings=found, hold_ms=tried.hold_ms)


def _not_to_be_tried(prepared: PreparedRun, found: list[Finding]) -> frozenset[int]:
    """Tables that the trial could only fail on again; all of them while a run is open or nothing may be created."""
    codes = {finding.code for finding in found}
    too_many = any(finding.code == "locks_short" and finding.table is None for finding in found)
    if "run_open" in codes or "standby" in codes or too_many or not prepared.server.may_create:
        return frozenset(prepared.oids)
    refused = {f.table for f in found if f.code in REFUSED_BEFORE_TRIAL}
    unowned = {f.table for f in found if f.code == "no_privilege"}
    return frozenset(s.live.oid for s in prepared.subjects if s.name in refused | unowned)
