"""Looking at a run from outside, by plain SQL: what state, which leases, whose sessions."""

from dataclasses import dataclass

import psycopg

from support.runs.waiting import wait_for

_EXPLANATION = (
    "SELECT state, reason, paused, hold_cutover FROM replank.run_in_force",
    "SELECT table_name, state, blocked, problem, not_before - now() FROM replank.run_table",
    "SELECT set_no, attempts, problem, blocked, swapped_at, not_before - now() FROM replank.conversion_set",
    "SELECT job_id, kind, state, attempt, now() - sent_at, not_before - now(), worker, backend_pid, message"
    " FROM replank.job WHERE state NOT IN ('done', 'cancelled')",
    "SELECT pid, application_name, state, wait_event, now() - xact_start, left(query, 100) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A job in somebody's hands. `process` is the worker child's process id, `backend` its session's."""

    job_id: int
    kind: str
    attempt: int
    process: int
    backend: int


@dataclass(frozen=True, kw_only=True)
class LedgerView:
    """The ledger of one database. Every look is a connection of its own: servers go down meanwhile."""

    url: str

    def rows(self, statement: str, *params: object) -> list[tuple[object, ...]]:
        """The rows of one query; none while there is no ledger or no server."""
        try:
            with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
                return connection.execute(statement.encode(), list(params) or None).fetchall()
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return []

    def number(self, statement: str, *params: object) -> int:
        found = self.rows(statement, *params)
        return int(str(found[0][0])) if found else 0

    def table_states(self) -> set[str]:
        return {str(state) for (state,) in self.rows("SELECT DISTINCT state FROM replank.run_table")}

    def run_state(self) -> str:
        found = self.rows("SELECT state FROM replank.run ORDER BY run_id DESC LIMIT 1")
        return str(found[0][0]) if found else ""

    def jobs(self, state: str, kind: str = "%") -> int:
        return self.number("SELECT count(*) FROM replank.job WHERE state = %s AND kind LIKE %s", state, kind)

    def unfinished_jobs(self) -> int:
        return self.number("SELECT count(*) FROM replank.job WHERE state NOT IN ('done', 'cancelled', 'split')")

    def interrupted_jobs(self) -> int:
        """Jobs that needed more than one attempt."""
        return self.number("SELECT count(*) FROM replank.job WHERE attempt > 1")

    def leases(self) -> list[Lease]:
        found = self.rows(
            "SELECT job_id, kind, attempt, split_part(worker, ':', 2)::int, backend_pid FROM replank.job"
            " WHERE state = 'leased' ORDER BY job_id"
        )
        return [
            Lease(job_id=int(str(a)), kind=str(b), attempt=int(str(c)), process=int(str(d)), backend=int(str(e)))
            for a, b, c, d, e in found
        ]

    def wait_for_states(self, states: set[str], *, deadline_s: float = 60.0) -> None:
        """Until every table is in one of `states`."""

        def look() -> bool:
            present = self.table_states()
            return bool(present) and present <= states

        wait_for(f"all tables in {sorted(states)}", look, deadline_s=deadline_s, explain=self.explain)

    def terminate(self, application: str) -> int:
        """End the sessions whose application_name is like `application`. Returns how many there were."""
        return self.number(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE %s",
            application,
        )

    def explain(self) -> str:
        """What a person would look at when a run does not end."""
        return "\n".join(
            line for statement in _EXPLANATION for line in (f"-- {statement}", *map(str, self.rows(statement)))
        )
