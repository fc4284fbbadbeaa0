"""Clients that write to a database through a whole migration and keep a journal of what was acknowledged.

``JournalWriters`` runs in the test; the clients are threads of one child process (``python -m …writers``),
so neither slows the other down. The child ends by itself when its standard input closes.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

import psycopg
from psycopg import sql

_OPTIONS = (
    "-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=1 -c bytea_output=hex"
    " -c application_name=journal-writers"
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Lock timeout, deadlock, serialization failure: an application tries again.
_CONFLICTS = frozenset({"55P03", "40P01", "40001"})
_TEMPLATES = 25  # rows per table whose values new rows are made of
_TEXT = frozenset({"text", "varchar"})
_WHOLE = frozenset({"int4", "int8"})
_TIME = frozenset({"timestamp", "timestamptz"})

Values = dict[str, str | None]  # column -> text as the server prints it

_COLUMNS = """
SELECT a.attname::text, t.typname::text, a.attnum, a.attnotnull,
       a.attidentity <> '' OR a.attgenerated <> ''
         OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%', false),
       CASE WHEN t.typname = 'varchar' AND a.atttypmod > 4 THEN a.atttypmod - 4 END,
       EXISTS (SELECT FROM pg_constraint k
                WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND a.attnum = ANY (k.conkey)),
       EXISTS (SELECT FROM pg_constraint k
                WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND a.attnum = ANY (k.conkey))
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_UNIQUE_KEYS = """
SELECT i.indisprimary, i.indnullsnotdistinct OR i.indexprs IS NOT NULL OR NOT i.indisunique,
       (i.indkey::int2[])[0:i.indnkeyatts - 1]
  FROM pg_index i WHERE i.indrelid = %(oid)s AND (i.indisunique OR i.indisexclusion)
 ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
"""

