"""A small world: an application with three sessions, two workers, a coordinator; a run through it all.

Every action is one thing that one of them does. Whatever their order: when the tables change places,
the new ones hold what the old ones held, and no verification before had anything to repair, unless the
application has passed capture by.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Identifier
from support.oracles.oracle import differences, live, past
from support.runs.harness import Rebuild, Url, add_drain, table

from protocol.games.old_session import OldSession, Unseen
from protocol.games.stepped import SteppedWorker
from protocol.sessions.between import before_each
from replank.values.chunk import Axis
from replank.values.states import JobKind, RunState, TableState
from sql.ledger.jobs import job_queue
from sql.ledger.runs import runs
from sql.ledger.tables import tables
from sql.rows.copy import chunks_between, next_bounds

TABLES = {"p": {"id"}, "c": {"id", "p_id"}, "k": {"a"}, "f": {"ref"}}
SESSIONS, WORKERS = 3, 2
OLD_TURNS = 3
"""So many turns a snapshot outlives everybody else: each of them would be a swap, if it were not in the way."""

# Few keys, so that they meet; each has one spelling only, and some an odd one.
KEYS = [f"0fd00f6b-0000-4000-8000-{n:012}" for n in range(12)]
SPELLED = [*KEYS[:6], *(key.upper() for key in KEYS[6:8]), *("{" + key + "}" for key in KEYS[8:10]), *KEYS[10:]]

SCHEMA = """
CREATE TABLE p (id text PRIMARY KEY, u int UNIQUE, note text) WITH (fillfactor = 10);
CREATE TABLE c (id text PRIMARY KEY, p_id text REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, note text)
  WITH (fillfactor = 10);
CREATE TABLE k (a text, b int, n int, note text, PRIMARY KEY (a, b));
CREATE INDEX ON c (p_id);
CREATE EXTENSION citext;
CREATE TABLE f (k citext PRIMARY KEY, ref text DEFAULT gen_random_uuid()::text, note text);
CREATE TABLE apart ();
"""
PADDING = "x" * 900
"""Nearly a block for each row, so that a small table has several chunks."""

# Every statement takes two keys and two numbers.
STATEMENTS: dict[str, tuple[str, ...]] = {
    "insert": ("INSERT INTO p VALUES (%(x)s, %(n)s, 'new')",),
    "update": ("UPDATE p SET note = note || '.' WHERE id = %(x)s",),
    "delete": ("DELETE FROM p WHERE id = %(x)s",),
    "change key": ("UPDATE p SET id = %(y)s WHERE id = %(x)s",),
    "upsert": ("INSERT INTO p VALUES (%(x)s, %(n)s, 'up') ON CONFLICT (id) DO UPDATE SET note = p.note || 'up'",),
    "swap unique": (
        "UPDATE p SET u = -1 WHERE u = %(n)s",
        "UPDATE p SET u = %(n)s WHERE u = %(m)s",
        "UPDATE p SET u = %(m)s WHERE u = -1",
    ),
    "swap keys": (
        "UPDATE p SET id = '0fd00f6b-0000-4000-8000-ffffffffffff' WHERE id = %(x)s",
        "UPDATE p SET id = %(x)s WHERE id = %(y)s",
        "UPDATE p SET id = %(y)s WHERE id = '0fd00f6b-0000-4000-8000-ffffffffffff'",
    ),
    "delete and insert": ("DELETE FROM p WHERE id = %(x)s", "INSERT INTO p VALUES (%(x)s, %(n)s, 'again')"),
    "move unique": ("DELETE FROM p WHERE u = %(n)s", "INSERT INTO p VALUES (%(y)s, %(n)s, 'took it')"),
    "insert child": ("INSERT INTO c VALUES (%(x)s, %(y)s, 'new')",),
    "move child": ("UPDATE c SET p_id = %(y)s WHERE id = %(x)s",),
    "orphan child": ("UPDATE c SET p_id = NULL, note = 'alone' WHERE id = %(x)s",),
    "delete child": ("DELETE FROM c WHERE id = %(x)s",),
    "insert composite": ("INSERT INTO k VALUES (%(x)s, %(n)s, %(m)s, 'new')",),
    "change composite": ("UPDATE k SET b = %(m)s, n = n + 1 WHERE a = %(x)s AND b = %(n)s",),
    "move composite": ("UPDATE k SET a = %(y)s WHERE a = %(x)s",),
    "delete composite": ("DELETE FROM k WHERE b = %(n)s",),
    # A citext: 'KEY 1' is 'key 1', in another case.
    "insert folded": (
        "INSERT INTO f (k, note) VALUES ((ARRAY['Key ', 'KEY ', 'key '])[1 + %(m)s %% 3] || %(n)s, 'new')",
    ),
    "respell": (
        "UPDATE f SET k = (ARRAY['Key ', 'KEY ', 'key '])[1 + %(m)s %% 3] || %(n)s WHERE k = ('key ' || %(n)s)::citext",
    ),
    "delete folded": ("DELETE FROM f WHERE k = ('key ' || %(n)s)::citext",),
    "update all": ("UPDATE p SET note = note || '!'", "UPDATE k SET n = n + 1"),
    "truncate": ("TRUNCATE c",),
}


GAPS: tuple[tuple[str, ...], ...] = (
    ("ALTER TABLE {t} DISABLE TRIGGER USER", "{write}", "ALTER TABLE {t} ENABLE TRIGGER USER"),
    ("ALTER TABLE {t} DISABLE TRIGGER USER", "{write}"),
    (
        "ALTER TABLE {t} ENABLE TRIGGER USER",
        "SET LOCAL session_replication_role = replica",
        "{write}",
    ),
    ("DROP TRIGGER IF EXISTS replank_capture_update ON {t}", "{write}"),
    ("ALTER TABLE {t} ALTER COLUMN note TYPE text USING upper(note)",),
)
"""How the application passes capture by, each in one transaction; `{write}` is one of these:"""
MISSED = {
    "p": ("UPDATE p SET note = note || '?'", "UPDATE p SET u = NULL WHERE u = %(n)s"),
    "c": ("UPDATE c SET note = note || '?'", "DELETE FROM c WHERE id = %(x)s"),
    "k": ("UPDATE k SET n = n + 100", "DELETE FROM k WHERE b = %(n)s"),
}


@dataclass(frozen=True, kw_only=True)
class Action:
    """`what` names a statement, or one of: commit, rollback, work, finish, die, turn, interrupt, drain, rewrite,
    retype, restart, snapshot, look, gap.

    `who` is a session or a worker; `x`, `y` are keys, `n`, `m` numbers, and pick among what there is.
    """

    what: str
    who: int = 0
    x: int = 0
    y: int = 0
    n: int = 0
    m: int = 0


Wrong = Unseen
"""The new tables are not what the old ones were, or were not before verification looked."""


Sabotage = Literal[
    "",
    "drain beside copy",
    "no capture",
    "inherited isolation",
    "blind to rewrites",
    "texts' equality",
    "old snapshots ignored",
    "gaps unseen",
]

Level = Literal["read committed", "repeatable read", "serializable"]
"""What the database says of transactions that do not say it themselves. The application's do."""


