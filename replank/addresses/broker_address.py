"""The broker's URL as Celery is handed it. Options of `sentinel://` stand in its query.

`sentinel://:PASSWORD@host1:26379/0;sentinel://host2:26379?master_name=mymaster`: the password and the number of the
database are those of the server that the sentinels name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from replank.errors import WrongUse

SENTINEL = "sentinel"
OF_SENTINELS = {"sentinel_username": "username", "sentinel_password": "password"}
"""What the sentinels themselves ask for, where they do."""


@dataclass(frozen=True, kw_only=True)
class BrokerAddress:
    """`url` without what is no part of it; `options` are kombu's transport options."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        """Hosts and ports, where the URL names sentinels."""
        parts = [urlsplit(one) for one in self.url.split(";")]
        return [(part.hostname or "localhost", part.port or 26379) for part in parts]


def broker_address(url: str) -> BrokerAddress:
    """Raises WrongUse where sentinels are named, and not the server that they are to be asked for."""
    if url.partition("://")[0] != SENTINEL:
        return BrokerAddress(url=url)
    parts = [urlsplit(one) for one in url.split(";")]
    said = {name: value for part in parts for name, value in parse_qsl(part.query)}
    unknown = sorted(said.keys() - {"master_name"} - OF_SENTINELS.keys())
    if unknown:
        raise WrongUse(
            f"The broker's URL has the unknown parameters {', '.join(unknown)}. With sentinel:// use master_name, "
            "sentinel_username and sentinel_password."
        )
    if not said.get("master_name"):
        raise WrongUse(
            "The broker's URL names sentinels, but no master. Add ?master_name=NAME, the name in `sentinel monitor "
            "NAME …` of their configuration."
        )
    options: dict[str, Any] = {"master_name": said["master_name"]}
    login = {name: said[key] for key, name in OF_SENTINELS.items() if key in said}
    if login:
        options["sentinel_kwargs"] = login
    return BrokerAddress(url=";".join(urlunsplit(part._replace(query="")) for part in parts), options=options)
