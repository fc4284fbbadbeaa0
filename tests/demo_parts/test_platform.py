"""The platform's application finds everything again, and sees what is wrong."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from demo.application import Application, Journal, check_journal
from demo.datasets.platform import create_platform
from demo.datasets.platform.workload.operations import OLD_KINDS
from demo.embedded import EmbeddedPostgres

pytestmark = pytest.mark.protocol


@pytest.fixture(scope="module")
def journal(postgres: EmbeddedPostgres) -> Iterator[Journal]:
    """The database `platform_written`, to which clients of the old style wrote for a while; and their journal."""
    url = postgres.create_database("platform_written")
    create_platform(url, rows=3_000)
    with Application(url=url, data_set="platform", clients=3, rate=150) as application:
        time.sleep(2)
        report = application.stop()
    assert report.errors == []
    assert report.lost == []
    assert report.found_again == report.acknowledged > 300
    # Then every kind of transaction was there, and clients of the new style still wait for their schema
    assert set(report.by_kind) == set(OLD_KINDS)
    assert report.by_style["new"] == 0
    assert application.journal is not None
    yield application.journal
    postgres.drop_database("platform_written")


def test_rows_of_all_tables_are_in_the_journal(journal: Journal) -> None:
    assert [name for name, rows in journal.rows.items() if not rows and name != "Category"] == []
    ids = [str(row["id"]) for row in journal.rows["audit_events"] + journal.rows["Content"]]
    assert any("-" not in one for one in ids)
    assert any(one.upper() == one for one in ids)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ('DELETE FROM "_ContentToTag" WHERE "A" = (SELECT max("A") FROM "_ContentToTag")', "rows in all"),
        ('UPDATE "Job" SET attempts = attempts + 1', "attempts is"),
        ("UPDATE audit_events SET entity_id = upper(entity_id)", "altered: entity_id"),
        ('UPDATE "Content" SET "mediaIds" = "mediaIds" || ARRAY["mediaIds"[1]]', "altered: mediaIds"),
        ('UPDATE "AccountMember" SET role = upper(role)', "altered: role"),
    ],
)
def test_what_changed_behind_its_back_is_found(
    postgres: EmbeddedPostgres, journal: Journal, statement: str, complaint: str
) -> None:
    url = postgres.create_database("platform_tampered", template="platform_written")
    with psycopg.connect(url) as connection:
        assert connection.execute(statement.encode()).rowcount
    found = check_journal(url, journal)
    postgres.drop_database("platform_tampered")
    assert any(complaint in sentence for sentence in found.lost), found.lost[:5]


def test_one_row_lost_altered_or_back_from_the_dead(postgres: EmbeddedPostgres, journal: Journal) -> None:
    url = postgres.create_database("platform_tampered", template="platform_written")
    # Given an event, a payment and an answer of the journal
    deleted, (dead,) = journal.rows["ActivityEvent"][0], journal.gone["audit_events"][0]
    with psycopg.connect(url) as connection:
        connection.execute('DELETE FROM "ActivityEvent" WHERE uuid = %s', [deleted["uuid"]])
        connection.execute('UPDATE "Payment" SET amount = amount + 1 WHERE id = %s', [journal.rows["Payment"][0]["id"]])
        connection.execute(
            "INSERT INTO audit_events (id, tenant_id, entity_type, entity_id, action)"
            " SELECT %s, tenant_id, entity_type, entity_id, action FROM audit_events LIMIT 1",
            [dead],
        )
    found = check_journal(url, journal)
    postgres.drop_database("platform_tampered")
    events, audits = journal.totals["ActivityEvent"], journal.totals["audit_events"]
    assert set(found.lost) == {
        f"public.ActivityEvent {deleted['uuid']}: lost",
        f"public.ActivityEvent: {events - 1} rows in all, not {events}",
        f"public.Payment {journal.rows['Payment'][0]['id']}: altered: amount",
        f"public.audit_events {dead}: resurrected, or never committed",
        f"public.audit_events: {audits + 1} rows in all, not {audits}",
    }
