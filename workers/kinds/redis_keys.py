"""Deleting a Redis cache's keys by pattern, at a pace that its application does not feel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import redis
from redis.exceptions import AuthenticationError, NoPermissionError, ReadOnlyError, RedisError

from replank.addresses.cache_address import CacheAddress
from replank.errors import NeedsOperator, TryAgain

SCANNED_AT_ONCE = 1_000
SLICES_PER_S = 10
"""Keys go in so many portions a second: none of them blocks the server for long."""

SOCKET_TIMEOUT_S = 10.0


def delete_keys(
    address: CacheAddress,
    pattern: str,
    *,
    rate: int,
    still_ours: Callable[[], None],
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Delete every key that matches, at most `rate` keys a second. Returns how many were there.

    A key that stays all the while is found; doing it twice does no harm. `still_ours` is called between
    portions and raises where another attempt has taken over. Raises TryAgain or NeedsOperator.
    """
    deleted, next_at = 0, now()
    try:
        with redis.Redis.from_url(
            address.url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=SOCKET_TIMEOUT_S
        ) as client:
            for keys in _portions(client, pattern, max(1, rate // SLICES_PER_S)):
                still_ours()
                if not keys:
                    continue
                if (wait := next_at - now()) > 0:
                    sleep(wait)
                deleted += int(client.unlink(*keys))
                next_at = max(now(), next_at) + len(keys) / rate
    except (AuthenticationError, NoPermissionError, ReadOnlyError) as error:
        raise NeedsOperator(f"the cache {address.shown} refuses: {error}") from None
    except RedisError as error:
        raise TryAgain(f"the cache {address.shown} does not answer: {error}") from None
    return deleted


def _portions(client: redis.Redis, pattern: str, most: int) -> Iterator[list[bytes | str]]:
    """Matching keys, `most` at a time; an empty portion where a part of the keyspace held none."""
    cursor = 0
    while True:
        cursor, keys = client.scan(cursor, match=pattern, count=SCANNED_AT_ONCE)
        yield from (keys[start : start + most] for start in range(0, len(keys), most))
        yield []
        if cursor == 0:
            return
