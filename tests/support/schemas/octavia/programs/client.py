"""A service of octavia's: it reads and writes through octavia's own repositories and models until it is told to stop.

Its orders are lines on standard input: first one JSON object, then the name of what the database goes through
("before", "at", "after"), under which is counted what ends from then on; the end of the input stops it. It prints a
line for each transaction, and at the end what it did and what each row that it wrote must hold.
"""

from __future__ import annotations

import functools
import json
import queue
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from octavia.common import data_models
from octavia.db import base_models, models
from octavia.db.repositories import Repositories
from oslo_utils import timeutils, uuidutils
from sqlalchemy.orm import Session
from text_or_uuid import TextOrUuid

ORDERS: dict[str, Any] = json.loads(sys.stdin.readline())
# Before the first statement is compiled; the models' source stays as it is.
for table, column in ORDERS["text_or_uuid"]:
    base_models.BASE.metadata.tables[table].columns[column].type = TextOrUuid()

STATES = {"provisioning_status": "ACTIVE", "operating_status": "ONLINE", "enabled": True}
REPOSITORIES = Repositories()

Change = tuple[str, tuple[str, ...], "dict[str, str] | None"]
"""A table, a row's key, and what columns of it hold from now on; None once it is deleted."""

Outcome = tuple[list[Change], "Callable[[], None] | None"]
"""What holds once the transaction is committed, and what the service remembers then."""


class Wrong(Exception):
    """What was read is not what was written."""


class Client:
    """Rows of one project, which no other client touches."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.random = random.Random(project)
        self.rows: dict[tuple[str, tuple[str, ...]], dict[str, str] | None] = {}
        self.balancers: dict[str, dict[str, Any]] = {}
        self.listeners: list[str] = []
        self.amphorae: list[str] = []
        self.number = -1

    def look(self, session: Session) -> None:
        """The rows of the project that were there before."""
        found, _ = REPOSITORIES.load_balancer.get_all_API_list(session, project_id=self.project)
        for balancer in found:
            self.balancers[balancer.id] = {}
            self.listeners += [listener.id for listener in balancer.listeners]
            self.amphorae += [amphora.id for amphora in balancer.amphorae]

    def transaction(self, session: Session) -> Outcome:
        """One of those that octavia's services do, each kind in its turn."""
        kinds = (
            *(self.create, self.read, self.update, self.member),
            *(self.statistics, self.health, self.heartbeat, self.listing),
        )
        self.number += 1
        return kinds[self.number % len(kinds)](session)

    def keep(self, changes: Iterable[Change], remember: Callable[[], None] | None) -> None:
        for table, key, columns in changes:
            known = self.rows.get((table, key)) or {}
            self.rows[table, key] = None if columns is None else known | columns
        if remember is not None:
            remember()

    def create(self, session: Session) -> Outcome:
        name = f"made {self.number}"
        balancer = REPOSITORIES.create_load_balancer_and_vip(
            session,
            {"name": name, "project_id": self.project, "provider": "amphora", "topology": "SINGLE", **STATES},
            {"ip_address": "10.9.0.1", "port_id": uuidutils.generate_uuid(), "octavia_owned": True},
        )
        listener = REPOSITORIES.listener.create(
            session,
            **{"id": uuidutils.generate_uuid(), "load_balancer_id": balancer.id, "project_id": self.project},
            **{"name": name, "protocol": "TCP", "protocol_port": 443, "allowed_cidrs": ["10.0.0.0/8"], **STATES},
        )
        session.flush()
        pool = REPOSITORIES.create_pool_on_load_balancer(
            session,
            {
                **{"name": name, "project_id": self.project, "load_balancer_id": balancer.id, "protocol": "TCP"},
                **{"lb_algorithm": "ROUND_ROBIN", "session_persistence": {"type": "SOURCE_IP"}, **STATES},
            },
            listener_id=listener.id,
        )
        REPOSITORIES.pool.update(session, pool.id, name=name, tags=["red", "blue"])

        def remember() -> None:
            self.balancers[balancer.id] = {"pool": pool.id, "members": []}
            self.listeners.append(listener.id)

        return [
            ("load_balancer", (balancer.id,), {"name": name, "project_id": self.project}),
            ("vip", (balancer.id,), {"ip_address": "10.9.0.1"}),
            ("listener", (listener.id,), {"load_balancer_id": balancer.id, "default_pool_id": pool.id}),
            ("listener_cidr", (listener.id, "10.0.0.0/8"), {}),
            ("pool", (pool.id,), {"load_balancer_id": balancer.id, "name": name}),
            ("session_persistence", (pool.id,), {"type": "SOURCE_IP"}),
            ("tags", (pool.id, "red"), {}),
            ("tags", (pool.id, "blue"), {}),
        ], remember

    def read(self, session: Session) -> Outcome:
        wanted = self.one_of(self.balancers)
        balancer = REPOSITORIES.load_balancer.get(session, id=wanted)
        known = self.balancers[wanted]
        if balancer is None or balancer.id != wanted or balancer.vip.load_balancer_id != wanted:
            raise Wrong("another load balancer than was asked for")
        if known and [pool.id for pool in balancer.pools] != [known["pool"]]:
            raise Wrong("other pools than were made")
        if known and sorted(one.id for one in balancer.pools[0].members) != sorted(known["members"]):
            raise Wrong("other members than were made")
        return [], None

    def update(self, session: Session) -> Outcome:
        wanted, said = self.one_of(self.balancers), f"changed {self.number}"
        REPOSITORIES.load_balancer.update(session, wanted, description=said)
        return [("load_balancer", (wanted,), {"description": said})], None

    def member(self, session: Session) -> Outcome:
        """One comes in, and where there are several the first goes again."""
        known = self.balancers[self.one_of(key for key, known in self.balancers.items() if known)]
        made = uuidutils.generate_uuid()
        REPOSITORIES.member.create(
            session,
            **{"id": made, "pool_id": known["pool"], "project_id": self.project},
            **{"subnet_id": uuidutils.generate_uuid(), "ip_address": f"10.8.0.{self.number}", "protocol_port": 80},
            **{"backup": False, **STATES},
        )
        members, gone = [*known["members"], made], []
        if len(members) > 2:
            gone = [members.pop(0)]
            REPOSITORIES.member.delete(session, id=gone[0])
        remember = functools.partial(known.update, members=members)
        return [
            *(("member", (key,), None) for key in gone),
            ("member", (made,), {"pool_id": known["pool"]}),
        ], remember

    def statistics(self, session: Session) -> Outcome:
        listener, amphora = self.one_of(self.listeners), self.one_of(self.amphorae)
        more = {"bytes_in": 1, "bytes_out": 1, "active_connections": 1, "total_connections": 0, "request_errors": 0}
        counted = data_models.ListenerStatistics(listener_id=listener, amphora_id=amphora, **more)
        REPOSITORIES.listener_stats.increment(session, counted)
        session.flush()
        now = session.query(models.ListenerStatistics).filter_by(listener_id=listener, amphora_id=amphora).one()
        before = self.rows.get(("listener_statistics", (listener, amphora)))
        if before is not None and now.bytes_in != int(before["bytes_in"]) + 1:
            raise Wrong("another count than the last one and one more")
        return [("listener_statistics", (listener, amphora), {"bytes_in": str(now.bytes_in)})], None

    def health(self, session: Session) -> Outcome:
        amphora, busy = self.one_of(self.amphorae), self.number % 16 == 5
        REPOSITORIES.amphorahealth.replace(session, amphora, last_update=timeutils.utcnow(), busy=busy)
        return [("amphora_health", (amphora,), {"busy": str(busy).lower()})], None

    def heartbeat(self, session: Session) -> Outcome:
        """The statement that octavia's health manager has in SQL's own words, for its speed."""
        found = REPOSITORIES.amphora.get_lb_for_health_update(session, self.one_of(self.amphorae))
        if str(found["id"]) not in self.balancers:
            raise Wrong("no load balancer of the project")
        return [], None

    def listing(self, session: Session) -> Outcome:
        """A page of the API: everything of the project with its pools, listeners, tags."""
        found, _ = REPOSITORIES.load_balancer.get_all_API_list(session, project_id=self.project)
        if {balancer.id for balancer in found} != set(self.balancers):
            raise Wrong("other load balancers than the project has")
        return [], None

    def one_of(self, keys: Iterable[str]) -> str:
        return self.random.choice(sorted(keys))


