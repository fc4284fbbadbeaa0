"""A family there and back while clients write through parents and children: no acknowledged write is lost."""

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL, Identifier
from support.oracles.oracle import column_type, live
from support.oracles.returning import everything_left, go_back
from support.runs.harness import Rebuild, Url, eventually, table

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

FAMILY = """
CREATE TABLE a_last (extra text, n int, id text PRIMARY KEY);
CREATE TABLE top (id text PRIMARY KEY, n int);
CREATE TABLE kind (n int);
ALTER TABLE kind ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CREATE TABLE middle (extra text, PRIMARY KEY (id)) INHERITS (top);
CREATE TABLE twofold (number bigint DEFAULT 0, PRIMARY KEY (id)) INHERITS (middle, kind);
ALTER TABLE a_last INHERIT middle;
"""
# The child's name comes before its parents': locks must be taken in the order of queries, not of names.
PLANNED = (
    table("top", "id"),
    table("middle", "id"),
    table("twofold", "id"),
    table("a_last", "id"),
    table("kind", method="rebuild"),
)
PAUSE_S = 0.01
MEMBERS = ("top", "middle", "twofold", "a_last")


@dataclass(kw_only=True)
class Writer:
    """One client. `rows` is what it knows to be committed: id → table, n."""

    url: Url
    seed: int
    stopping: threading.Event
    rows: dict[str, tuple[str, int]] = field(default_factory=dict)
    written: int = 0
    broken: str = ""

    def run(self) -> None:
        dice = random.Random(self.seed)
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            while not self.stopping.wait(PAUSE_S):
                try:
                    self._write(connection, dice)
                except errors.DeadlockDetected:
                    continue  # Rolled back, and the client knows it.
                except psycopg.Error as error:
                    self.broken = str(error)
                    return
                self.written += 1

    def _write(self, connection: psycopg.Connection, dice: random.Random) -> None:
        if not self.rows or dice.random() < 0.4:
            name, new, n = dice.choice(MEMBERS), str(uuid.UUID(int=dice.getrandbits(128))), dice.randrange(1000)
            insert = SQL("INSERT INTO {} (id, n) VALUES (%s, %s)").format(Identifier(name))
            connection.execute(insert, [new, n])
            self.rows[new] = (name, n)
            return
        key = dice.choice(list(self.rows))
        name, n = self.rows[key]
        through = Identifier(dice.choice(["top", name]))
        if dice.random() < 0.2:
            done = connection.execute(SQL("DELETE FROM {} WHERE id = %s").format(through), [key])
            del self.rows[key]
        elif dice.random() < 0.3:
            new = str(uuid.UUID(int=dice.getrandbits(128)))
            done = connection.execute(SQL("UPDATE {} SET id = %s WHERE id = %s").format(through), [new, key])
            self.rows[new] = self.rows.pop(key)
        else:
            done = connection.execute(SQL("UPDATE {} SET n = n + 1 WHERE id = %s").format(through), [key])
            self.rows[key] = (name, n + 1)
        assert done.rowcount == 1, key


@contextmanager
def writing(url: Url, *, clients: int) -> Iterator[list[Writer]]:
    stopping = threading.Event()
    writers = [Writer(url=url, seed=number, stopping=stopping) for number in range(clients)]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _wait(writers: list[Writer], more: int) -> None:
    wanted = sum(writer.written for writer in writers) + more
    eventually(lambda: sum(writer.written for writer in writers) >= wanted, f"{more} more writes")


def test_no_write_through_parents_or_children_is_lost(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    for statement in filter(str.strip, FAMILY.split(";\n")):
        app.execute(statement.encode())
    with writing(database, clients=3) as writers:
        _wait(writers, 200)
        rebuild = begin(*PLANNED)
        rebuild.finish()
        assert column_type(app, live("twofold"), "id") == "uuid"
        _wait(writers, 200)
        go_back(rebuild)
        rebuild.close()
        assert column_type(app, live("twofold"), "id") == "text"
        _wait(writers, 100)
        assert everything_left(app) == []
        begin(*PLANNED).finish()
        _wait(writers, 100)
    assert [writer.broken for writer in writers] == ["", "", ""]
    expected = {(key, name, n) for writer in writers for key, (name, n) in writer.rows.items()}
    found = app.execute("SELECT id::text, tableoid::regclass::text, n FROM top").fetchall()
    assert len(found) == len(expected)
    assert set(found) == expected
