"""One client: a connection that writes, one transaction after the other, and knows what its rows must be."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Placeholder

from support.writers.journal import WriteError
from support.writers.pool import OwnRow, Pool, RowId, State
from support.writers.session import connect
from support.writers.targets import Target, Values, make_value, where_key

# Lock timeout, deadlock, serialization failure: an application tries again.
_CONFLICTS = frozenset({"55P03", "40P01", "40001"})


class Client(threading.Thread):
    """One connection that writes, one transaction after the other, and knows what its rows must be."""

    def __init__(
        self,
        *,
        url: str,
        targets: Sequence[Target],
        rate: float,
        seed: int,
        stop: threading.Event,
        start_s: float,
    ) -> None:
        super().__init__(name=f"client-{seed}", daemon=True)
        self._url, self._targets, self._rate, self._stop_event = url, targets, rate, stop
        self._chance = random.Random(seed)
        # Values are new even when the same seed wrote to this database before.
        self._fresh = random.Random()
        self._start_s = start_s
        self._connection = connect(url)
        self._pools = [Pool() for _ in targets]
        self._graves: list[list[tuple[str, ...]]] = [[] for _ in targets]
        self._pending: dict[RowId, State] = {}
        self._kind, self._table = "connect", ""
        self.rows: dict[RowId, list[State]] = {}
        self.acknowledged = self.unknown = self.rolled_back = self.reconnects = 0
        self.kinds: Counter[str] = Counter()
        self.conflicts: Counter[str] = Counter()
        self.errors: list[WriteError] = []
        self.connection_losses: list[str] = []
        self.latencies_ms: list[float] = []

    def run(self) -> None:
        due = time.monotonic()
        while not self._stop_event.wait(max(0.0, due - time.monotonic())):
            writes = self._transaction()
            # After a stall the clients go on at their rate and do not catch up in one burst.
            due = max(due + writes / self._rate, time.monotonic() - 0.2)
        self._connection.close()

    def _transaction(self) -> int:
        """One transaction of 1 to 4 statements; returns how many were tried."""
        count = 1 if self._chance.random() < 0.8 else self._chance.randint(2, 4)
        self._pending = {}
        kinds: list[str] = []
        committing = False
        try:
            for _ in range(count):
                kinds.append(self._statement())
            if count > 1 and self._chance.random() < 0.1:
                # Held open as an application does that thinks between two statements.
                self._stop_event.wait(self._chance.random() * 0.2)
            if count > 1 and self._chance.random() < 0.25:
                self._connection.rollback()
                self.rolled_back += count
                return count
            committing = True
            with self._timed():
                self._connection.commit()
        except psycopg.Error as error:
            self._failed(error, count, committing=committing)
            return count
        self._settle()
        self.acknowledged += count
        self.kinds.update(kinds)
        return count

    @contextmanager
    def _timed(self) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            self.latencies_ms.append((time.monotonic() - begin) * 1000)

    def _failed(self, error: psycopg.Error, count: int, *, committing: bool) -> None:
        if not self._rolled_back():
            self.connection_losses.append(f"{self._kind} {self._table}: {error}".strip())
            if committing:
                self.unknown += count
                self._doubt()
            self._reconnect()
            return
        state = error.sqlstate or ""
        if state in _CONFLICTS:
            self.conflicts[state] += 1
        else:
            self._complain(state, str(error), "commit" if committing else self._kind)

    def _rolled_back(self) -> bool:
        """Whether the connection survived the error, and with it the knowledge that nothing was written."""
        if not self._connection.closed:
            try:
                self._connection.rollback()
            except psycopg.OperationalError:
                self._connection.close()
        return not self._connection.closed

    def _complain(self, sqlstate: str | None, message: str, kind: str) -> None:
        at_s = round(time.monotonic() - self._start_s, 3)
        self.errors.append(
            WriteError(sqlstate=sqlstate, message=message.strip(), kind=kind, table=self._table, at_s=at_s)
        )

    def _reconnect(self) -> None:
        while not self._stop_event.wait(0.05 + self._chance.random() * 0.2):
            try:
                self._connection = connect(self._url)
            except psycopg.OperationalError:
                continue  # the server is not back yet; the loss itself is already on record
            self.reconnects += 1
            return

    def _settle(self) -> None:
        """The commit was acknowledged: what was pending is now what must be there."""
        for (number, key), state in self._pending.items():
            self.rows[number, key] = [state]
            if state is None:
                self._pools[number].discard(key)
                self._graves[number].append(key)
            else:
                self._pools[number].add(key)

    def _doubt(self) -> None:
        """The commit's reply was lost: either state is right, and the row is never touched again."""
        for (number, key), state in self._pending.items():
            self.rows[number, key] = [*self.rows.get((number, key), [None]), state]
            self._pools[number].discard(key)

    def _statement(self) -> str:
        draw = self._chance.random()
        inhabited = [number for number, pool in enumerate(self._pools) if len(pool)]
        number = self._chance.choice(inhabited if inhabited and draw >= 0.4 else range(len(self._targets)))
        target = self._targets[number]
        self._table = f"{target.schema}.{target.name}"
        many = self._chance.randint(2, 5) if self._chance.random() < 0.2 else 1
        picked = self._living(number, many)
        if draw < 0.4 or not picked:
            return self._insert(number, target, many)
        if draw < 0.8:
            return self._update(number, target, picked)
        if draw < 0.93 or not target.may_change_key:
            return self._delete(number, target, picked)
        return self._change_key(number, target, picked[0])

    def _living(self, number: int, count: int) -> list[OwnRow]:
        """Some of this client's rows as this transaction sees them, with their present state."""
        found = []
        for key in self._pools[number].pick(self._chance, count):
            state = self._pending.get((number, key), self.rows[number, key][0])
            if state is not None:
                found.append((key, state))
        return found

    def _execute(self, kind: str, query: Composed, values: Sequence[str | None], expected: int) -> list[Any]:
        self._kind = kind
        with self._timed():
            cursor = self._connection.execute(query, values)
        if cursor.rowcount != expected:
            self._complain(None, f"met {cursor.rowcount} of {expected} rows that this client owns", kind)
        return cursor.fetchall() if cursor.description else []

    def _insert(self, number: int, target: Target, many: int) -> str:
        rows: list[tuple[int, Values]] = []
        for _ in range(many):
            changes = {name: make_value(maker, self._fresh) for name, maker in target.fresh.items()}
            changes |= {name: make_value(maker, self._fresh) for name, maker in self._some_stamp(target)}
            rows.append((self._chance.randrange(len(target.templates)), changes))
        reborn = many == 1 and self._graves[number] and not set(target.key) & set(target.automatic)
        if reborn and self._chance.random() < 0.3:
            key = self._chance.choice(self._graves[number])
            # Another client never has this key; this one may have given it back to life already.
            if self._pending.get((number, key)) is None and self.rows[number, key] == [None]:
                rows[0][1].update(zip(target.key, key, strict=True))
        columns = list(target.templates[0])
        marks = SQL("({})").format(SQL(", ").join(Placeholder() * len(columns)))
        query = SQL("INSERT INTO {} ({}) VALUES {} RETURNING {}").format(
            target.identifier,
            SQL(", ").join(map(Identifier, columns)),
            SQL(", ").join([marks] * many),
            SQL(", ").join(SQL("{}::text").format(Identifier(name)) for name in target.key),
        )
        values = [(target.templates[t] | changes)[name] for t, changes in rows for name in columns]
        kind = "insert" if many == 1 else "insert many"
        for (template, changes), key in zip(rows, self._execute(kind, query, values, many), strict=True):
            changes.update(zip(target.key, key, strict=True))
            self._pending[number, tuple(key)] = (template, changes)
        return kind

    def _some_stamp(self, target: Target) -> list[tuple[str, str]]:
        return [self._chance.choice(list(target.stamps.items()))] if target.stamps else []

    def _update(self, number: int, target: Target, picked: list[OwnRow]) -> str:
        changes = {name: make_value(maker, self._fresh) for name, maker in self._some_stamp(target)}
        donor = self._chance.choice(target.templates)
        for name in self._chance.sample(target.changeable, min(2, len(target.changeable))):
            changes.setdefault(name, donor[name])
        if not changes:
            return self._delete(number, target, picked)
        kind = "update" if len(picked) == 1 else "update many"
        self._set(kind, target, changes, [key for key, _ in picked])
        for key, (template, others) in picked:
            self._pending[number, key] = (template, others | changes)
        return kind

    def _set(self, kind: str, target: Target, changes: Values, keys: Sequence[tuple[str, ...]]) -> None:
        settings = SQL(", ").join(SQL("{} = %s").format(Identifier(name)) for name in changes)
        where = where_key(target, len(keys))
        query = SQL("UPDATE {} SET {} WHERE {}").format(target.identifier, settings, where)
        self._execute(kind, query, [*changes.values(), *(text for key in keys for text in key)], len(keys))

    def _delete(self, number: int, target: Target, picked: list[OwnRow]) -> str:
        query = SQL("DELETE FROM {} WHERE {}").format(target.identifier, where_key(target, len(picked)))
        kind = "delete" if len(picked) == 1 else "delete many"
        self._execute(kind, query, [text for key, _ in picked for text in key], len(picked))
        for key, _ in picked:
            self._pending[number, key] = None
        return kind

    def _change_key(self, number: int, target: Target, picked: OwnRow) -> str:
        key, (template, others) = picked
        names = [name for name in target.key if name in target.fresh]
        changes = {name: make_value(target.fresh[name], self._fresh) for name in names}
        self._set("change key", target, changes, [key])
        state = others | changes
        new_key = tuple(str(state[name]) for name in target.key)
        self._pending[number, key] = None
        self._pending[number, new_key] = (template, state)
        return "change key"
