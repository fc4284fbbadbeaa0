"""Event triggers of the application: they fire for our DDL too, and may change, slow down or refuse it.

From PostgreSQL 17 on a superuser, or a role that was granted it, switches them off for its own session. They are never
disabled for others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Identifier

from replank.errors import NeedsOperator
from replank.values.table_spec import ColumnSpec, Relation, TableSpec
from sql.next_table.on_update_trigger import function_name
from sql.session.connection import Connection, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class EventTrigger:
    """One of this database. Without `tags` it is for every command; `fires` says whether for this session's."""

    name: str
    event: str
    tags: list[str]
    function: str
    owner: str
    state: str
    fires: bool

    @property
    def schema(self) -> str:
        """The function's, quoted where it has to be."""
        return self.function.removesuffix(self.called).removesuffix(".")

    @property
    def called(self) -> str:
        """The function's own name, quoted where it has to be."""
        return re.split(r'\.(?=(?:[^"]*"[^"]*")*[^"]*$)', self.function)[-1]

    def concerns(self, tag: str) -> bool:
        """Whether it fires for commands of this tag, e.g. `DROP TABLE`."""
        return self.fires and (not self.tags or tag in self.tags)


class Built(Protocol):
    """A table, or a cache, whose next relations are built."""

    @property
    def next_relations(self) -> tuple[Relation, ...]: ...

    @property
    def columns(self) -> tuple[ColumnSpec, ...]: ...


def read_event_triggers(connection: Connection) -> list[EventTrigger]:
    return [EventTrigger(**found) for found in rows(connection, query("event_triggers.read"))]


def let_fire(connection: Connection) -> None:
    """In a session that makes what is the application's from the beginning, such as a partition of a live table."""
    connection.execute(query("event_triggers.let_fire"))


def refuse_added_objects(connection: Connection, spec: Built, *, triggers: Sequence[str] = ()) -> None:
    """In the transaction that has made a next table: it has what we made, and nothing else; nor has the ledger.

    `triggers` are those that we made. Raises NeedsOperator with what another has added: it would act on every row that
    is filled in, or hide rows from us.
    """
    named = {
        "schemas": [relation.next_schema for relation in spec.next_relations],
        "names": [relation.name for relation in spec.next_relations],
        "columns": [column.name for column in spec.columns],
        "triggers": list(triggers),
    }
    found = rows(connection, query("event_triggers.added"), named)
    if not found:
        return
    raise _added_error(connection, found, "A table that Replank has just created has more than it was created with")


def refuse_added_by_cutover(connection: Connection, specs: Sequence[TableSpec]) -> None:
    """Under the lock, when the tables are swapped: none has more than the one it replaces, but for what the
    plan adds. Raises NeedsOperator. Partitions are checked where they are the same ones as before.
    """
    relations = [r for spec in specs for r in (spec.relations if spec.layout is None else (spec,))]
    _refuse_more(connection, [(r, r.past_schema) for r in relations], [function_name(spec) for spec in specs])


def refuse_added_by_rollback(connection: Connection, relations: Sequence[Relation]) -> None:
    """The same when the past tables are back in their places."""
    _refuse_more(connection, [(relation, relation.rolled_back_schema) for relation in relations], [])


def _refuse_more(connection: Connection, relations: Sequence[tuple[Relation, str]], ours: Sequence[str]) -> None:
    """Each relation with the schema of what it has replaced; `ours` are triggers of the plan."""
    named = {
        "schemas": [relation.schema for relation, _ in relations],
        "names": [relation.name for relation, _ in relations],
        "left_schemas": [left for _, left in relations],
        "triggers": list(ours),
    }
    found = rows(connection, query("event_triggers.added_by_swap"), named)
    if found:
        raise _added_error(connection, found, "Nothing was swapped, because a table would have more than before")


def _added_error(connection: Connection, found: Sequence[Mapping[str, Any]], problem: str) -> NeedsOperator:
    what = ", ".join(f"{each['what']} of {each['relation']}" for each in found[:5])
    who = [
        trigger.name
        for trigger in read_event_triggers(connection)
        if trigger.event == "ddl_command_end" and trigger.fires
    ]
    return NeedsOperator(
        f"{problem}: {what}. {_by(who)} adds it. {_disable(who)}, or let it skip what Replank creates. "
        "Then run the same command again (`replank retry` first if a run waits)."
    )


def _by(names: Sequence[str]) -> str:
    return f"Event trigger {' or '.join(names)}" if names else "Another session"


def _disable(names: Sequence[str]) -> str:
    statements = "; ".join(
        SQL("ALTER EVENT TRIGGER {} DISABLE").format(Identifier(name)).as_string(None) for name in names
    )
    return f"Disable it for the run (`{statements}`)" if statements else "Find it and end it"


def blamed(connection: Connection, error: psycopg.Error) -> list[EventTrigger]:
    """Event triggers whose function has raised an error, by the server's own account of where it was raised."""
    context = error.diag.context or ""
    if not context or connection.info.transaction_status is TransactionStatus.INERROR:
        return []

    def raised(trigger: EventTrigger) -> bool:
        # `PL/pgSQL function keeps() line 1 at RAISE`: with the schema where the search path does not lead to it
        named = rf"\bfunction ({re.escape(trigger.schema)}\.)?{re.escape(trigger.called)}\("
        return re.search(named, context) is not None

    return [trigger for trigger in read_event_triggers(connection) if trigger.fires and raised(trigger)]


def refused_by(connection: Connection, error: psycopg.Error) -> str:
    """A sentence that begins with a space and says which event trigger has refused a statement of ours; or nothing."""
    names = [trigger.name for trigger in blamed(connection, error)]
    if not names:
        return ""
    return (
        f" It was refused by event trigger {' and '.join(names)}, which fires for what Replank does. {_disable(names)}."
    )


def refusal(connection: Connection, error: psycopg.DatabaseError, *, command: str) -> NeedsOperator:
    """Words for DDL of ours that the server refused, with the event triggers that may have done so.

    `command` is what continues when the cause is gone.
    """
    said = (error.diag.message_primary or str(error)).rstrip(".")
    who = [trigger.name for trigger in blamed(connection, error)]
    who = who or [trigger.name for trigger in read_event_triggers(connection) if trigger.fires]
    cause = f" {_by(who)} fires for what Replank does here. {_disable(who)}." if who else " Correct that."
    return NeedsOperator(
        f"The server refused a statement: {said} ({error.sqlstate}).{cause} Then `{command}` continues."
    )