STARTS = (
    TableState.PLANNED,
    TableState.CAPTURED,
    TableState.COPYING,
    TableState.FIRST_DRAIN,
    TableState.CATCHING_UP,
    TableState.READY,
)
"""Where games begin. From the very start, few of them would come far."""


def begin(url: Url) -> Rebuild:
    """Fill a database and begin a run in it: worlds are copies of what it comes to."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
        for n, key in enumerate(SPELLED[:8]):
            connection.execute("INSERT INTO p VALUES (%s, %s, %s)", [key, n, PADDING])
            connection.execute("INSERT INTO c VALUES (%s, %s, %s)", [SPELLED[-1 - n], key, PADDING])
            connection.execute("INSERT INTO k VALUES (%s, %s, 0, ''), (%s, %s, 0, '')", [key, n % 3, key, n % 3 + 3])
            connection.execute("INSERT INTO f (k, note) VALUES (%s, '')", [f"Key {n}"])
    planned = [
        table("p", "id", axis="heap"),
        table("c", "id", "p_id", axis="heap"),
        table("k", "a", axis="primary_key"),
        table("f", "ref", axis="primary_key"),
    ]
    options = {"lock_timeout_ms": 20, "cutover_wait_ms": 60}
    options |= {"cutover_attempts": 10_000, "capture_attempts": 10_000}
    return Rebuild.begin(url, planned, options)


class World:
    """One database and all who work in it. `close` it."""

    def __init__(self, url: Url, sabotage: Sabotage = "", level: Level = "read committed") -> None:
        self.sabotage = sabotage
        _set_level(url, level)
        self._interruption: Action | None = None
        self.truncated = False
        self.retyped: set[str] = set()
        self.missed = False
        self.seen: set[int] = set()
        self.rebuild = Rebuild.attach(url)
        self._impatient()
        runs.set_hold(self.rebuild.connection, self.rebuild.run_id, hold_cutover=False)
        said = "-c lock_timeout=20ms -c statement_timeout=2s -c default_transaction_isolation=read\\ committed"
        self.sessions = [psycopg.connect(url, options=said) for _ in range(SESSIONS)]
        self.old = OldSession(url)
        settings, run_id = self.rebuild.settings, self.rebuild.run_id
        self.workers = [SteppedWorker(settings, run_id, f"replank worker {n}") for n in range(WORKERS)]

    def _impatient(self) -> None:
        """The coordinator works in the test's own thread: it may not wait for somebody who waits for us."""
        self.rebuild.connection.execute("SET lock_timeout = '200ms'")
        before_each(self.rebuild.connection, self._before_statement)

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        for session in self.sessions:
            session.close()
        self.old.close()
        self.rebuild.close()

    def do(self, action: Action) -> None:
        if action.what in STATEMENTS:
            self._write(action)
        else:
            getattr(self, f"_{action.what}")(action)

    def _write(self, action: Action) -> None:
        """Statements of an open transaction. An error ends it, as it ends most applications' ones."""
        session = self.sessions[action.who % SESSIONS]
        values = {"x": SPELLED[action.x], "y": SPELLED[action.y], "n": action.n, "m": action.m}
        try:
            for statement in STATEMENTS[action.what]:
                session.execute(statement.encode(), values)
        except (errors.IntegrityError, errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled):
            session.rollback()
        else:
            self.truncated = self.truncated or action.what == "truncate"

    def _commit(self, action: Action) -> None:
        self.sessions[action.who % SESSIONS].commit()

    def _rollback(self, action: Action) -> None:
        self.sessions[action.who % SESSIONS].rollback()

    def _work(self, action: Action) -> None:
        """A worker takes a job if it has none, and goes some statements on."""
        worker = self.workers[action.who % WORKERS]
        waiting = [] if worker.busy else self.rebuild.jobs()
        if waiting:
            worker.start(waiting[action.x % len(waiting)])
        worker.step(action.n + 1)

    def _finish(self, action: Action) -> None:
        self._work(Action(what="work", who=action.who, x=action.x, n=40))

    def _die(self, action: Action) -> None:
        self.workers[action.who % WORKERS].die()

    def _turn(self, _: Action) -> None:
        """The coordinator's turn; if it swapped, everybody sees at once whether all is there."""
        if self.sabotage == "no capture":
            self._disable_capture()
        self.rebuild.pass_time()
        self.rebuild.turn()
        self._cut_composite()
        for one in self.rebuild.sets:
            if one.swapped_at is not None and one.set_no not in self.seen:
                self.seen.add(one.set_no)
                self._look(Action(what="look"))
                self.check([each.spec.name for each in self.rebuild.tables if each.set_no == one.set_no])

    @property
    def swapped(self) -> bool:
        return len(self.seen) == len(self.rebuild.sets)

    def _interrupt(self, action: Action) -> None:
        """A turn in whose middle somebody writes and commits, and perhaps has all tables rewritten."""
        self._interruption = action
        self._turn(action)
        self._interruption = None

    def _before_statement(self, statement: str) -> None:
        """Before the lock that keeps writers out, or a drain's first look at a table: there it is most easily hurt."""
        action = self._interruption
        if action is None or ("SHARE ROW EXCLUSIVE", "enable_seqscan")[action.m % 2] not in statement:
            return
        self._interruption = None
        self._write(replace(action, what="upsert"))
        self._commit(action)
        if action.n % 2:
            for session in self.sessions:
                session.commit()
            for place in range(len(TABLES)):
                self._retype(replace(action, x=place))

    def _drain(self, action: Action) -> None:
        """A drain that nobody needs, at any time after capture."""
        name = list(TABLES)[action.x % len(TABLES)]
        if self.rebuild.table(name).state in DRAINED:
            add_drain(self.rebuild, name)

    def _rewrite(self, action: Action) -> None:
        """VACUUM FULL by the application."""
        self._change_file(action, SQL("VACUUM FULL {}"))

    def _retype(self, action: Action) -> None:
        """A new file of which snapshots from before see nothing."""
        self._change_file(action, SQL("ALTER TABLE {} ALTER COLUMN note TYPE text USING note || ''"))
        self.retyped.add(list(TABLES)[action.x % len(TABLES)])

    def _change_file(self, action: Action, statement: SQL) -> None:
        """It gives up where it would have to wait."""
        session = self.sessions[0]
        session.rollback()
        session.autocommit = True
        with contextlib.suppress(errors.LockNotAvailable):
            session.execute(statement.format(Identifier(list(TABLES)[action.x % len(TABLES)])))
        session.autocommit = False

    def _snapshot(self, _: Action) -> None:
        self.old.begin()

    def _look(self, _: Action) -> None:
        """TRUNCATE and a rewrite by the application itself hide rows from every snapshot of before."""
        self.old.look(without=self.retyped | ({"c"} if self.truncated else set()))

    def _gap(self, action: Action) -> None:
        """What is written here is in no log. Before a table is verified for the first time, that is nobody's loss."""
        session, name = self.sessions[0], list(MISSED)[action.x % len(MISSED)]
        if self.rebuild.table(name).state is not TableState.READY:
            return
        session.rollback()
        write = MISSED[name][action.m % 2]
        try:
            for statement in GAPS[action.n % len(GAPS)]:
                session.execute(statement.format(t=name, write=write).encode(), {"x": SPELLED[action.y], "n": action.m})
            session.commit()
        except (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled):
            session.rollback()
        else:
            self.missed = True
            self.retyped.add(name)

    def _restart(self, _: Action) -> None:
        self.rebuild.restart_coordinator()
        self._impatient()

    def _cut_composite(self) -> None:
        """Its one key range becomes several, before anybody has taken it."""
        present, connection = self.rebuild.table("k"), self.rebuild.connection
        if present.state is not TableState.COPYING or present.cutting_finished:
            return
        bounds = next_bounds(connection, present.spec, after=None, rows_per_chunk=6, count=50)
        with connection.transaction():
            job_queue.add_jobs(
                connection,
                present.spec,
                JobKind.COPY,
                step="08-migrate-uuid-types",
                generation=present.generation,
                chunks=chunks_between(Axis.PRIMARY_KEY, None, bounds, last=True),
            )
            tables.set_cut(connection, present.spec, cut_to=bounds[-1] if bounds else None, finished=True)

    def _disable_capture(self) -> None:
        """The sabotage: changes are not logged."""
        with contextlib.suppress(errors.LockNotAvailable), self.rebuild.connection.transaction():
            for (name,) in self.rebuild.connection.execute(
                "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'replank_capture_insert'"
                " AND tgenabled <> 'D' AND tgrelid = ANY (ARRAY['public.p', 'public.c', 'public.k']::regclass[])"
            ).fetchall():
                for event in ("insert", "update", "delete", "truncate"):
                    self.rebuild.connection.execute(
                        f"ALTER TABLE {name} DISABLE TRIGGER replank_capture_{event}".encode()
                    )

    def settle(self, commit: Sequence[bool]) -> None:
        """Everybody comes to an end, and the run to its cutover."""
        for session, commits in zip(self.sessions, commit, strict=True):
            (session.commit if commits else session.rollback)()
        for worker in self.workers:
            worker.finish()
        for turn in range(200):
            if self.swapped:
                break
            if turn == OLD_TURNS:
                self._look(Action(what="look"))
            if self.rebuild.run.state is not RunState.RUNNING:
                raise Wrong(self.rebuild.why())
            self._turn(Action(what="turn"))
            if not self.swapped:
                self.rebuild.pass_time()
                self.rebuild.work()
        assert self.swapped, [(one.spec.name, one.state, one.problem) for one in self.rebuild.tables]
        if self.sabotage != "no capture":
            self.rebuild.finish()

    def check(self, names: Sequence[str]) -> None:
        """These tables have just changed places and nobody has written since: past and live are the same."""
        with psycopg.connect(self.rebuild.settings.database(), autocommit=True) as judge:
            for name in names:
                _refuse(differences(judge, past(name), live(name), TABLES[name]), name)
                for query in VIOLATIONS[name]:
                    _refuse(judge.execute(query.encode()).fetchall(), query)
            repairs = judge.execute("SELECT count(*) FROM replank.job WHERE kind = 'repair'").fetchone()
        # TRUNCATE is the one statement that an older snapshot sees: a verification beside it compares anew.
        if repairs != (0,) and not self.truncated and not self.missed:
            raise Wrong("the protocol was wrong, and verification had to repair it")


def _set_level(url: Url, level: Level) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(
            SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(
                Identifier(session.info.dbname), level
            )
        )


def _refuse(found: Sequence[object], where: str) -> None:
    if found:
        raise Wrong(f"{where}: {found}")


VIOLATIONS = {
    "p": (
        "SELECT id FROM p GROUP BY id HAVING count(*) > 1",
        "SELECT u FROM p WHERE u IS NOT NULL GROUP BY u HAVING count(*) > 1",
    ),
    "c": ("SELECT id FROM c WHERE p_id IS NOT NULL AND NOT EXISTS (SELECT FROM p WHERE p.id = c.p_id)",),
    "k": ("SELECT a, b FROM k GROUP BY a, b HAVING count(*) > 1",),
    "f": ("SELECT lower(k::text) FROM f GROUP BY 1 HAVING count(*) > 1",),
}
DRAINED = (
    TableState.COPYING,
    TableState.FIRST_DRAIN,
    TableState.INDEXING,
    TableState.CATCHING_UP,
    TableState.VERIFYING,
    TableState.READY,
)
