"""Notifications, told to real receivers: signed, retried, once for all that count, and never in a run's way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from support.runs.harness import Rebuild
from support.servers.receiving import SECRET, Receiver, receiver

from producer.notifications import following
from producer.notifications.command_notifier import notifier_for, rolled_back
from producer.notifications.following import Follower, Notifier
from producer.notifications.receivers import receivers_of
from replank.errors import WrongUse
from replank.plan.operation.notifications_plan import NotificationsPlan
from sql.ledger.reading import deliveries
from sql.ledger.runs.events import add_event
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

Begin = Callable[[], Rebuild]
PLAN = NotificationsPlan()
QUICK_S = 0.05


def follower(database: str, rebuild: Rebuild, site: Receiver) -> Follower:
    (known,) = receivers_of(PLAN, {"REPLANK_NOTIFY_URLS": site.url, "REPLANK_NOTIFY_SECRET": SECRET})
    return Follower(database_url=database, run_id=rebuild.run_id, receiver=known, plan=PLAN, first_wait_s=QUICK_S)


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "not within 20 s"
        time.sleep(0.02)


def ended(one: Follower) -> None:
    one.end()
    one.join(20)
    assert not one.is_alive()


def say(database: str, rebuild: Rebuild, kind: str, message: str = "") -> None:
    with connect(database, name="test") as connection:
        add_event(connection, rebuild.run_id, actor="coordinator", kind=kind, message=message)


def test_a_whole_run_is_told_in_order_and_signed(begin: Begin, database: str) -> None:
    rebuild = begin()
    with receiver() as site:
        one = follower(database, rebuild, site)
        one.start()
        rebuild.finish()
        ended(one)
        assert site.kinds() == ["run", "cutover", "done"]
        types = [document["type"] for _, document in site.told()]
        assert types == ["run.start", "run.cutover", "run.finish"]
        first = site.told()[0][1]["data"]
        assert first["run"] == rebuild.run_id
        assert (first["plan"], first["database"]) == ("plan", database.rsplit("/", 1)[1])


def test_errors_are_tried_again_with_the_same_id_and_a_new_time(
    begin: Begin, database: str, app: psycopg.Connection
) -> None:
    rebuild = begin()
    with receiver(500, 503, 302) as site:
        one = follower(database, rebuild, site)
        one.start()
        eventually(lambda: len(site.asked) == 4)
        ended(one)
        ids = {message for message, _ in site.told()}
        assert len(ids) == 1
        kept = app.execute("SELECT state, attempts FROM replank.delivery").fetchall()
        assert kept == [("delivered", 4)]


def test_what_a_receiver_refuses_for_good_is_given_up(begin: Begin, database: str, app: psycopg.Connection) -> None:
    rebuild = begin()
    say(database, rebuild, "needs_operator", "look")
    with receiver(410, 400, 400, 400, 400, 400) as site:
        one = follower(database, rebuild, site)
        one.start()
        ended(one)
        assert len(site.asked) == 6
    kept = app.execute("SELECT state, attempts, problem FROM replank.delivery ORDER BY event_id").fetchall()
    assert [(state, attempts) for state, attempts, _ in kept] == [("given_up", 1), ("given_up", 5)]
    assert "secret" not in str(app.execute("SELECT * FROM replank.delivery").fetchall())


def test_one_who_is_killed_before_the_delivery_is_followed_by_one_who_delivers(
    begin: Begin, database: str, app: psycopg.Connection
) -> None:
    """The receiver has taken it, but nobody wrote that down: it comes once more, and its id says so."""
    rebuild = begin()
    shut = threading.Event()
    with receiver(held=shut) as site:
        killed = follower(database, rebuild, site)
        killed.start()
        eventually(lambda: len(site.asked) == 1)
        # Its session ends as that of a killed process does, while the answer is on its way.
        app.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'replank notifier'"
        )
        killed.stop()
        shut.set()
        killed.join(20)
        say(database, rebuild, "needs_operator", "look at it")
        after = follower(database, rebuild, site)
        after.start()
        ended(after)
        told = site.told()
        assert site.kinds() == ["run", "run", "needs_operator"]
        assert told[0][0] == told[1][0] != told[2][0]


def test_an_event_that_commits_late_is_not_passed_over(begin: Begin, database: str) -> None:
    """A cursor over ids would be past it."""
    rebuild = begin()
    with psycopg.connect(database) as slow, receiver() as site:
        slow.execute(
            "INSERT INTO replank.event (run_id, actor, kind, message) VALUES (%s, 'x', 'step', 'slow')",
            [rebuild.run_id],
        )
        say(database, rebuild, "needs_operator")
        one = follower(database, rebuild, site)
        one.start()
        eventually(lambda: "needs_operator" in site.kinds())
        slow.commit()
        ended(one)
        assert site.kinds() == ["run", "needs_operator", "step"]


def test_of_two_followers_one_delivers_and_the_other_takes_over(begin: Begin, database: str) -> None:
    rebuild = begin()
    with receiver() as site:
        first, second = follower(database, rebuild, site), follower(database, rebuild, site)
        first.start()
        eventually(lambda: len(site.asked) == 1)
        second.start()
        say(database, rebuild, "step", "two")
        eventually(lambda: len(site.asked) == 2)
        ended(first)
        say(database, rebuild, "step", "three")
        eventually(lambda: len(site.asked) == 3)
        ended(second)
        assert [document["data"]["message"] for _, document in site.told()][1:] == ["two", "three"]


def test_a_receiver_that_hangs_holds_up_neither_the_run_nor_the_others(
    begin: Begin, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = begin()
    never = threading.Event()
    with receiver(held=never) as hanging, receiver() as good:
        monkeypatch.setenv("REPLANK_NOTIFY_URLS", f"{hanging.url} {good.url}")
        monkeypatch.setenv("REPLANK_NOTIFY_SECRET", SECRET)
        known = receivers_of(PLAN, os.environ)
        notifier = Notifier(database, rebuild.run_id, PLAN, known)
        notifier.start()
        rebuild.finish()
        eventually(lambda: good.kinds() == ["run", "cutover", "done"])
        began = time.monotonic()
        assert not notifier.finish(0.3)
        assert time.monotonic() - began < 2
        never.set()


def test_a_command_that_ends_says_that_somebody_was_not_told(
    begin: Begin, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rebuild = begin()
    monkeypatch.setattr(following, "FLUSH_S", 0.2)
    with receiver(*[500] * 50) as site:
        known = receivers_of(PLAN, {"REPLANK_NOTIFY_URLS": site.url, "REPLANK_NOTIFY_SECRET": SECRET})
        with Notifier(database, rebuild.run_id, PLAN, known):
            eventually(lambda: len(site.asked) > 0)
    assert "`replank notify --once` tries once to deliver them" in " ".join(capsys.readouterr().err.split())


def test_a_rollback_that_takes_the_ledger_away_is_told_all_the_same(
    begin: Begin, database: str, monkeypatch: pytest.MonkeyPatch, app: psycopg.Connection
) -> None:
    rebuild = begin()
    app.execute("UPDATE replank.run SET plan = plan || '{\"notifications\": {}}'")
    with receiver() as site:
        monkeypatch.setenv("REPLANK_NOTIFY_URLS", site.url)
        monkeypatch.setenv("REPLANK_NOTIFY_SECRET", SECRET)
        run = rebuild.run
        with notifier_for(database, None, say=lambda words: pytest.fail(words)) as notifier:
            eventually(lambda: site.kinds() == ["run"])
            app.execute("DROP SCHEMA replank CASCADE")
            notifier.tell_last(rolled_back(run, by="ana"))
        assert site.kinds() == ["run", "rolled_back"]


def test_a_way_back_does_not_fail_for_want_of_a_variable(
    begin: Begin, database: str, monkeypatch: pytest.MonkeyPatch, app: psycopg.Connection
) -> None:
    begin()
    app.execute("UPDATE replank.run SET plan = plan || '{\"notifications\": {}}'")
    monkeypatch.delenv("REPLANK_NOTIFY_URLS", raising=False)
    said: list[str] = []
    with notifier_for(database, None, said.append):
        pass
    assert "REPLANK_NOTIFY_URLS has no address" in said[0]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "has no address"),
        ({"REPLANK_NOTIFY_URLS": "ftp://x/y"}, "address 1"),
        ({"REPLANK_NOTIFY_URLS": "https://x/y"}, "begin with whsec_"),
        ({"REPLANK_NOTIFY_URLS": "https://x/y", "REPLANK_NOTIFY_SECRET": "whsec_%%"}, "not base64"),
        ({"REPLANK_NOTIFY_URLS": "https://x/y", "REPLANK_NOTIFY_SECRET": "whsec_c2hvcnQ="}, "5 bytes"),
    ],
)
def test_a_section_that_would_tell_nobody_is_refused(environment: dict[str, str], words: str) -> None:
    with pytest.raises(WrongUse, match=words) as refused:
        receivers_of(PLAN, environment)
    assert "c2hvcnQ" not in str(refused.value)


def test_counts(begin: Begin, database: str) -> None:
    rebuild = begin()
    with receiver() as site:
        one = follower(database, rebuild, site)
        one.start()
        ended(one)
    with connect(database, name="test") as connection:
        assert deliveries.count_by_state(connection, rebuild.run_id) == {"trying": 0, "delivered": 1, "given_up": 0}
