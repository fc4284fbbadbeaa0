"""The fourth criterion: whether the audit log captures all changes, of what the plan audits."""

from __future__ import annotations

from monitoring.report.facts import Facts
from monitoring.report.verdict import Criterion, number, undecided
from replank.values.measurement import AuditProbe
from replank.wording import counted

TITLE = "The audit trail captures all changes"

NAMED = 5

HOW = (
    "When all tables were swapped (or at the last `replank report --measure`), each audited table got an update that "
    "changes nothing, an insert of a copy of one of its rows, and a delete of that copy, in a transaction that was "
    "rolled back. The log had to show each with its old and new row, actor and request id. When this report was made, "
    "the catalogue was read: that TRUNCATE is captured, that every trigger is still enabled, and that the log's "
    "functions, their triggers, and triggers and rules on the log itself are those that were proved. Which tables are "
    "audited, the plan says; tables of its schemas that are not are named. Not captured by design: writes that go "
    "straight to a partition, and those of sessions with session_replication_role = replica."
)

HOW_UNPROBED = (
    "When this report was made, the catalogue was read: whether each audited table has triggers that capture INSERT, "
    "UPDATE, DELETE and TRUNCATE, and whether they are enabled. What they write was not checked: no write was tried, "
    "because the plan does not ask for it. With `probe_audit = true` under `[success]` each audited table gets one "
    "write of every kind, in a transaction that is rolled back."
)


def audit_trail(facts: Facts) -> Criterion:
    """Every table that has to be audited, by what the log saw of its probe writes.

    Without probe writes it is undecided at best: a trigger that is there may still write nothing.
    """
    if facts.run.plan.steps.audit_log is None:
        return undecided(TITLE, "the plan asks for no audit log (step 03)", HOW)
    left_out = _left_out(facts)
    of_plan = " that the plan audits" if left_out else ""
    if facts.after is None:
        return undecided(TITLE, facts.not_yet + left_out, HOW)
    probes = facts.after.audit
    if probes is None:
        return _unprobed(facts, left_out)
    lacking = {table for table, _ in facts.audit.gaps}
    changed = {table for table, _ in facts.audit.changed}
    proved = [p for p in probes if p.proved and p.table not in lacking | changed and "" not in changed]
    wanted = len({probe.table for probe in probes} | lacking)
    against = _against(facts, probes)
    gaps = f"; {len(against)} gaps: {'; '.join(against[:NAMED])}" if against else ""
    return Criterion(
        criterion=TITLE,
        measured=len(proved),
        shown=f"proved in {len(proved)} of {counted(wanted, 'table')}{of_plan}{gaps}{left_out}",
        target=wanted,
        target_shown=f"all of {counted(wanted, 'audited table')}",
        met=bool(probes) and len(proved) == wanted,
        how=HOW,
        names=(*against, *(_not_audited(facts, table) for table in facts.audit.left_out)),
    )


def _unprobed(facts: Facts, left_out: str) -> Criterion:
    """What the catalogue alone says. It can tell that something is missing, and never that all is captured."""
    wanted, gaps = facts.audit.audited, [f"{table}: {what}" for table, what in facts.audit.gaps]
    captured = wanted - len(gaps)
    shown = (
        "not probed: the plan does not set probe_audit = true; triggers for every kind of write are there and enabled "
        f"on {captured} of {counted(wanted, 'table')}, what they write was not checked"
    )
    more = f"; {counted(len(gaps), 'gap')}: {'; '.join(gaps[:NAMED])}" if gaps else ""
    return Criterion(
        criterion=TITLE,
        measured=captured if gaps else None,
        shown=shown + more + left_out,
        target=wanted,
        target_shown=f"all of {counted(wanted, 'audited table')}, proved by probe writes",
        met=False if gaps else None,
        how=HOW_UNPROBED,
        names=(*gaps, *(_not_audited(facts, table) for table in facts.audit.left_out)),
    )


def _against(facts: Facts, probes: tuple[AuditProbe, ...]) -> list[str]:
    """Changed objects, what the probes missed, triggers that do not capture now."""
    changed = [
        f"{what} since the log was proved; `replank report --measure` proves it again"
        for _, what in facts.audit.changed
    ]
    missing = [f"{probe.table}: {gap}" for probe in probes for gap in probe.missing]
    return [*changed, *missing, *(f"{table}: {what}" for table, what in facts.audit.gaps)]


def _left_out(facts: Facts) -> str:
    """A figure about a few tables must not be read as one about all. Those that came later are named first."""
    tables = sorted(facts.audit.left_out, key=lambda table: (table not in facts.audit.later, table))
    if not tables:
        return ""
    later = len(facts.audit.later)
    since = f", {number(later)} of them made since the run began" if later else ""
    more = f" and {number(len(tables) - NAMED)} more" if len(tables) > NAMED else ""
    return f"; not audited by the plan: {counted(len(tables), 'table')}{since} ({', '.join(tables[:NAMED])}{more})"


def _not_audited(facts: Facts, table: str) -> str:
    made = ", made since the run began" if table in facts.audit.later else ""
    return f"{table}: not audited by the plan{made}"
