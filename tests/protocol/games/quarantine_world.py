"""The small world with rows that go into quarantine and come back: tables that refer to themselves and in a ring."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors
from support.oracles.quarantine_oracle import Kind, Kinds, check
from support.runs.harness import Rebuild, Url, add_drain

from protocol.games.world import DRAINED, PADDING, Action, World, Wrong

GOOD = [f"0fd00f6b-0000-4000-8000-{n:012}" for n in range(8)]
NAMES = [*GOOD, "bad 1", "bad 2", "bad 3", ""]

SCHEMA = """
CREATE TABLE p (id text PRIMARY KEY, up text, ring int, note text) WITH (fillfactor = 10);
CREATE TABLE c (id text PRIMARY KEY, p_id text REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, n int UNIQUE,
  note text) WITH (fillfactor = 10);
CREATE TABLE d (id int PRIMARY KEY, c_n int REFERENCES c (n) ON DELETE CASCADE ON UPDATE CASCADE,
  p_id text REFERENCES p ON DELETE SET NULL ON UPDATE CASCADE, note text, filled text);
ALTER TABLE p ADD FOREIGN KEY (up) REFERENCES p ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE p ADD FOREIGN KEY (ring) REFERENCES c (n) ON DELETE SET NULL ON UPDATE CASCADE;
CREATE INDEX ON c (p_id);
"""
KINDS: Kinds = {
    "p": Kind(key=["id"], texts=["id", "up"], leads=[(["up"], "p", ["id"]), (["ring"], "c", ["n"])]),
    "c": Kind(key=["id"], texts=["id", "p_id"], leads=[(["p_id"], "p", ["id"])]),
    "d": Kind(key=["id"], nulls=["p_id"], leads=[(["c_n"], "c", ["n"]), (["p_id"], "p", ["id"])]),
}

# Every statement takes two names and two numbers.
STATEMENTS: dict[str, tuple[str, ...]] = {
    "insert": ("INSERT INTO p VALUES (%(x)s, NULL, NULL, 'new')",),
    "insert below": ("INSERT INTO p VALUES (%(x)s, %(y)s, NULL, 'below')",),
    "move": ("UPDATE p SET up = %(y)s WHERE id = %(x)s",),
    "set free": ("UPDATE p SET up = NULL, ring = NULL WHERE id = %(x)s",),
    "close ring": ("UPDATE p SET ring = %(n)s WHERE id = %(x)s",),
    "rename": ("UPDATE p SET id = %(y)s WHERE id = %(x)s",),
    "delete": ("DELETE FROM p WHERE id = %(x)s",),
    "delete and insert": ("DELETE FROM p WHERE id = %(x)s", "INSERT INTO p VALUES (%(x)s, %(y)s, NULL, 'again')"),
    "swap names": (
        "UPDATE p SET id = '0fd00f6b-0000-4000-8000-ffffffffffff' WHERE id = %(x)s",
        "UPDATE p SET id = %(x)s WHERE id = %(y)s",
        "UPDATE p SET id = %(y)s WHERE id = '0fd00f6b-0000-4000-8000-ffffffffffff'",
    ),
    "insert child": ("INSERT INTO c VALUES (%(x)s, %(y)s, %(n)s, 'new')",),
    "move child": ("UPDATE c SET p_id = %(y)s WHERE id = %(x)s",),
    "rename child": ("UPDATE c SET id = %(y)s WHERE id = %(x)s",),
    "renumber child": ("UPDATE c SET n = %(m)s WHERE n = %(n)s",),
    "delete child": ("DELETE FROM c WHERE id = %(x)s",),
    "insert grandchild": ("INSERT INTO d VALUES (%(m)s, %(n)s, %(x)s, 'new')",),
    "move grandchild": ("UPDATE d SET c_n = %(n)s WHERE id = %(m)s",),
    "lead elsewhere": ("UPDATE d SET p_id = %(x)s WHERE id = %(m)s",),
    "update all": ("UPDATE p SET note = note || '!'", "UPDATE d SET note = note || '!'"),
    "truncate": ("TRUNCATE d",),
    "truncate all": ("TRUNCATE p, c, d",),
}


def begin(url: Url) -> Rebuild:
    """Fill a database and begin a run in it: worlds are copies of what it comes to."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
        for n, name in enumerate(NAMES):
            connection.execute(
                "INSERT INTO p VALUES (%s, %s, NULL, %s)", [name, NAMES[n - 4] if n % 4 and n > 4 else None, PADDING]
            )
            connection.execute("INSERT INTO c VALUES (%s, %s, %s, %s)", [NAMES[-1 - n], name, n, PADDING])
            connection.execute("INSERT INTO d VALUES (%s, %s, %s, %s)", [n, n, NAMES[n - 1] if n else None, PADDING])
        connection.execute("UPDATE p SET ring = 5 WHERE id = %s", [GOOD[6]])
    options = {"lock_timeout_ms": 20, "cutover_wait_ms": 60}
    options |= {"cutover_attempts": 10_000, "capture_attempts": 10_000}
    axes = {"p": "heap", "c": "heap", "d": "primary_key"}
    planned = [Kind(**{**vars(kind), "more": {"axis": axes[name]}}).planned(name) for name, kind in KINDS.items()]
    return Rebuild.begin(url, planned, options)


class QuarantineWorld(World):
    """One database and all who work in it. `close` it."""

    def do(self, action: Action) -> None:
        if action.what in STATEMENTS:
            self._write(action)
        else:
            getattr(self, f"_{action.what}")(action)

    def _write(self, action: Action) -> None:
        session = self.sessions[action.who % len(self.sessions)]
        values = {"x": NAMES[action.x], "y": NAMES[action.y], "n": action.n, "m": action.m}
        try:
            for statement in STATEMENTS[action.what]:
                session.execute(statement.encode(), values)
        except (errors.IntegrityError, errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled):
            session.rollback()
        except errors.DataError:
            # After the swap the column is a uuid.
            session.rollback()
            assert self.swapped
        else:
            self.truncated = self.truncated or "truncate" in action.what

    def _drain(self, action: Action) -> None:
        """A drain that nobody needs, once its table has joined."""
        name = list(KINDS)[action.x % len(KINDS)]
        if self.rebuild.table(name).state in DRAINED[2:]:
            add_drain(self.rebuild, name)

    def _cut_composite(self) -> None:
        """No table here has a composite key."""

    def _finish(self, action: Action) -> None:
        self._work(Action(what="work", who=action.who, x=action.x, n=60))

    def settle(self, commit: Sequence[bool]) -> None:
        """Workers first: one may wait for what another holds."""
        for session, commits in zip(self.sessions, commit, strict=True):
            (session.commit if commits else session.rollback)()
        for _ in range(1_000):
            if not any(worker.busy for worker in self.workers):
                break
            for worker in self.workers:
                worker.step(5)
        super().settle(commit)

    def check(self, names: Sequence[str]) -> None:
        """The tables have just changed places and nobody has written since."""
        assert set(names) == set(KINDS)
        with psycopg.connect(self.rebuild.settings.database(), autocommit=True) as judge:
            try:
                check(judge, self.rebuild, KINDS)
            except AssertionError as error:
                raise Wrong(str(error)) from error
            repairs = judge.execute("SELECT count(*) FROM replank.job WHERE kind = 'repair'").fetchone()
        if repairs != (0,) and not self.truncated:
            raise Wrong("the protocol was wrong, and verification had to repair it")
