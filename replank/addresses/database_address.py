"""The database's address as PostgreSQL's client library takes it, from what other tools' files hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from replank.addresses.addresses import shown
from replank.errors import WrongUse

BY_ENVIRONMENT = "postgresql://"
"""Says nothing itself: libpq reads PGSERVICE, PGHOST and the like."""

_VARIABLES = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGDATABASE")

_ENCODED = (
    "its port is not a number, or its password has / @ : ; ? # % or [, which must be percent-encoded in a URL: %2F "
    "for /, %40 for @."
)

_LEFT_OUT = {
    "schema": "the plan has its own schema names",
    "pgbouncer": "Replank needs a direct connection to PostgreSQL, not through a connection pooler",
    "connection_limit": "Replank uses few connections",
    "pool_timeout": "Replank has no pool",
    "socket_timeout": "Replank sets its own timeouts",
    "statement_cache_size": "Replank prepares no statements",
}
"""Parameters of Prisma's and others' that change nothing of what Replank does, and why they may be left out."""


@dataclass(frozen=True, kw_only=True)
class DatabaseAddress:
    """`url` goes to the driver alone. `notes` say what was read otherwise than it stands there."""

    url: str
    notes: tuple[str, ...] = ()


def database_address(url: str) -> DatabaseAddress:
    """Take away what is another tool's, where that is safe. A connection string that is no URL stays as it is.

    Raises WrongUse, without any part that may be a secret, if a password is not written as a URL needs it.
    """
    scheme, separator, rest = url.strip().partition("://")
    base, _, driver = scheme.partition("+")
    if not separator or base not in ("postgresql", "postgres"):
        return DatabaseAddress(url=url)
    notes = []
    if driver:
        notes.append(f"{scheme}:// is SQLAlchemy's; it is read as {base}://")
    before, mark, asked = rest.partition("?")
    if _misplaced(before) or (asked and "@" in asked.partition("=")[0]):
        raise WrongUse(f"The database's URL {shown(url)} is invalid: {_ENCODED}")
    kept = []
    for parameter in asked.split("&") if asked else []:
        name = parameter.partition("=")[0]
        if name in _LEFT_OUT:
            notes.append(f"the URL's parameter {name} is ignored: {_LEFT_OUT[name]}")
        else:
            kept.append(parameter)
    mark = mark if kept else ""
    return DatabaseAddress(url=f"{base}://{before}{mark}{'&'.join(kept)}", notes=tuple(notes))


def by_environment(environment: Mapping[str, str]) -> str | None:
    """An address that leaves everything to libpq's own variables; None where these name no server."""
    return BY_ENVIRONMENT if any(environment.get(name) for name in _VARIABLES) else None


def _misplaced(before: str) -> bool:
    """Whether the part before the query holds a password that ends elsewhere than it seems."""
    login, _, place = before.rpartition("@")
    if re.search(r"[/@]", login):
        return True
    hosts = place.partition("/")[0]
    return any(not re.fullmatch(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::\d*)?", host) for host in hosts.split(","))


def refuse_unreadable_broker(url: str) -> None:
    """Raises WrongUse, without any part that may be a secret, if a broker's URL is not what it seems to be."""
    # Celery takes several URLs, one behind the other.
    scheme = url.partition("://")[0]
    for one in url.split(";"):
        try:
            parts = urlsplit(one)
            _ = parts.port
        except ValueError:
            parts = None
        if parts is None or not one.startswith(f"{scheme}://") or "@" in "".join(parts[2:]):
            raise WrongUse(f"The broker's URL {shown(url)} is invalid: {_ENCODED}") from None