def attempt(client: Client, engine: sa.Engine) -> str | None:
    """One transaction. Returns what went wrong: then it is rolled back."""
    try:
        with Session(engine) as session, session.begin():
            changes, remember = client.transaction(session)
    except (sa.exc.SQLAlchemyError, TypeError, Wrong) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    client.keep(changes, remember)
    return None


def follow(orders: queue.Queue[str | None]) -> None:
    for line in sys.stdin:
        orders.put(line.strip())
    orders.put(None)


def main() -> None:
    engine = sa.create_engine(ORDERS["url"], pool_size=1, max_overflow=0, **ORDERS["options"])
    client = Client(ORDERS["project"])
    with Session(engine) as session:
        client.look(session)
    orders: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=follow, args=(orders,), daemon=True).start()
    phase: str | None = "before"
    done: Counter[str] = Counter()
    errors: dict[str, Counter[str]] = {one: Counter() for one in ("before", "at", "after")}
    while phase is not None:
        wrong = attempt(client, engine)
        # What the database has gone through meanwhile is what the outcome is counted under.
        while not orders.empty():
            phase = orders.get()
        if phase is not None:
            done[phase] += wrong is None
            if wrong is not None:
                errors[phase][wrong] += 1
            print(json.dumps({"phase": phase, "error": wrong}), flush=True)
            time.sleep(ORDERS["pause_s"])
    rows = [[table, key, columns] for (table, key), columns in client.rows.items()]
    print(json.dumps({"done": done, "errors": errors, "rows": rows}))


main()
