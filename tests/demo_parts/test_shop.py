"""The shop of SQLAlchemy and Alembic: its clients write throughout a run, and its models and history follow."""

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal
from rich.console import Console
from support.servers.shared import new_database

from demo.application import Application
from demo.datasets.shop.columns import UUID_COLUMNS
from demo.datasets.shop.create import create_shop
from demo.datasets.shop.data_set import SHOP
from demo.datasets.shop.workload.operations import KINDS
from demo.datasets.shop.workload.tables import SHOP as TABLES
from demo.demonstration.demonstration import Demonstration
from demo.demonstration.offline import offline_alter
from demo.demonstration.result import Result
from demo.demonstration.stage import Options
from demo.embedded import EmbeddedPostgres, EmbeddedValkey

pytestmark = [pytest.mark.alembic, pytest.mark.contrib, pytest.mark.timeout(600)]

DATABASE = "shop_demonstration"
ROWS = 2_000
LEAST = 3
"""Transactions of each client in each phase: few, because a busy machine lets clients wait."""

COUNTED = ("stock", "version")
"""Columns of products that all clients write to; the journal has their sums."""


ROWS_OF = "SELECT (to_jsonb(t) - {counted}::text[])::text FROM {table} AS t WHERE {key} <> ALL ({touched}::text[])"


@pytest.fixture(scope="module")
def told() -> io.StringIO:
    """What the demonstration tells while it runs."""
    return io.StringIO()


@pytest.fixture(scope="module")
def shown(postgres: EmbeddedPostgres, broker: EmbeddedValkey, told: io.StringIO) -> Iterator[Result]:
    """What `replank demo --shop` does, on servers that stay."""
    options = Options(
        rows=ROWS,
        workers=2,
        rate=16,
        traffic_s=1,
        rehearse=False,
        there_and_back=False,
        out=Path("unused.html"),
        managed=False,
    )
    console = Console(file=told, width=200)
    yield Demonstration(SHOP, options=options, console=console).run_on(postgres, broker.url(), database=DATABASE)
    postgres.drop_database(DATABASE)


def test_no_client_has_seen_an_error_and_nothing_is_lost(shown: Result) -> None:
    application = shown.application
    assert (application.errors, application.failed, application.lost) == ([], 0, [])
    assert application.unknown == 0
    assert application.found_again == application.acknowledged > 0
    assert set(application.by_kind) == set(KINDS)
    assert shown.good, shown.verification


def test_each_client_wrote_while_the_run_copied_while_it_swapped_and_afterwards(shown: Result) -> None:
    assert len(shown.by_client) == SHOP.clients
    for client, by_phase in shown.by_client.items():
        assert min(by_phase[phase] for phase in ("copy", "swap", "after")) >= LEAST, (client, by_phase)
        assert sum(by_phase.values()) <= len(shown.application.ended_at[client])


def test_nothing_that_the_clients_send_alarms_the_check(shown: Result, told: io.StringIO) -> None:
    assert shown.migration.state == "done"
    assert "finds none that will fail after the swap" in told.getvalue()


def test_rows_that_no_client_has_touched_are_the_same_in_past_and_live_tables(
    shown: Result, postgres: EmbeddedPostgres
) -> None:
    assert shown.journal is not None
    with psycopg.connect(postgres.url(DATABASE)) as connection:
        for name, table in TABLES.by_name.items():
            written = [tuple(str(row[column]) for column in table.key) for row in shown.journal.rows[name]]
            touched = ["/".join(key) for key in [*written, *shown.journal.gone[name]]]
            key = SQL(" || '/' || ").join(SQL("{}::text").format(Identifier(column)) for column in table.key)
            past, live = (
                SQL(ROWS_OF).format(
                    counted=Literal(list(COUNTED)), table=Identifier(schema, name), key=key, touched=Literal(touched)
                )
                for schema in ("replank_past", "public")
            )
            for one, other in ((past, live), (live, past)):
                assert connection.execute(SQL("{} EXCEPT ALL {}").format(one, other)).fetchall() == [], name
            if name in ("order_lines", "orders", "events", "products"):
                assert connection.execute(live).fetchall() != [], f"every row of {name} was touched"


def test_alembic_finds_nothing_to_do_and_the_revision_is_stamped(shown: Result) -> None:
    assert shown.history is not None
    assert shown.history.same, shown.history.compared
    assert shown.history.stamped
    # One is typed by an annotation, and one has no type of its own; the other change by hand is of a default.
    assert shown.history.patched == sum(map(len, UUID_COLUMNS.values())) - len(("carriers.id", "users.invited_by"))
    assert shown.history.by_hand == len(("carriers.id", "products.label"))


def test_an_application_that_was_not_prepared_fails_and_is_counted(shown: Result, postgres: EmbeddedPostgres) -> None:
    with new_database(postgres, "shop_unprepared") as url:
        create_shop(url, rows=1_000)
        with Application(url=url, data_set="shop_unprepared", rate=60) as application:
            time.sleep(1)
            before = application.look()
            assert (before.failed, before.lost) == (0, [])
            assert before.transactions > 0
            offline_alter(url, [(*table, columns) for table, columns in UUID_COLUMNS.items()])
            application.go_on()
            time.sleep(1)
            after = application.stop()
    assert after.failed > 0
    assert any("uuid = character varying" in error for error in after.errors), after.errors
    # What was acknowledged is there all the same, and the demonstration is not called good
    assert after.lost == []
    result = replace(shown, application=after)
    assert not result.good
    assert result.to_json()["app_errors"] == after.failed
