"""What travels over the queue: ids only. Settings of the broker, the same for every program.

The shortest visibility timeout among all programs wins, so senders, workers and monitors must share
these. Queues are addressed by name: bindings of a named exchange would be lost with a flushed broker.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from replank.addresses.broker_address import broker_address
from replank.errors import CannotConnect, NoServer
from replank.settings import Settings, without_password
from replank.values.states import JobKind

TASK = "replank.execute"

QUEUE_OF: dict[JobKind, str] = {
    JobKind.COPY: "replank.copy",
    JobKind.DRAIN: "replank.copy",
    JobKind.INDEX: "replank.index",
    JobKind.VACUUM: "replank.index",
    JobKind.VERIFY: "replank.verify",
    JobKind.REPAIR: "replank.verify",
    JobKind.VALIDATE: "replank.verify",
    JobKind.BACKFILL: "replank.copy",
    JobKind.CACHE: "replank.cache",
}

QUEUES = tuple(sorted(set(QUEUE_OF.values())))

VISIBILITY_TIMEOUT_S = 1800
"""Longer than any chunk; a second delivery only finds a job that is leased or done."""


def broker_error(url: str, error: Exception) -> CannotConnect:
    """What to raise where the broker does not take a connection, or where none answers."""
    # Names of queues are asked for by commands that never talk to a broker.
    from redis.exceptions import AuthenticationError

    said = str(error).rstrip(".")
    if isinstance(error.__cause__ or error, AuthenticationError):
        # It has answered.
        return CannotConnect(
            f"The broker {without_password(url)} refuses the login: {said}. Check the user and the password in its URL."
        )
    return NoServer(
        f"The broker {without_password(url)} does not answer: {said}. Check its URL, and that the broker runs."
    )


def _verified(broker_url: str) -> dict[str, Any]:
    """`rediss` without a word on certificates: kombu would take any; they are verified, as everywhere else."""
    parts = urlsplit(broker_url)
    if parts.scheme != "rediss" or "ssl_" in parts.query:
        return {}
    return {"broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}}


def celery_settings(settings: Settings, *, database: str) -> dict[str, Any]:
    """Celery's configuration. No result backend: the ledger has the results.

    `database` names the target database the same way in every program (`sql.session.database_identity`): several
    databases may share a broker, and job ids are only unique in their own ledger.
    """
    from kombu import Exchange, Queue

    address = broker_address(settings.broker())
    return {
        "broker_url": address.url,
        **_verified(address.url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "unacked_restore_interval": 10,
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "global_keyprefix": f"replank:{database}:",
            **address.options,
        },
        "task_queues": [Queue(name, Exchange(""), routing_key=name) for name in QUEUES],
        "task_default_queue": QUEUES[0],
        # Otherwise Celery would put these queues behind a named exchange after all.
        "task_default_exchange": "",
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": True,
        # The ledger alone sends again: a message of a lost process would find its job leased.
        "task_reject_on_worker_lost": False,
        "worker_prefetch_multiplier": 1,
        # A job continues when the broker dies: it needs the database alone, and a second delivery finds it leased.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_prefetch_count_reduction": False,
        "worker_soft_shutdown_timeout": settings.soft_shutdown_s,
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_send_task_events": True,
        "task_send_sent_event": False,
        "worker_hijack_root_logger": False,
        "worker_proc_alive_timeout": 60.0,
        "enable_utc": True,
    }
