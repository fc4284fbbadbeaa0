"""The way back by psql while clients write parents with their children: it ends, and nothing is lost."""

import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg
import pytest

from steps.dumps import dump, psql
from steps.hand_shop import PARTS, UUIDS, compile_by_hand, name_of, plan_of, type_of, written

pytestmark = pytest.mark.catalogue

PARENT = 'INSERT INTO person (id, "Name") VALUES (%s, %s)'
CHILD = "INSERT INTO orders (id, person_id, parent_id, at, total) VALUES (%s, %s, %s, '2026-03-03', %s)"


@dataclass(kw_only=True)
class Families:
    """Writers that know what was acknowledged: orders with their person and total. Each round is two transactions."""

    url: str
    count: int = 3
    orders: dict[str, tuple[str, int]] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.threads = [threading.Thread(target=self._write) for _ in range(self.count)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _write(self) -> None:
        try:
            with psycopg.connect(self.url, prepare_threshold=None) as session:
                number = 0
                while not self.stopped.wait(0.002):
                    number += 1
                    self._family(session, number)
        except psycopg.Error as error:
            self.errors.append(str(error))

    def _family(self, session: psycopg.Connection, number: int) -> None:
        person, older, younger = (str(uuid.uuid4()) for _ in range(3))
        session.execute(PARENT, [person, f"new {person}"])
        session.execute(CHILD, [older, person, None, 1])
        session.execute(CHILD, [younger, person, older, 2])
        session.commit()
        self.people.add(person)
        self.orders |= {older: (person, 1), younger: (person, 2)}
        session.execute("UPDATE orders SET total = %s WHERE id = %s", [number, older])
        if number % 3 == 0:
            session.execute("DELETE FROM orders WHERE id = %s", [younger])
        session.commit()
        self.orders[older] = (person, number)
        if number % 3 == 0:
            del self.orders[younger]


def _found(url: str) -> tuple[dict[str, tuple[str, int]], set[str]]:
    """Orders with their person and total, and people, as they are in the live tables."""
    with psycopg.connect(url) as session:
        orders = session.execute("SELECT id::text, person_id::text, total::int FROM orders WHERE at = '2026-03-03'")
        found = {order: (person, total) for order, person, total in orders.fetchall()}
        people = session.execute("SELECT id::text FROM person WHERE \"Name\" LIKE 'new %'").fetchall()
    return found, {person for (person,) in people}


def _orphans(url: str) -> int:
    with psycopg.connect(url) as session:
        (count,) = session.execute(
            "SELECT count(*) FROM orders o WHERE NOT EXISTS (SELECT FROM person p WHERE p.id = o.person_id)"
            " OR o.parent_id IS NOT NULL AND NOT EXISTS (SELECT FROM orders p WHERE p.id = o.parent_id)"
        ).fetchone() or (-1,)
    return int(count)


def test_it_ends_while_families_are_written_and_loses_nothing(shop: str, tmp_path: Path) -> None:
    files = written(compile_by_hand(shop, plan_of(name_of(shop), UUIDS, PARTS)), tmp_path)
    with Families(url=shop) as families:
        for file in files[:3]:
            psql(shop, file)
        assert type_of(shop, "orders") == "uuid"
        for file in files[3:]:
            psql(shop, file)
    assert families.errors == []
    assert type_of(shop, "orders") == "text"
    assert _found(shop) == (families.orders, families.people)
    assert len(families.orders) > 100
    assert _orphans(shop) == 0


def test_a_reader_may_keep_the_lock_away_for_a_while(shop: str, tmp_path: Path) -> None:
    """The lock is asked for again, and each time the logs are drained before."""
    files = written(compile_by_hand(shop, plan_of(name_of(shop), UUIDS, lock_timeout_ms=100)), tmp_path)
    for file in files[:3]:
        psql(shop, file)
    with Families(url=shop, count=1) as families, psycopg.connect(shop) as reader:
        reader.execute("SELECT count(*) FROM person")
        script = threading.Thread(target=psql, args=(shop, files[5]))
        script.start()
        _wait_for_attempts(shop, 3)
        reader.commit()
        script.join()
    assert families.errors == []
    assert type_of(shop, "orders") == "text"
    assert _found(shop) == (families.orders, families.people)
    assert _orphans(shop) == 0


def _wait_for_attempts(url: str, wanted: int, timeout_s: float = 30) -> None:
    """Until somebody has begun to wait so often for an exclusive lock on the live table."""
    seen: set[object] = set()
    ends = time.monotonic() + timeout_s
    with psycopg.connect(url, autocommit=True) as session:
        while len(seen) < wanted and time.monotonic() < ends:
            found = session.execute(
                "SELECT waitstart FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
                " AND relation = 'public.person'::regclass AND waitstart IS NOT NULL"
            ).fetchall()
            seen.update(started for (started,) in found)
            time.sleep(0.01)
    assert len(seen) >= wanted


def test_a_script_that_was_ended_behind_the_swap_goes_on(shops: tuple[str, str], tmp_path: Path) -> None:
    hand, _ = shops
    before = dump(hand)
    files = written(compile_by_hand(hand, plan_of(name_of(hand), UUIDS, PARTS)), tmp_path)
    for file in files[:3]:
        psql(hand, file)
    ended = tmp_path / "ended.sql"
    ended.write_text(re.split(r"-- \[\d+\] set 1: foreign keys are validated", files[5].read_text())[0])
    psql(hand, ended)
    assert dump(hand) != before
    psql(hand, files[5])
    assert dump(hand) == before
