"""What travels over the queue: ids only, addressed by the queue's name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Thread

import pytest
import redis
from fakeredis import TcpFakeServer

from producer.dispatch.dispatcher import Dispatcher
from replank.settings import load_settings
from replank.values.chunk import Axis
from replank.values.messages import QUEUE_OF
from replank.values.states import JobKind
from sql.ledger.jobs.job_queue import Sendable

pytestmark = pytest.mark.unit


@pytest.fixture
def broker() -> Iterator[str]:
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()
    thread.join()


def _job(kind: JobKind) -> Sendable:
    return Sendable(job_id=7, kind=kind, table_no=1, axis=Axis.HEAP, lower=("0",), upper=("16384",))


def test_a_message_carries_ids_and_no_secret(broker: str) -> None:
    settings = load_settings(database_url="postgresql://anna:s3cret@db/shop", broker_url=broker)
    dispatcher = Dispatcher(settings, database="77:5")
    late = dispatcher.send(3, [_job(JobKind.COPY), _job(JobKind.VERIFY)], {1: "public.Booking"})
    dispatcher.close()
    assert late == []
    with redis.Redis.from_url(broker) as client:
        for kind in (JobKind.COPY, JobKind.VERIFY):
            (message,) = client.lrange(f"replank:77:5:{QUEUE_OF[kind]}", 0, -1)
            envelope = json.loads(message)
            assert envelope["headers"]["task"] == "replank.execute"
            assert "copy public.Booking heap [0, 16384)" in envelope["headers"]["kwargsrepr"] or kind is JobKind.VERIFY
            assert b"s3cret" not in message
            assert envelope["content-type"] == "application/json"


def test_a_broker_that_is_gone_costs_nothing_but_time() -> None:
    settings = load_settings(database_url="postgresql://db/shop", broker_url="redis://127.0.0.1:1/0")
    dispatcher = Dispatcher(settings, database="77:5")
    assert dispatcher.send(3, [_job(JobKind.COPY)], {1: "public.Booking"}) == [7]
    dispatcher.close()


def test_every_kind_of_job_has_a_queue() -> None:
    assert set(QUEUE_OF) == set(JobKind)
