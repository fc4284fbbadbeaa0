"""SIGTERM to `run` while a statement is under way: a clean end, and no words of the driver's."""

import logging
import os
import signal
import threading
import time

import psycopg
import pytest
from support.runs.harness import Url, eventually

from producer.coordinator.run import STOPPED, Stopped, _on_sigterm
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'replank asleep' AND state = 'active'"


def _sleepers(app: psycopg.Connection) -> int:
    found = app.execute(ASLEEP).fetchone()
    assert found is not None
    return int(found[0])


def test_a_statement_under_way_is_cancelled_and_nothing_is_said_of_it(
    app: psycopg.Connection, database: Url, caplog: pytest.LogCaptureFixture
) -> None:
    def end_when_asleep() -> None:
        eventually(lambda: _sleepers(app) == 1, "the statement")
        os.kill(os.getpid(), signal.SIGTERM)

    ending = threading.Thread(target=end_when_asleep)
    began = time.monotonic()
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(Stopped, match=STOPPED[:30]),
        _on_sigterm(STOPPED),
        connect(database, name="asleep") as connection,
        connection.transaction(),
    ):
        ending.start()
        connection.execute("SELECT pg_sleep(30)")
    ending.join()
    assert caplog.messages == []
    # The server does not work on for a client that has gone
    eventually(lambda: _sleepers(app) == 0, "its end", deadline_s=5)
    assert time.monotonic() - began < 10


def test_a_sigterm_that_a_library_loses_ends_the_command_all_the_same() -> None:
    """Seen once: a run that was told to end just after it had begun waited for workers instead."""
    went_on = []
    with pytest.raises(Stopped, match=STOPPED[:20]), _on_sigterm(STOPPED) as end_if_asked:
        end_if_asked()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except KeyboardInterrupt:
            went_on.append("lost")
        end_if_asked()
        went_on.append("a turn more")
    assert went_on == ["lost"]
    with pytest.raises(Stopped), _on_sigterm(STOPPED):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except KeyboardInterrupt:
            went_on.append("lost again")
    assert went_on == ["lost", "lost again"]