_TABLES = """
SELECT c.oid, n.nspname::text, c.relname::text,
       EXISTS (SELECT FROM pg_constraint k WHERE k.confrelid = c.oid AND k.contype = 'f')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT LIKE 'replank%'
 ORDER BY 2, 3
"""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One table that is written to. ``fresh``: column -> how to make a value that no row has yet."""

    schema: str
    name: str
    key: list[str]
    automatic: list[str]
    fresh: dict[str, str]
    changeable: list[str]  # may take the value of any template row
    stamps: dict[str, str]  # column -> how to make a new value for each write
    templates: list[Values]
    may_change_key: bool

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, kw_only=True)
class WriteError:
    """A write that failed, or (``sqlstate`` None) that met fewer of its own rows than it should have."""

    sqlstate: str | None
    message: str
    kind: str
    table: str
    at_s: float  # since the clients started


@dataclass(frozen=True, kw_only=True)
class JournaledRow:
    """What a row must be. ``states``: each is None (absent) or [number of the template, other values];
    more than one where the outcome of a commit is unknown."""

    target: int
    key: list[str]
    states: list[Any]


def read_targets(connection: psycopg.Connection, wanted: Sequence[tuple[str, str]] | None) -> list[Target]:
    """The tables to write to: ``wanted``, or every table that new rows can be made for.

    Raises ``ValueError`` for a wanted table that does not exist, has no rows to take as templates, no
    primary key, or a unique key of foreign keys only.
    """
    found: list[Target] = []
    names: set[tuple[str, str]] = set()
    for oid, schema, name, is_referenced in connection.execute(_TABLES).fetchall():
        if wanted is not None and (schema, name) not in wanted:
            continue
        names.add((schema, name))
        target = _read_target(connection, oid, schema, name, is_referenced=is_referenced)
        if isinstance(target, Target):
            found.append(target)
        elif wanted is not None:
            raise ValueError(f"cannot write to {schema}.{name}: {target}")
    missing = set(wanted or ()) - names
    if missing:
        raise ValueError(f"no such tables: {sorted(missing)}")
    if not found:
        raise ValueError("there is no table that new rows can be made for")
    return found


def _read_target(
    connection: psycopg.Connection, oid: int, schema: str, name: str, *, is_referenced: bool
) -> Target | str:
    columns = connection.execute(_COLUMNS, {"oid": oid}).fetchall()
    automatic = [column[0] for column in columns if column[4]]
    names = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c[0])) for c in columns)
    query = sql.SQL("SELECT {} FROM {} LIMIT {}").format(names, sql.Identifier(schema, name), _TEMPLATES)
    rows = connection.execute(query).fetchall()
    templates = [dict(zip((c[0] for c in columns), row, strict=True)) for row in rows]
    if not templates:
        return "it has no rows to take as templates"
    makers = {c[0]: maker for c in columns if (maker := _maker(c, [t[c[0]] for t in templates]))}
    by_number = {column[2]: column for column in columns}
    key: list[str] = []
    fresh: dict[str, str] = {}
    unique: set[str] = set()
    for is_primary, is_special, numbers in connection.execute(_UNIQUE_KEYS, {"oid": oid}).fetchall():
        if is_special:
            return "it has an exclusion constraint or a unique key of an unusual kind"
        parts = [by_number[number] for number in numbers]
        unique.update(part[0] for part in parts)
        key = [part[0] for part in parts] if is_primary else key
        if any(part[0] in automatic or part[0] in fresh for part in parts):
            continue
        carriers = sorted((_carrier_rank(makers[p[0]]), p[0]) for p in parts if p[0] in makers and not p[6])
        nullable = [part[0] for part in parts if not part[3]]
        if not carriers and not nullable:
            return "a unique key has no column that could be made fresh"
        chosen = carriers[0][1] if carriers else nullable[0]
        fresh[chosen] = makers[chosen] if carriers else "null"
    if not key:
        return "it has no primary key"
    free = [c for c in columns if c[0] not in unique and c[0] not in automatic]
    return Target(
        schema=schema,
        name=name,
        key=key,
        automatic=automatic,
        fresh=fresh,
        changeable=[c[0] for c in free if not c[7]],
        stamps={c[0]: makers[c[0]] for c in free if c[0] in makers and not c[6] and not c[7]},
        templates=[{c: v for c, v in t.items() if c not in automatic} for t in templates],
        may_change_key=not is_referenced and any(column in fresh for column in key),
    )


def _maker(column: tuple[Any, ...], samples: Sequence[str | None]) -> str | None:
    """How to make new values for a column: a text column that shows nothing but uuids gets uuids, because
    it may turn into a uuid column at any moment. None: leave it to the templates."""
    _, type_name, _, _, _, limit, _, is_checked = column
    known = [sample for sample in samples if sample is not None]
    if is_checked:
        return None
    if type_name == "uuid":
        return "uuid"
    if type_name in _TEXT:
        are_uuids = [_is_uuid(text) for text in known]
        if all(are_uuids):
            return "uuid" if limit is None or limit >= 36 else None
        if limit is not None and limit < 36:
            return None
        are_dates = all(re.match(r"\d{4}-\d\d-\d\d$", text) for text in known)
        return "mixed" if any(are_uuids) else "date" if are_dates else "text"
    if type_name in _WHOLE or type_name == "float8":
        return "whole"
    if type_name in _TIME:
        return "time"
    return "json" if type_name in {"json", "jsonb"} else None


def _is_uuid(text: str) -> bool:
    """In any spelling, braces and upper case too: such a column may be converted as well."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _carrier_rank(maker: str) -> int:
    return ["text", "mixed", "uuid", "whole", "time", "date", "json"].index(maker)


