"""The broker from outside: emptying it, and whether everything in it has been consumed."""

import redis

from demo.embedded import EmbeddedValkey
from replank.values.messages import QUEUES


def flush(broker: EmbeddedValkey) -> None:
    """FLUSHALL: every queued and every unacknowledged message is gone."""
    with redis.Redis.from_url(broker.url()) as client:
        client.flushall()


def messages(broker: EmbeddedValkey) -> int:
    """Messages that are queued, or delivered and not acknowledged, of any database."""
    with redis.Redis.from_url(broker.url(), decode_responses=True) as client:
        queued = sum(int(str(client.llen(key))) for queue in QUEUES for key in client.scan_iter(f"*:{queue}"))
        return queued + sum(int(str(client.hlen(key))) for key in client.scan_iter("*:unacked"))
