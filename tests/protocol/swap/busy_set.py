"""Many joined tables, and writers whose transactions last: what a cutover of a wide set meets in the daytime."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Self

import psycopg
from psycopg.sql import SQL, Composable, Identifier
from support.runs.harness import Rebuild, Table, Url, table

from replank.values.states import RunState
from sql.ledger.runs import runs

ROWS = 40


def create(app: psycopg.Connection, number: int) -> list[Table]:
    """`number` tables t0 …, each but the first with a reference to an earlier one, so that all are one set."""
    for n in range(number):
        name = Identifier(f"t{n}")
        parent = Identifier(f"t{(n - 1) // 3}")
        up = SQL(", up text REFERENCES {}").format(parent) if n else SQL("")
        app.execute(SQL("CREATE TABLE {} (id text PRIMARY KEY, n int{})").format(name, up))
        row = SQL("INSERT INTO {} SELECT md5({}::text || g)::uuid::text, g{} FROM generate_series(1, {}) AS g")
        led = SQL(", md5({}::text || g)::uuid::text").format((n - 1) // 3) if n else SQL("")
        app.execute(row.format(name, n, led, ROWS))
    app.execute("ANALYZE")
    return [table(f"t{n}", *(("id", "up") if n else ("id",))) for n in range(number)]


@dataclass(kw_only=True)
class Writer:
    """One client: `statements` writes spread over a transaction of `lasts_s`, then a rest of up to `rest_s`."""

    url: Url
    tables: int
    seed: int
    statements: tuple[int, int]
    lasts_s: tuple[float, float]
    rest_s: float
    longest_s: float = 0.0
    acknowledged: list[tuple[int, str, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def work(self, stop: threading.Event) -> None:
        source = random.Random(self.seed)
        with psycopg.connect(self.url, application_name=f"writer {self.seed}") as connection:
            # A statement that was prepared with texts cannot be used for uuids.
            connection.prepare_threshold = None
            while not stop.is_set():
                self._transaction(connection, source, stop)
                stop.wait(source.uniform(0, self.rest_s))

    def _transaction(self, connection: psycopg.Connection, source: random.Random, stop: threading.Event) -> None:
        count = source.randint(*self.statements)
        lasts = source.uniform(*self.lasts_s)
        written: list[tuple[int, str, int]] = []
        try:
            for _ in range(count):
                row = (source.randrange(self.tables), str(uuid.UUID(int=source.getrandbits(128))), source.randrange(99))
                statement = SQL("INSERT INTO {} (id, n) VALUES (%s, %s)").format(Identifier(f"t{row[0]}"))
                self._timed(connection, statement, row[1:])
                written.append(row)
                stop.wait(lasts / count)
            self._timed(connection, SQL("COMMIT"), ())
        except psycopg.Error as error:
            self.errors.append(str(error))
            connection.rollback()
        else:
            self.acknowledged += written

    def _timed(self, connection: psycopg.Connection, statement: Composable, values: tuple[object, ...]) -> None:
        began = time.monotonic()
        try:
            connection.execute(statement, values)  # type: ignore[call-overload]  # composed, whichever kind
        finally:
            self.longest_s = max(self.longest_s, time.monotonic() - began)


class Writers:
    """Several of them, in threads, from entering to leaving."""

    def __init__(
        self,
        url: Url,
        tables: int,
        *,
        count: int = 4,
        statements: tuple[int, int] = (1, 4),
        lasts_s: tuple[float, float] = (0.5, 2.0),
        rest_s: float = 1.0,
    ) -> None:
        self.writers = [
            Writer(url=url, tables=tables, seed=n, statements=statements, lasts_s=lasts_s, rest_s=rest_s)
            for n in range(count)
        ]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=writer.work, args=[self._stop]) for writer in self.writers]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def longest_s(self) -> float:
        """The longest that a statement took."""
        return max(writer.longest_s for writer in self.writers)

    @property
    def errors(self) -> list[str]:
        return [error for writer in self.writers for error in writer.errors]

    @property
    def acknowledged(self) -> list[tuple[int, str, int]]:
        """Table, id and number of every row whose commit returned."""
        return [row for writer in self.writers for row in writer.acknowledged]

    def lost(self, app: psycopg.Connection) -> list[tuple[int, str, int]]:
        """Acknowledged rows that are not in the live tables."""
        gone = []
        for number, id_, n in self.acknowledged:
            asked = SQL("SELECT FROM {} WHERE id::text = %s AND n = %s").format(Identifier(f"t{number}"))
            if app.execute(asked, [id_, n]).fetchone() is None:
                gone.append((number, id_, n))
        return gone


def swap_in_real_time(rebuild: Rebuild, *, within_s: float) -> float:
    """Turn as a coordinator does, with its own pauses, until every set is swapped. Returns the seconds."""
    runs.set_hold(rebuild.connection, rebuild.run_id, hold_cutover=False)
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        rebuild.refuse_stuck()
        moved = rebuild.turn()
        if all(one.swapped_at is not None for one in rebuild.sets):
            return time.monotonic() - began
        assert rebuild.run.state is RunState.RUNNING, rebuild.why()
        if not rebuild.work() and not moved:
            time.sleep(0.05)
    raise AssertionError(f"not swapped within {within_s} s: {[(s.attempts, s.problem) for s in rebuild.sets]}")
