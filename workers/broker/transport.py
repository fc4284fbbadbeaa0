"""Celery's way to the broker, made for a ledger that sends again: nothing is put back, nothing unreadable gets in.

Kombu puts unacknowledged messages back when a connection closes. Over a broker that has died it fails, and ends the
worker's consumer for good. The ledger sends every unclaimed job again, so nothing has to be put back; and
an acknowledgement over a connection that is gone is left out: what comes a second time finds its job leased or done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from queue import Empty
from typing import Any, ClassVar

import structlog
from celery.exceptions import WorkerShutdown
from celery.platforms import EX_FAILURE
from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import AuthenticationError

from replank.values.messages import QUEUES
from workers.broker.readable import Unreadable, readable

log = structlog.get_logger()

NOT_JSON = (ValueError, RecursionError)
"""What reading bytes as JSON raises: no text, no JSON, too deep."""

NOT_DECODED = (RecursionError, ArithmeticError, AttributeError, LookupError)
"""What kombu's own types in JSON (dates, decimals, bytes) raise besides."""


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


class Channel(redis.Channel):
    """It says when the broker has answered its question for messages."""

    QoS = QoS
    on_answer: ClassVar[tuple[Callable[[], None], ...]] = ()

    def _brpop_read(self, **options: Any) -> bool:
        """Kombu's own, but for an item that cannot be read: Redis has given it up already, so it is gone."""
        try:
            try:
                found = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                # The next round connects again.
                self.client.connection.disconnect()
                raise
            self._answered()
            if not found:
                raise Empty
            queue = bytes_to_str(found[0]).rsplit(self.sep, 1)[0]  # type: ignore[no-untyped-call]
            self._queue_cycle.rotate(queue)
            self.connection.deliver(found[1], queue)
            return True
        finally:
            self._in_poll = None  # type: ignore[assignment]
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]

    def _receive_one(self, c: Any) -> Any:
        """Of Celery's own channel (remote control), where kombu lets two kinds of errors pass and not these."""
        try:
            return super()._receive_one(c)  # type: ignore[no-untyped-call]
        except NOT_DECODED as error:
            self.connection.drop(type(error).__name__)
            raise Empty from None

    def _answered(self) -> None:
        for notify in self.on_answer:
            notify()


class SentinelChannel(Channel, redis.SentinelChannel):
    """For a server that sentinels name."""


class Transport(redis.Transport):
    """It drops what is no message of ours. Redis has given it up already: it is gone."""

    Channel = Channel
    dropped = 0
    refusal: ClassVar[AuthenticationError | None] = None
    """Set where the broker has answered and does not take our login."""

    def establish_connection(self) -> Any:
        """Raises WorkerShutdown where the login is refused: Celery would try it again for ever.

        A broker that is not there is tried again, by Celery.
        """
        try:
            return super().establish_connection()  # type: ignore[no-untyped-call]
        except AuthenticationError as error:
            Transport.refusal = error
            raise WorkerShutdown(EX_FAILURE) from None

    def deliver(self, item: bytes, queue: str) -> None:
        """An item of a queue, as it lay there."""
        try:
            message = json.loads(item)
        except NOT_JSON as error:
            self.drop(type(error).__name__)
            return
        self._deliver(message, queue)

    def _deliver(self, message: object, queue: str) -> None:
        try:
            found = readable(message, queue, ours=queue in QUEUES)
        except Unreadable as error:
            self.drop(str(error))
            return
        super()._deliver(found, queue)  # type: ignore[no-untyped-call]

    def drop(self, reason: str) -> None:
        """Say so for the first, the second, the fourth one, and so on: there may be thousands."""
        self.dropped += 1
        if self.dropped & (self.dropped - 1) == 0:
            log.warning("dropped a message that Replank did not send", reason=reason, dropped=self.dropped)


class SentinelTransport(Transport, redis.SentinelTransport):
    """For a server that sentinels name."""

    Channel = SentinelChannel


def use_in_this_process(answered: Callable[[], None]) -> None:
    """Every URL scheme of Redis leads to these transports, in this process. Call it before the first connection.

    `answered` is called each time when the broker has said whether there is a message.
    """
    Channel.on_answer = (answered,)
    ours: Mapping[str, type] = {"redis": Transport, "rediss": Transport, "sentinel": SentinelTransport}
    for scheme, transport in ours.items():
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{transport.__name__}"
