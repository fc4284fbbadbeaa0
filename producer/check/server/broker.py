"""The broker, where one is named: it must answer, and it must not evict what is queued."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from producer.check.findings import Finding, warning
from producer.dispatch.dispatcher import SPARING
from replank.addresses.broker_address import SENTINEL, broker_address
from replank.settings import Settings, without_password

ANSWER_S = 5.0


def audit_broker(settings: Settings) -> list[Finding]:
    """Warnings only: the ledger sends again what is lost, which takes seconds each time."""
    if settings.broker_url is None:
        return []
    url = settings.broker()
    if urlsplit(url).scheme not in ("redis", "rediss", SENTINEL):
        return []  # Sockets are found by Celery's own rules.
    shown = without_password(url)
    try:
        with _client(url) as client:
            # CONFIG is kept from its users by most providers; INFO says the same.
            memory: dict[str, Any] = client.info("memory")
    except (redis.RedisError, OSError, ValueError) as error:
        return [
            warning(
                "broker_unreachable",
                f"the broker {shown} does not answer: {type(error).__name__}",
                hint="Check REPLANK_BROKER_URL, and that the broker runs. `replank run` does not start without it.",
            )
        ]
    policy, limit = memory.get("maxmemory_policy", SPARING), int(memory.get("maxmemory", 0))
    if policy == SPARING:
        return []
    when = f"at {limit:,} bytes" if limit else "as soon as it is given a limit (maxmemory is 0)"
    return [
        warning(
            "broker_evicts",
            f"the broker {shown} evicts keys {when} (maxmemory-policy {policy}): it loses messages of queued jobs. "
            "The run sends them again after some seconds, and becomes several times slower",
            hint=f"Run CONFIG SET maxmemory-policy {SPARING}, or use a separate Redis for Replank.",
            policy=policy,
            maxmemory=limit,
        )
    ]


def _client(url: str) -> redis.Redis:
    """Of the broker itself, which sentinels are asked for where the URL names them."""
    patience = {"socket_timeout": ANSWER_S, "socket_connect_timeout": ANSWER_S, "retry": Retry(NoBackoff(), 0)}
    if urlsplit(url).scheme != SENTINEL:
        return redis.Redis.from_url(url, **patience)
    address = broker_address(url)
    login = urlsplit(address.url.partition(";")[0])
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        address.sentinels, sentinel_kwargs={**patience, **address.options.get("sentinel_kwargs", {})}, **patience
    )
    found: redis.Redis = sentinels.master_for(  # type: ignore[no-untyped-call]
        address.options["master_name"],
        username=unquote(login.username or "") or None,
        password=unquote(login.password or "") or None,
    )
    return found
