"""`[after_cutover]` of a plan: what is told that the tables have changed places, forward or back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from replank.errors import WrongUse
from replank.plan.text.plan_words import Strict

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
SCHEMES = ("postgresql", "postgres")


def _without_secret(url: str) -> str:
    """The plan's text is kept in the ledger and shown: a password may only stand there as `${NAME}`."""
    login = url.partition("://")[2].rpartition("@")[0]
    _, colon, password = login.partition(":")
    if colon and not REFERENCE.fullmatch(password):
        raise ValueError("a plan must not contain passwords: write ${NAME} instead and set the variable NAME")
    return url


class AfterCutoverPlan(Strict):
    """`pgbouncer`: URLs of PgBouncer's admin consoles, which get RECONNECT; `${NAME}` is taken from the environment."""

    pgbouncer: tuple[Annotated[str, AfterValidator(_without_secret)], ...] = ()


@dataclass(frozen=True, kw_only=True)
class PoolerAddress:
    """`url` may have a password and goes to the driver alone; `shown` goes everywhere else."""

    url: str = field(repr=False)
    shown: str


def pooler_addresses(plan: AfterCutoverPlan, environment: Mapping[str, str]) -> tuple[PoolerAddress, ...]:
    """The poolers to tell. Raises WrongUse, without a word of a secret, if a variable is missing or a URL is none."""
    return tuple(_address(number, said, environment) for number, said in enumerate(plan.pgbouncer, start=1))


def _address(number: int, said: str, environment: Mapping[str, str]) -> PoolerAddress:
    where = f"[after_cutover] pgbouncer, URL {number}"
    missing = [name for name in REFERENCE.findall(said) if name not in environment]
    if missing:
        raise WrongUse(f"{where}: the environment variable {missing[0]} is not set.")
    url = REFERENCE.sub(lambda found: environment[found.group(1)], said)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in SCHEMES:
        raise WrongUse(f"{where} is not the URL of an admin console: postgresql://admin:${{NAME}}@host:6432/pgbouncer")
    return PoolerAddress(url=url, shown=f"{host}:{port or 6432}")