def make_value(maker: str, chance: random.Random) -> str | None:
    """A value that was not there before (as far as the type has room for it), as text."""
    number = chance.getrandbits(62)
    if maker == "uuid" or (maker == "mixed" and number % 2):
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))
    if maker == "whole":
        return str(1_000_000_000 + number % 1_147_000_000)
    if maker == "time":
        day = f"{2026 + number % 3}-{1 + number % 12:02}-{1 + number % 28:02}"
        return f"{day} {number % 24:02}:{number % 59:02}:{number % 58:02}.{number % 1000:03}"
    if maker == "date":
        return f"{2030 + number % 5000}-{1 + number % 12:02}-{1 + number % 28:02}"
    if maker == "json":
        return json.dumps({"writer": number, "text": "é \" '\\ 日本"})
    return None if maker == "null" else f"w-{number:016x}"


class _Pool:
    """The keys of a client's living rows of one table; adds, drops and picks in constant time."""

    def __init__(self) -> None:
        self._keys: list[tuple[str, ...]] = []
        self._places: dict[tuple[str, ...], int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: tuple[str, ...]) -> None:
        if key not in self._places:
            self._places[key] = len(self._keys)
            self._keys.append(key)

    def discard(self, key: tuple[str, ...]) -> None:
        place = self._places.pop(key, None)
        if place is not None:
            last = self._keys.pop()
            if last != key:
                self._keys[place] = last
                self._places[last] = place

    def pick(self, chance: random.Random, count: int) -> list[tuple[str, ...]]:
        return list(dict.fromkeys(chance.choice(self._keys) for _ in range(count))) if self._keys else []


State = tuple[int, Values] | None  # number of the template and what differs from it; None: absent
OwnRow = tuple[tuple[str, ...], tuple[int, Values]]  # key, present state
RowId = tuple[int, tuple[str, ...]]  # number of the target, key


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
        self._connection = self._connect()
        self._pools = [_Pool() for _ in targets]
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

    def _connect(self) -> psycopg.Connection:
        # Unprepared statements and untyped text parameters: a column may change its type between two writes.
        return psycopg.connect(self._url, prepare_threshold=None, options=_OPTIONS, connect_timeout=10)

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
                self._connection = self._connect()
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

    def _execute(
        self, kind: str, query: sql.Composed, values: Sequence[str | None], expected: int
    ) -> list[Any]:
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
        marks = sql.SQL("({})").format(sql.SQL(", ").join(sql.Placeholder() * len(columns)))
        query = sql.SQL("INSERT INTO {} ({}) VALUES {} RETURNING {}").format(
            target.identifier,
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([marks] * many),
            sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in target.key),
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
        settings = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in changes)
        where = _where(target, len(keys))
        query = sql.SQL("UPDATE {} SET {} WHERE {}").format(target.identifier, settings, where)
        self._execute(kind, query, [*changes.values(), *(text for key in keys for text in key)], len(keys))

    def _delete(self, number: int, target: Target, picked: list[OwnRow]) -> str:
        query = sql.SQL("DELETE FROM {} WHERE {}").format(target.identifier, _where(target, len(picked)))
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


def _where(target: Target, count: int) -> sql.Composable:
    """``key IN (…)`` with untyped parameters, so that the index serves it whatever the column's type is."""
    marks = sql.SQL("({})").format(sql.SQL(", ").join(sql.Placeholder() * len(target.key)))
    columns = sql.SQL(", ").join(map(sql.Identifier, target.key))
    if len(target.key) == 1:
        return sql.SQL("{} IN ({})").format(columns, sql.SQL(", ").join(sql.Placeholder() * count))
    return sql.SQL("({}) IN ({})").format(columns, sql.SQL(", ").join([marks] * count))


