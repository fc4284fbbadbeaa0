"""The databases that one plan runs on: a reviewed file, one of them a line, or TOML.

Passwords need not stand in it: `${NAME}` is taken from the environment, and a URL without a password lets the client
library look into its own password file.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from replank.addresses.database_address import database_address
from replank.errors import WrongUse

DEFAULT_PORT = 5432
_REFERENCE = re.compile(r"\$\{(\w+)\}")
_KNOWN = {"name", "url", "broker_url"}


@dataclass(frozen=True, kw_only=True)
class Target:
    """One database. Its URL may hold a password: it is never shown."""

    name: str
    url: str = field(repr=False)
    broker_url: str | None = field(default=None, repr=False)
    """Its own broker; None: the one of all."""

    @property
    def host(self) -> str:
        """What a limit per host counts by: host and port."""
        parts = urlsplit(self.url)
        asked = parse_qs(parts.query)
        # A socket's folder stands among the parameters.
        host = parts.hostname or asked.get("host", ["localhost"])[0]
        return f"{host}:{parts.port or asked.get('port', [DEFAULT_PORT])[0]}"

    @property
    def database(self) -> str:
        parts = urlsplit(self.url)
        return unquote(parts.path.lstrip("/")) or parse_qs(parts.query).get("dbname", [""])[0]


def read_targets(path: Path, environment: Mapping[str, str] = os.environ) -> list[Target]:
    """The targets in their order. Raises WrongUse, with the line and without any secret, for every mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise WrongUse(f"Could not read the targets file {path}: {reason}.") from None
    said = list(_of_toml(path, text) if path.suffix == ".toml" else _of_lines(path, text))
    made = [_target(where, document, environment) for where, document in said]
    if not made:
        raise WrongUse(f"{path} has no database. Write one on each line: NAME postgresql://user@host/database")
    _refuse_twice([where for where, _ in said], made)
    return made


def warn_of_readers(path: Path) -> str:
    """What to say where others may read a file that holds passwords; empty where all is well."""
    if not stat.S_IMODE(path.stat().st_mode) & (stat.S_IRGRP | stat.S_IROTH):
        return ""
    text = path.read_text(encoding="utf-8")
    if not re.search(r"://[^\s/@:]*:(?!\$\{)[^\s@]+@", text) and not re.search(r"[?&]password=(?!\$\{)", text):
        return ""
    return f"{path} has passwords and other users can read it. Run chmod 600 {path}"


def _of_lines(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) > 2:
            raise WrongUse(f"{path}:{number}: write a line as NAME URL, or as a URL alone.")
        yield f"{path}:{number}", {"url": words[-1], **({"name": words[0]} if len(words) == 2 else {})}


def _of_toml(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongUse(f"{path} is not TOML: {error}") from None
    listed = document.get("targets")
    if set(document) - {"targets"} or not isinstance(listed, list):
        raise WrongUse(f'{path}: write each database as [[targets]] with name = "…" and url = "…".')
    for number, said in enumerate(listed, start=1):
        where = f"{path}: target {number}"
        if not isinstance(said, dict) or not all(isinstance(text, str) for text in said.values()):
            raise WrongUse(f"{where}: a target has name, url and optionally broker_url, all of them strings.")
        if unknown := set(said) - _KNOWN:
            raise WrongUse(
                f"{where}: {', '.join(sorted(unknown))} is unknown. The keys are {', '.join(sorted(_KNOWN))}."
            )
        yield where, said


def _target(where: str, said: Mapping[str, Any], environment: Mapping[str, str]) -> Target:
    url = _with_environment(where, said.get("url", ""), environment)
    try:
        url = database_address(url).url
    except WrongUse as error:
        raise WrongUse(f"{where}: {error}") from None
    if not url.startswith(("postgresql://", "postgres://")):
        raise WrongUse(f"{where}: a target is a URL: postgresql://user@host:port/database")
    broker = said.get("broker_url")
    made = Target(
        name=said.get("name") or "",
        url=url,
        broker_url=None if broker is None else _with_environment(where, broker, environment),
    )
    try:
        name = made.name or made.database
        # A port that is no number is found only here.
        _ = made.host
    except ValueError:
        raise WrongUse(f"{where}: the URL's port is not a number.") from None
    if not name:
        raise WrongUse(f"{where}: the URL names no database, and the target has no name.")
    return Target(name=name, url=made.url, broker_url=made.broker_url)


def _with_environment(where: str, text: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in environment:
            raise WrongUse(f"{where}: the environment variable {name} is not set.")
        return environment[name]

    return _REFERENCE.sub(value, text)


def _refuse_twice(places: Sequence[str], targets: Sequence[Target]) -> None:
    """Two that bear one name could not be told apart; two that mean one database would wait for each other."""
    seen: dict[tuple[str, ...], str] = {}
    for where, target in zip(places, targets, strict=True):
        for said in (("name", target.name), ("database", target.host, target.database)):
            if said in seen:
                raise WrongUse(f"{where}: {target.name} is a duplicate by its {said[0]}; see {seen[said]}.")
            seen[said] = where
