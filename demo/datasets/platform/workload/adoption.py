"""Which of the platform's rows that are there already belong to which client, and which to all of them."""

import random
from collections.abc import Sequence

import psycopg
from psycopg.sql import SQL, Literal

from demo.clients.adoption import Adoption, NothingThere, Reader
from demo.clients.model import Model
from demo.clients.names import Names
from demo.clients.styles.statements import Vocabulary
from demo.clients.tables import Key, Table
from demo.datasets.platform.workload.actor import Shared
from demo.datasets.platform.workload.names import names_now
from demo.datasets.platform.workload.statements import HOLDERS, TAGS
from demo.datasets.platform.workload.tables import KNOWN, PLATFORM, REFERRED

_EACH: tuple[tuple[str, str, int, bool], ...] = (
    ("Content", "id", 8, False),
    ("ContentComment", "id", 8, False),
    ("Invoice", "id", 3, False),
    ("Payment", "id", 5, True),
    ("ActivityEvent", "uuid", 20, True),
    ("audit_events", "id", 20, True),
    ("Job", "id", 4, True),
)
"""Table, its uuid, how many rows each client adopts, and whether nothing hangs on them."""

_ODD = 2
"""Of each table and client so many, if there are any, whose id is in capitals or has no hyphens."""

_SHARED_ROWS = 40


def adopt(connection: psycopg.Connection, models: Sequence[Model], rng: random.Random) -> Adoption[Shared]:
    """Give each model its rows. No other client may write meanwhile. Raises NothingThere."""
    names = names_now(connection)
    reader = Reader(connection, PLATFORM, names)
    shared = _shared(connection, reader, names, rng)
    adopted: set[tuple[str, Key]] = set()
    for name, column, each, is_leaf in _EACH:
        table = PLATFORM[name]
        taken = set(shared.jobs) if name == "Job" else set()
        found = [
            *_odd_ids(connection, table, column, names, _ODD * len(models)),
            *reader.probe(table, column, each * len(models), rng),
        ]
        for number, row_id in enumerate(dict.fromkeys(one for one in found if one not in taken)):
            model = models[number % len(models)]
            for row in reader.rows(table, (column,), (row_id,)):
                key = model.put(name, row)
                if not is_leaf:
                    adopted.add((name, key))
    for model in models:
        model.commit()
    return Adoption(
        shared=shared,
        beginning=reader.begin(models, [("Job", "attempts", shared.jobs)]),
        with_strangers=frozenset(adopted),
    )


def _shared(connection: psycopg.Connection, reader: Reader, names: Names, rng: random.Random) -> Shared:
    vocabulary = Vocabulary(tables=KNOWN, names=names, written_out={})

    def probe(name: str) -> tuple[str, ...]:
        table = REFERRED.get(name) or PLATFORM[name]
        found = reader.probe(table, "id", _SHARED_ROWS, rng)
        if not found:
            raise NothingThere(f"the application needs the platform, filled: {name} is empty")
        return found

    holders = connection.execute(vocabulary.render(HOLDERS).text).fetchall()
    tags = connection.execute(vocabulary.render(TAGS).text).fetchall()
    return Shared(
        tenants=probe("Tenant"),
        accounts=probe("Account"),
        roles=probe("Role"),
        users=probe("User"),
        media=probe("Media"),
        sessions=probe("UserSession"),
        subscriptions=probe("Subscription"),
        jobs=probe("Job")[:10],
        tags=tuple(tag for (tag,) in tags),
        holders=tuple((user, tenant) for user, tenant in holders),
    )


def _odd_ids(connection: psycopg.Connection, table: Table, column: str, names: Names, wanted: int) -> list[str]:
    name = names.column(table, column)
    query = SQL("SELECT {0}::text FROM {1} WHERE {0}::text ~ '[A-F]' OR {0}::text !~ '-' LIMIT {2}").format(
        name, names.relation(table), Literal(wanted)
    )
    return [row_id for (row_id,) in connection.execute(query).fetchall()]