def _serve() -> None:
    """The child process: settings come on the first line of standard input, its end means stop.

    Standard output carries one JSON object per line: ``ready``, then the number of acknowledged writes ten
    times a second. The journal goes to the file that the settings name.
    """
    settings = json.loads(sys.stdin.readline())
    tables = settings["tables"] and [(schema, name) for schema, name in settings["tables"]]
    with psycopg.connect(settings["url"], options=_OPTIONS) as connection:
        targets = read_targets(connection, tables)
    stop = threading.Event()
    start_s = time.monotonic()
    count = settings["clients"]
    clients = [
        Client(
            url=settings["url"],
            targets=targets,
            rate=settings["rate"] / count,
            seed=settings["seed"] * 1000 + index,
            stop=stop,
            start_s=start_s,
        )
        for index in range(count)
    ]
    for client in clients:
        client.start()
    threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    print(json.dumps({"ready": True}), flush=True)
    while not stop.wait(0.1):
        print(json.dumps({"acknowledged": sum(client.acknowledged for client in clients)}), flush=True)
        dead = [client.name for client in clients if not client.is_alive() and not stop.is_set()]
        if dead:
            raise RuntimeError(f"clients ended before they were told to: {dead}")
    for client in clients:
        client.join()
    _write_journal(Path(settings["journal"]), targets, clients, time.monotonic() - start_s)


