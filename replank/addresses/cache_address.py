"""Where a Redis cache is: a URL from the environment, which is shown without its password, if at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from replank.errors import WrongUse

SCHEMES = ("redis", "rediss", "unix")


@dataclass(frozen=True, kw_only=True)
class CacheAddress:
    """`url` has the password and goes to the driver alone; `shown` goes everywhere else."""

    url: str = field(repr=False)
    shown: str


def cache_address(url_env: str, environment: Mapping[str, str]) -> CacheAddress:
    """Read the variable. Raises WrongUse, without a word of its value, if it is missing or no URL of a Redis."""
    url = environment.get(url_env, "").strip()
    if not url:
        raise WrongUse(
            f"the environment variable {url_env} is not set; it must have the cache's URL (redis://host:port/0)"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = None, None, None
    # A password with a raw `/`, `?` or `#` ends behind what seems to be the host.
    if (
        parts is None
        or "@" in "".join(parts[2:])
        or parts.scheme not in SCHEMES
        or (parts.scheme != "unix" and host is None)
    ):
        raise WrongUse(
            f"the environment variable {url_env} is not the URL of a Redis (redis://user:password@host:port/0)"
        )
    # Nothing of the login and nothing after the host: a password may hold any character.
    where = "(socket)" if parts.scheme == "unix" else f"{host}:{port or 6379}"
    return CacheAddress(url=url, shown=f"{parts.scheme}://{where} ({url_env})")
