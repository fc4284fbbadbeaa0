"""Sending jobs to the queue. A message is a hint: what is lost is sent again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from replank.settings import Settings
from replank.values.messages import QUEUE_OF, TASK, broker_error, celery_settings
from sql.ledger.jobs.job_queue import Sendable

log = structlog.get_logger()

RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
"""One fresh connection after a broker's restart; anything longer is the ledger's business."""


PING_S = 10.0

SPARING = "noeviction"
"""The one maxmemory-policy under which no message is thrown away."""


@dataclass(frozen=True, kw_only=True)
class BrokerState:
    """What the broker says of itself: `messages` in each queue, and whether it has thrown keys away for room."""

    messages: Mapping[str, int]
    evicts: bool


class Dispatcher:
    """Publishes ids. Knows nothing of workers."""

    def __init__(self, settings: Settings, *, database: str) -> None:
        self._app = Celery("replank-dispatcher", set_as_current=False)
        self._app.conf.update(celery_settings(settings, database=database))
        self._broker_answers = True

    def send(self, run_id: int, sendables: Sequence[Sendable], names: Mapping[int, str]) -> list[int]:
        """Publish. Returns the ids of the jobs that the broker did not take.

        `names` gives each table's name: monitors show it, workers do not need it.
        """
        for position, job in enumerate(sendables):
            words = f"{job.kind} {job.cache or names.get(job.table_no, '?')} {job.chunk or ''}".strip()
            try:
                self._app.send_task(
                    TASK,
                    kwargs={"run_id": run_id, "job_id": job.job_id},
                    queue=QUEUE_OF[job.kind],
                    kwargsrepr=repr({"job": job.job_id, "what": words}),
                    # The name that monitors show. Few names: each is a series of Flower's metrics.
                    shadow=f"replank.{job.kind}",
                    ignore_result=True,
                    retry=True,
                    retry_policy=RETRY,
                )
            except (OperationalError, RedisError, OSError) as error:
                if self._broker_answers:
                    log.info("the broker does not answer; jobs wait in the ledger", reason=str(error))
                self._broker_answers = False
                return [late.job_id for late in sendables[position:]]
        if not self._broker_answers:
            log.info("the broker answers again")
            self._broker_answers = True
        return []

    def read_state(self, queues: Collection[str]) -> BrokerState | None:
        """What lies in these queues; None where the broker does not answer or does not tell."""
        if not self._broker_answers:
            # One that is deaf costs each question its whole time limit.
            return None
        try:
            with self._app.connection_for_write() as connection:
                client = connection.default_channel.client
                messages = {queue: int(client.llen(queue)) for queue in queues}
                # CONFIG is kept from its users by most providers; INFO says the same.
                memory, stats = client.info("memory"), client.info("stats")
        except (OperationalError, RedisError, OSError) as error:
            log.info("the broker does not report the length of its queues", reason=str(error))
            return None
        evicting = memory.get("maxmemory_policy", SPARING) != SPARING
        return BrokerState(messages=messages, evicts=evicting and int(stats.get("evicted_keys", 0)) > 0)

    def ping(self) -> None:
        """Raises CannotConnect if the broker does not answer: wrong URL, wrong password, or not running."""
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=PING_S)
        except (OperationalError, RedisError, OSError) as error:
            raise broker_error(str(self._app.conf.broker_url), error) from None

    def close(self) -> None:
        self._app.close()