def _watch_input(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _write_journal(
    path: Path, targets: Sequence[Target], clients: Sequence[Client], duration_s: float
) -> None:
    rows = [
        JournaledRow(target=number, key=list(key), states=states)
        for client in clients
        for (number, key), states in client.rows.items()
    ]
    latencies = sorted(latency for client in clients for latency in client.latencies_ms)
    acknowledged = sum(client.acknowledged for client in clients)
    content = {
        "acknowledged": acknowledged,
        "unknown": sum(client.unknown for client in clients),
        "rolled_back": sum(client.rolled_back for client in clients),
        "reconnects": sum(client.reconnects for client in clients),
        "kinds": sum((client.kinds for client in clients), Counter()),
        "conflicts": sum((client.conflicts for client in clients), Counter()),
        "errors": [asdict(error) for client in clients for error in client.errors],
        "connection_losses": [loss for client in clients for loss in client.connection_losses],
        "max_latency_ms": latencies[-1] if latencies else 0.0,
        "p99_latency_ms": latencies[int(len(latencies) * 0.99)] if latencies else 0.0,
        "rate": acknowledged / duration_s,
        "duration_s": duration_s,
        "targets": [asdict(target) for target in targets],
        "rows": [[row.target, row.key, row.states] for row in rows],
    }
    path.write_text(json.dumps(content), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Journal:
    """What the clients did. ``acknowledged``: statements whose commit returned; ``unknown``: those whose
    commit got no reply; ``conflicts``: SQLSTATE -> how often a transaction must be tried again; ``errors``:
    everything else that failed; ``rate``: acknowledged writes per second."""

    acknowledged: int
    unknown: int
    rolled_back: int
    reconnects: int
    kinds: Mapping[str, int]
    conflicts: Mapping[str, int]
    errors: list[WriteError]
    connection_losses: list[str]
    max_latency_ms: float
    p99_latency_ms: float
    rate: float
    duration_s: float
    targets: list[Target] = field(repr=False)
    rows: list[JournaledRow] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["errors"] = [WriteError(**error) for error in content["errors"]]
        content["targets"] = [Target(**target) for target in content["targets"]]
        content["rows"] = [JournaledRow(target=t, key=k, states=s) for t, k, s in content["rows"]]
        return cls(**content)

    def find_lost(self, url: str) -> list[str]:
        """Compare every journaled row with the database, at one snapshot: a sentence for each that is
        missing, changed, or back although it was deleted. Of a row with an unknown outcome either state
        is right. A column may have become a uuid meanwhile: both sides are cast to its present type."""
        lost: list[str] = []
        with psycopg.connect(url, options=_OPTIONS) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SET LOCAL work_mem = '64MB'")
            for number, target in enumerate(self.targets):
                rows = [row for row in self.rows if row.target == number]
                if rows:
                    lost += _find_lost(connection, target, rows)
        return lost


_PRESENT_TYPES = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relname = %s AND c.relnamespace = to_regnamespace(quote_ident(%s))
   AND a.attnum > 0 AND NOT a.attisdropped
"""


def _find_lost(connection: psycopg.Connection, target: Target, rows: Sequence[JournaledRow]) -> list[str]:
    label = f"{target.schema}.{target.name}"
    types: dict[str, str] = dict(connection.execute(_PRESENT_TYPES, [target.name, target.schema]).fetchall())
    columns = list(dict.fromkeys([*target.key, *target.templates[0]]))
    gone = [name for name in columns if name not in types]
    if gone:
        return [f"{label}: the columns {gone} are gone" if types else f"{label}: the table is gone"]
    _load_expected(connection, target, columns, rows)
    present = sql.SQL("t.{} IS NOT NULL").format(sql.Identifier(target.key[0]))
    expected = {name: _expected(f"c{place}", types[name]) for place, name in enumerate(columns)}
    joined = sql.SQL(" AND ").join(
        sql.SQL("t.{} = {}").format(sql.Identifier(name), expected[name]) for name in target.key
    )
    wrong = sql.SQL(", ").join(
        sql.SQL("CASE WHEN t.{}::text IS DISTINCT FROM ({})::text THEN {} END").format(
            sql.Identifier(name), expected[name], sql.Literal(name)
        )
        for name in columns
    )
    query = sql.SQL(
        "WITH found AS (SELECT e.row_no, e.is_absent, {present} AS is_present,"
        " CASE WHEN {present} AND NOT e.is_absent THEN array_remove(ARRAY[{wrong}]::text[], NULL)"
        " ELSE '{{}}' END AS wrong"
        " FROM expected e LEFT JOIN {table} t ON {joined})"
        " SELECT row_no, bool_or(is_present), bool_or(NOT is_absent), max(wrong) FROM found GROUP BY row_no"
        " HAVING NOT bool_or(is_absent <> is_present AND wrong = '{{}}')"
        " OR count(*) FILTER (WHERE is_present) > {variants}"
        " ORDER BY row_no"
    ).format(
        present=present,
        wrong=wrong,
        table=target.identifier,
        joined=joined,
        variants=max(len(row.states) for row in rows),
    )
    found = connection.execute(query).fetchall()
    return [f"{label} {rows[number].key}: {_verdict(there, due, bad)}" for number, there, due, bad in found]


def _verdict(is_present: bool, was_due: bool, wrong: Sequence[str]) -> str:
    if not is_present:
        return "lost, the row is missing"
    if not was_due:
        return "resurrected, it was deleted"
    return f"wrong content in {list(wrong)}" if wrong else "there more than once"


def _expected(column: str, present_type: str) -> sql.Composable:
    """The journaled text as a value of the column's present type; text that is no uuid matches nothing."""
    text = sql.Identifier("e", column)
    cast = sql.SQL("{}::{}").format(text, sql.SQL(present_type))
    if present_type != "uuid":
        return cast
    return sql.SQL("CASE WHEN {} ~* {} THEN {} END").format(text, sql.Literal(f"^{_UUID.pattern}$"), cast)


def _load_expected(
    connection: psycopg.Connection, target: Target, columns: Sequence[str], rows: Sequence[JournaledRow]
) -> None:
    """Fill the temporary table ``expected``: one line for each acceptable state of each row."""
    names = sql.SQL(", ").join(sql.Identifier(f"c{place}") for place in range(len(columns)))
    typed = sql.SQL(", ").join(
        sql.SQL("{} text").format(sql.Identifier(f"c{place}")) for place in range(len(columns))
    )
    connection.execute("DROP TABLE IF EXISTS pg_temp.expected")
    connection.execute(sql.SQL("CREATE TEMP TABLE expected (row_no int, is_absent bool, {})").format(typed))
    copy = sql.SQL("COPY expected (row_no, is_absent, {}) FROM STDIN").format(names)
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        for number, row in enumerate(rows):
            for state in row.states:
                values = dict(zip(target.key, row.key, strict=True))
                if state is not None:
                    values = target.templates[state[0]] | state[1] | values
                stream.write_row([number, state is None, *(values.get(name) for name in columns)])
    connection.execute("ANALYZE expected")


class JournalWriters:
    """Clients that insert, update, delete and change keys in a child process until ``stop``.

    ``tables``: (schema, name) of the tables to write to, None for every table that new rows can be made
    for; ``rate``: writes per second of all ``clients`` together. Usable as a context manager; leaving it
    stops the clients, ``journal`` is there then.
    """

    def __init__(
        self,
        *,
        url: str,
        tables: Sequence[tuple[str, str]] | None = None,
        clients: int = 4,
        rate: float = 200,
        seed: int = 1,
    ) -> None:
        self._settings = {"url": url, "tables": tables, "clients": clients, "rate": rate, "seed": seed}
        self._folder = tempfile.TemporaryDirectory(prefix="journal-")
        self._child: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._news = threading.Condition()
        self._is_ready = self._has_ended = False
        self._acknowledged = 0
        self.journal: Journal | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self.stop()

    @property
    def acknowledged(self) -> int:
        """Writes acknowledged so far, at most a tenth of a second old."""
        return self._acknowledged

    def start(self, timeout_s: float = 30) -> None:
        """Start the clients; returns when each has its connection, or raises ``RuntimeError``."""
        package = str(__package__)
        root = Path(__file__).resolve().parents[len(package.split("."))]
        errors = (Path(self._folder.name) / "errors").open("w+")
        self._child = subprocess.Popen(
            [sys.executable, "-m", f"{package}.writers"],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        errors.close()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._reader = threading.Thread(target=self._listen, args=(self._child.stdout,), daemon=True)
        self._reader.start()
        journal = str(Path(self._folder.name) / "journal.json")
        self._child.stdin.write(json.dumps(self._settings | {"journal": journal}) + "\n")
        self._child.stdin.flush()
        self._wait(lambda: self._is_ready, timeout_s, "the clients did not start")

    def _listen(self, stream: TextIO) -> None:
        for line in stream:
            news = json.loads(line)
            with self._news:
                self._is_ready = True
                self._acknowledged = news.get("acknowledged", self._acknowledged)
                self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def _wait(self, condition: Callable[[], bool], timeout_s: float, complaint: str) -> None:
        with self._news:
            self._news.wait_for(lambda: condition() or self._has_ended, timeout_s)
        if not condition():
            raise self._ended(complaint)

    def wait_for_writes(self, count: int, timeout_s: float = 60) -> None:
        """Return when ``count`` more writes than now are acknowledged; ``RuntimeError`` when late."""
        goal = self._acknowledged + count
        self._wait(lambda: self._acknowledged >= goal, timeout_s, f"no {count} writes within {timeout_s} s")

    def stop(self, timeout_s: float = 120) -> Journal:
        """Let each client finish its transaction, end the child and return the journal.

        Raises ``RuntimeError`` when the child died or does not end within ``timeout_s``: then nothing is
        known about the writes.
        """
        child = self._child
        if child is None or child.stdin is None:
            raise RuntimeError("the clients were never started")
        child.stdin.close()
        try:
            status = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self._ended(f"the clients did not stop within {timeout_s} s") from None
        if status != 0:
            raise self._ended(f"the clients ended with status {status}")
        self.journal = Journal.read(Path(self._folder.name) / "journal.json")
        self._clean_up()
        return self.journal

    def _ended(self, complaint: str) -> RuntimeError:
        """End the child, whatever it does; the error to raise, with the last that it said."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        said = (Path(self._folder.name) / "errors").read_text(encoding="utf-8").strip()[-2000:]
        self._clean_up()
        return RuntimeError(f"{complaint}: {said}")

    def _clean_up(self) -> None:
        if self._reader is not None:
            self._reader.join()
        if self._child is not None and self._child.stdin is not None and self._child.stdout is not None:
            self._child.stdin.close()
            self._child.stdout.close()
        self._child = None
        self._folder.cleanup()


if __name__ == "__main__":
    _serve()
