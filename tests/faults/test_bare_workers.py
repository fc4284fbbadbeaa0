"""Workers that nobody starts again: a broker that dies under them, and messages that nobody can read."""

import time

import pytest
import redis
from support.runs.attacks import Attack
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Process, Site
from support.runs.waiting import stays, wait_for
from support.schemas.small_shop import differences

from demo.embedded import EmbeddedValkey
from faults.broker_view import flush, messages
from faults.raw_messages import copies, garbage, open_queue
from faults.sending import controlling
from replank.values.messages import QUEUES

pytestmark = pytest.mark.faults

WORKERS = 3
MESSAGES = 20_000
KILLS = 5
APART_S = 2.0
DOWN_S = 0.5


def working(workers: list[Process], ledger: LedgerView) -> list[Process]:
    """Those of the workers one of whose children has a job."""
    busy = {lease.process for lease in ledger.leases()}
    return [worker for worker in workers if busy & {child.pid for child in worker.family()}]


@pytest.mark.attack("D4", "the broker is killed again and again under busy workers that nobody restarts")
def test_broker_killed_five_times_under_bare_workers(
    site: Site, broker: EmbeddedValkey, ledger: LedgerView, attack: Attack
) -> None:
    # Given: a run that has jobs, and workers that acknowledge one short job after the other
    site.run(workers=0)
    ledger.wait_for_states({"copying"})
    site.end()
    flush(broker)
    with redis.Redis.from_url(broker.url(), decode_responses=True) as client:
        queue, message = open_queue(site, client)
        client.lpush(queue, *copies(message, MESSAGES))
    workers = [site.worker("--concurrency=2", "--name", f"w{n}@test") for n in range(WORKERS)]
    wait_for("the workers to be busy", lambda: messages(broker) < MESSAGES * 0.97)

    def explain() -> str:
        return "\n".join([ledger.explain(), *(f"-- {worker.pid}: {worker.stderr[-3000:]}" for worker in workers)])

    # When: the broker dies under them, and comes back
    for _ in range(KILLS):
        broker.kill()
        time.sleep(DOWN_S)
        broker.resume()
        time.sleep(APART_S - DOWN_S)
    assert messages(broker) > 0
    flush(broker)
    with locked(site.database_url, "replank_next", "orders"):
        run = site.run(workers=0)
        # Then: every one of them lives and takes jobs
        assert [worker.stderr[-1500:] for worker in workers if not worker.running] == []
        wait_for(
            "every worker to work again",
            lambda: len(working(workers, ledger)) == WORKERS,
            explain=explain,
            deadline_s=12,
        )
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert ledger.unfinished_jobs() == 0
    attack.record(f"all of {WORKERS} workers lived and worked on; the run ended done", tried=KILLS)


@pytest.mark.attack("D4", "messages that nobody can read lie in every queue")
def test_unreadable_messages_are_dropped_beside_the_work(site: Site, broker: EmbeddedValkey, attack: Attack) -> None:
    # Given: hundreds of unreadable messages before all others, in every queue and on the workers' own channels
    with redis.Redis.from_url(broker.url(), decode_responses=True) as client:
        queue, message = open_queue(site, client)
        found = garbage(message)
        many = (found * (1 + 250 // len(found)))[: max(250, len(found))]
        for name in QUEUES:
            client.rpush(queue.removesuffix("replank.copy") + name, *many)
        # When: one worker meets them, and does a whole run meanwhile
        worker = site.worker("--concurrency=2")
        run = site.run(workers=0)
        channel = queue.removesuffix("replank.copy") + "/0.celery.pidbox"
        wait_for("the worker to listen", lambda: client.publish(channel, "{}"))
        for one in found:
            client.publish(channel, one)
        finished = run.wait()
    # Then
    assert finished.exit_code == 0, finished.stderr
    assert worker.running, worker.stderr[-1500:]
    assert differences(site.database_url) == []
    assert messages(broker) == 0
    assert worker.stderr.count("was dropped") < 30
    assert "dropped a message that Replank did not send" in worker.stderr
    attack.record("all were dropped with a warning; the worker lived and did the run", tried=len(many) * len(QUEUES))


@pytest.mark.attack("D4", "a worker that is connected and consumes nothing")
def test_a_deaf_worker_ends_itself(site: Site, attack: Attack) -> None:
    # Given: a worker that is connected, and has stopped to consume
    worker = site.worker("--concurrency=1", "--name=deaf@test", REPLANK_DEAF_AFTER_S="2")
    with controlling(site) as control:
        wait_for("the worker to answer", lambda: control.ping(destination=["deaf@test"], timeout=0.3))
        for queue in QUEUES:
            control.cancel_consumer(queue, destination=["deaf@test"], reply=True)
    assert worker.running
    # When: jobs are sent
    run = site.run(workers=0)
    # Then: it ends, so that its supervisor starts it again, and says why
    assert worker.wait(deadline_s=30).exit_code == 1
    assert worker.stderr.count("it no longer receives jobs from the broker") == 1
    # And: one that listens stays, however long it has nothing to do, and does the run
    listening = site.worker("--concurrency=1", REPLANK_DEAF_AFTER_S="3")
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert stays(lambda: listening.running, for_s=4)
    assert differences(site.database_url) == []
    attack.record("it ended with exit code 1 and a line that says why; another one did the run")
