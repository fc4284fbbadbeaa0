"""Celery's way to the broker, made for a ledger that sends again: nothing is put back, nothing unreadable gets in.

Kombu puts unacknowledged messages back when a connection closes. Over a broker that has died it fails, and ends the
worker's consumer for good. The ledger sends every job again that nobody has claimed, so nothing has to be put back; and
an acknowledgement over a connection that is gone is left out: what comes a second time finds its job leased or done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import Empty
from typing import Any, ClassVar

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis

from replank.messages import QUEUES
from workers.readable import Unreadable, readable

log = structlog.get_logger()

NOT_DECODED = (ValueError, TypeError, ArithmeticError, RecursionError)
"""What reading bytes as JSON raises, kombu's own types in it included: text, depth, numbers, unknown types."""


# Kombu has no types: what is called or extended here is untyped.
class QoS(redis.QoS):
    """What was delivered and is not acknowledged yet."""

    restore_at_shutdown = False

    def ack(self, delivery_tag: str) -> None:
        if self._connected():
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self._connected():
            super().reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]

    def _connected(self) -> bool:
        transport = self.channel.connection
        return not self.channel.closed and transport is not None and transport.client is not None


class Asking:
    """The part of a channel that says when the broker has answered its question for messages."""

    QoS = QoS
    on_answer: ClassVar[tuple[Callable[[], None], ...]] = ()

    def _brpop_read(self, **options: Any) -> Any:
        try:
            found = super()._brpop_read(**options)  # type: ignore[misc]
        except Empty:
            self._answered()
            raise
        self._answered()
        return found

    def _answered(self) -> None:
        for tell in self.on_answer:
            tell()


class Channel(Asking, redis.Channel):
    """For one server."""


class SentinelChannel(Asking, redis.SentinelChannel):
    """For a server that sentinels name."""


class Readable:
    """The part of a transport that drops what is no message of ours. Redis has given it up already: it is gone."""

    dropped = 0

    def on_readable(self, fileno: int) -> None:
        try:
            super().on_readable(fileno)  # type: ignore[misc]
        except NOT_DECODED as error:
            self._drop(type(error).__name__)

    def _deliver(self, message: object, queue: str) -> None:
        try:
            found = readable(message, queue, ours=queue in QUEUES)
        except Unreadable as error:
            self._drop(str(error))
            return
        super()._deliver(found, queue)  # type: ignore[misc]

    def _drop(self, reason: str) -> None:
        """Say so for the first, the second, the fourth one, and so on: there may be thousands."""
        self.dropped += 1
        if self.dropped & (self.dropped - 1) == 0:
            log.warning("a message that Replank has not sent was dropped", reason=reason, dropped=self.dropped)


class Transport(Readable, redis.Transport):  # type: ignore[misc]
    Channel = Channel


class SentinelTransport(Readable, redis.SentinelTransport):  # type: ignore[misc]
    Channel = SentinelChannel


def use_in_this_process(answered: Callable[[], None]) -> None:
    """Every URL scheme of Redis leads to these transports, in this process. Call it before the first connection.

    `answered` is called each time when the broker has said whether there is a message.
    """
    Asking.on_answer = (answered,)
    ours: Mapping[str, type] = {"redis": Transport, "rediss": Transport, "sentinel": SentinelTransport}
    for scheme, transport in ours.items():
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{transport.__name__}"
