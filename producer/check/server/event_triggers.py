"""Event triggers of the application: each is named, and those that fire for our DDL are tried on tables of our own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from psycopg import errors
from psycopg.sql import SQL, Identifier

from producer.check.findings import Finding, blocker, warning
from producer.planning.conversion_sets import planned_sets
from producer.planning.prepared_run import PreparedRun
from sql.session.connection import Connection, rows, run
from sql.session.named_queries import query
from sql.session.server_message import without_rows
from sql.session.statements import scratch
from sql.swap.event_triggers import EventTrigger, read_event_triggers

SLOW_MS = 10.0
"""From this on, what they take of each statement is told; without one a statement takes about a millisecond."""

SCHEMA = Identifier("replank_trial")
MADE = (
    ("CREATE SCHEMA", "CREATE SCHEMA {s}"),
    ("CREATE TABLE", "CREATE TABLE {s}.one (id int)"),
    ("CREATE FUNCTION", "CREATE FUNCTION {s}.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"),
    ("CREATE FUNCTION", "CREATE FUNCTION {s}.idle() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    ("CREATE TRIGGER", "CREATE TRIGGER fires AFTER INSERT ON {s}.one EXECUTE FUNCTION {s}.fires()"),
    ("CREATE INDEX", "CREATE INDEX one_id ON {s}.one (id)"),
    ("CREATE VIEW", "CREATE VIEW {s}.two AS SELECT 1 AS one"),
    ("ALTER TABLE", "ALTER TABLE {s}.one ALTER COLUMN id SET DEFAULT 1"),
    ("CREATE SCHEMA", "CREATE SCHEMA replank_trial_past"),
    ("ALTER TABLE", "ALTER TABLE {s}.one SET SCHEMA replank_trial_past"),
    ("ALTER TABLE", "ALTER TABLE replank_trial_past.one SET SCHEMA {s}"),
)
"""Tag and statement, in their order."""
GONE = (
    ("ALTER TABLE", "ALTER TABLE {s}.one ALTER COLUMN id DROP DEFAULT"),
    ("DROP VIEW", "DROP VIEW {s}.two"),
    ("DROP INDEX", "DROP INDEX {s}.one_id"),
    ("DROP TRIGGER", "DROP TRIGGER fires ON {s}.one"),
    ("DROP FUNCTION", "DROP FUNCTION {s}.idle()"),
    ("DROP TABLE", "DROP TABLE {s}.one"),
    ("DROP SCHEMA", "DROP SCHEMA replank_trial_past"),
)
"""What a run's end, a rollback and `finish` do: refused there it would leave the run to the operator for ever."""


def audit_event_triggers(connection: Connection, audited: PreparedRun, *, tried: bool) -> list[Finding]:
    """Each by name; where any fires, what it does to DDL. Without `tried` nothing may be created here."""
    triggers = read_event_triggers(connection)
    found = [_named(trigger, audited) for trigger in triggers if trigger.event != "login"]
    if not tried or not any(trigger.fires for trigger in triggers):
        return found
    with scratch(connection):
        refused, taken_ms = _try(connection, triggers)
    return [*found, *refused, *_slow(connection, audited, triggers, taken_ms)]


def _named(trigger: EventTrigger, audited: PreparedRun) -> Finding:
    tags = ", ".join(trigger.tags) or "every command"
    words = (
        f"event trigger {trigger.name} of {trigger.owner} ({trigger.event}, {tags}; {trigger.state}) calls "
        f"{trigger.function}"
    )
    if trigger.fires:
        why = (
            f"; role {audited.server.role} has no right to disable it, so it fires for every object that Replank "
            "creates or drops"
        )
        hint = (
            "Check that it ignores schemas replank and replank_… and is fast. From PostgreSQL 17 on, `GRANT SET ON "
            f"PARAMETER event_triggers TO {audited.server.role}` lets the run disable it for its own sessions."
        )
    elif trigger.state == "disabled":
        why, hint = "", "It does not fire while it stays disabled."
    else:
        why = "; Replank disables it in its own sessions"
        hint = "If other programs need its work (a DDL log, a NOTIFY that refreshes a schema cache), do this by hand."
    return warning("event_trigger", words + why, hint=hint, event_trigger=trigger.name, fires=trigger.fires)


def _try(connection: Connection, triggers: Sequence[EventTrigger]) -> tuple[list[Finding], float]:
    """What is refused, and how many milliseconds the quickest ALTER TABLE took."""
    refused: dict[str, list[str]] = {}
    moves: list[float] = []
    for tag, text in (*MADE, *GONE):
        statement = SQL(text).format(s=SCHEMA)
        began = time.monotonic()
        try:
            with connection.transaction():
                run(connection, statement)
        except errors.OperationalError:
            raise
        except errors.DatabaseError as error:
            refused.setdefault(without_rows(error, hint=True), []).append(tag)
            if (tag, text) in MADE:
                break
            continue
        if tag == "ALTER TABLE":
            moves.append((time.monotonic() - began) * 1000)
    return [_refused(triggers, tags, said) for said, tags in refused.items()], min(moves, default=0.0)


def _refused(triggers: Sequence[EventTrigger], tags: Sequence[str], said: str) -> Finding:
    who = [trigger.name for trigger in triggers if any(map(trigger.concerns, tags))]
    names = ", ".join(who) or "an event trigger"
    commands = ", ".join(dict.fromkeys(tags))
    return blocker(
        "event_trigger_refuses",
        f"{commands} on Replank's own objects is rejected by event trigger {names}: {said}",
        hint="The run could neither finish nor be rolled back. Disable it for the run: "
        + "; ".join(SQL("ALTER EVENT TRIGGER {} DISABLE").format(Identifier(name)).as_string(None) for name in who),
        event_triggers=who,
        commands=list(tags),
    )


def _slow(
    connection: Connection, audited: PreparedRun, triggers: Sequence[EventTrigger], taken_ms: float
) -> Iterator[Finding]:
    """Each DDL statement of a swap counts while its tables are locked."""
    if taken_ms < SLOW_MS:
        return
    counts = {
        r["oid"]: r["statements"]
        for r in rows(connection, query("event_triggers.swap_statements"), {"oids": audited.oids})
    }
    names = ", ".join(trigger.name for trigger in triggers if trigger.concerns("ALTER TABLE"))
    budget_ms = audited.file.plan.options.cutover_hold_budget_ms
    specs = [subject.spec for subject in audited.subjects]
    sets = planned_sets(connection, specs, audited.foreign_keys, audited.file.plan.options.sets)
    for members, _ in (sets[number] for number in sorted(sets)):
        statements = sum(counts.get(spec.oid, 0) for spec in members)
        swap_ms = statements * taken_ms
        tables = ", ".join(spec.full_name for spec in members)
        kind = blocker if swap_ms > budget_ms else warning
        yield kind(
            "event_triggers_slow",
            f"event trigger {names}: a DDL statement takes {taken_ms:.0f} ms with it; the cutover of {tables} makes "
            f"about {statements}, which is {swap_ms:,.0f} ms under its lock (cutover_hold_budget_ms is {budget_ms:,})",
            hint="Disable it for the cutover, or make it faster.",
            statement_ms=taken_ms,
            statements=statements,
            swap_ms=swap_ms,
        )
