"""What a worker says when it starts: its own lines, none of Celery's; and a broker that refuses its login ends it."""

import time

import pytest
from support.runs.processes import Site
from support.runs.waiting import wait_for

from demo.embedded import EmbeddedValkey

pytestmark = pytest.mark.cli

WRONG = "looking-glass"


def test_a_refused_login_at_the_broker_ends_it_as_it_ends_a_run(site: Site, broker: EmbeddedValkey) -> None:
    url = broker.url().replace(broker.password, WRONG)
    run = site.call("run", str(site.plan), REPLANK_BROKER_URL=url)
    worker = site.call("worker", "--concurrency", "1", REPLANK_BROKER_URL=url, deadline_s=30)
    said = [line for line in run.stderr.splitlines() if line.startswith("replank: ")]
    assert len(said) == 1
    assert said[0] in worker.stderr
    assert "refuses" in said[0]
    assert worker.exit_code == run.exit_code != 0
    for words in ("Traceback", "consumer:", "Trying again", WRONG):
        assert words not in worker.stderr


def test_a_broker_that_is_not_there_is_waited_for(site: Site) -> None:
    worker = site.worker("--concurrency", "1", REPLANK_BROKER_URL="redis://127.0.0.1:1/0")
    wait_for("a word of the missing broker", lambda: "Cannot connect to" in worker.stderr, deadline_s=30)
    time.sleep(1)
    assert worker.running, worker.stderr


def test_celery_says_nothing_of_its_own(site: Site) -> None:
    worker = site.worker("--concurrency", "1", "--name", "w@here")
    wait_for("its own line", lambda: "the worker starts" in worker.stderr, deadline_s=30)
    time.sleep(2)
    assert worker.running, worker.stderr
    worker.terminate()
    ended = worker.wait(deadline_s=30)
    for words in ("SecurityWarning", "--uid", "[config]", "[queues]", "celery@"):
        assert words not in ended.stdout + ended.stderr, ended.stdout + ended.stderr
