"""Addresses of servers as they may be shown: scheme, user, host, port and name, and never a secret.

A URL may be written wrongly, with a raw `/` or `@` in its password perhaps. Then it cannot be told where the secret
ends, and as little is shown as is certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from replank.names import fits

HIDDEN = "***"

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://(.*)$", re.DOTALL)
_HOSTS = re.compile(r"(?:[\w.%-]*|\[[0-9A-Fa-f:.%]*\])(?::\d{1,5})?(?:,(?:[\w.%-]*|\[[0-9A-Fa-f:.%]*\])(?::\d{1,5})?)*")
_NAME = re.compile(r"[\w.%+~-]*")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]*@[^\s'\",;)]*(?<![:.])")
_EXAMPLE = re.compile(r"\w+://(?:user(?::password)?|admin:\$\{NAME\})@(?:host|\.\.\.)")
"""How our own messages write an address that stands for another."""
_KEYWORD = re.compile(r"\b(\w*(?:password|passfile|secret)\w*)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)


def shown(url: str) -> str:
    """The URL as it may be shown; what is no URL has no part that certainly is no secret."""
    found = _SCHEME.match(url.strip())
    if found is None:
        return "(a connection string)"
    scheme, rest = found.groups()
    if not rest:
        return "the server of PGSERVICE, PGHOST and similar variables"
    if not well_formed(url):
        return f"{scheme}://{HIDDEN}"
    login, at, place = _before_query(rest).rpartition("@")
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user}{f':{HIDDEN}' if colon else ''}{at}{place}"


def well_formed(url: str) -> bool:
    """Whether every part of a URL is where it says: no `/`, `?`, `#` or `@` within a password."""
    found = _SCHEME.match(url.strip())
    if found is None:
        return False
    rest = found.group(2)
    login, _, place = _before_query(rest).rpartition("@")
    if rest.rpartition("@")[0] != login:
        # An `@` behind a `?` or `#`: it may be the one that ends the password.
        return False
    user, _, password = login.partition(":")
    if re.search(r"[/@]", password) or not _is_name(user):
        return False
    hosts, _, name = place.partition("/")
    return bool(_HOSTS.fullmatch(hosts) and (_is_name(name) or not hosts))


def _is_name(text: str) -> bool:
    """Whether it may be the name of a user or a database, or there is none."""
    return bool(_NAME.fullmatch(text)) and fits(unquote(text))


def _before_query(rest: str) -> str:
    return re.split(r"[?#]", rest, maxsplit=1)[0]


def secrets_of(url: str) -> set[str]:
    """What must never be shown of an address: its password as it is written, and as it is meant."""
    found = _SCHEME.match(url.strip())
    if found is None:
        return {value.strip("'") for _, value in _KEYWORD.findall(url)} - {""}
    rest = found.group(2)
    secrets = [part.rpartition("@")[0].partition(":")[2] for part in (rest, _before_query(rest))]
    hidden = {text for secret in secrets for text in (secret, unquote(secret))}
    for _, value in _KEYWORD.findall(re.sub(r"[?&]", " ", rest)):
        hidden |= {value, unquote(value)}
    if not well_formed(url):
        # Servers' libraries take such a thing apart in their own way, and say what they found.
        hidden |= {part for part in re.split(r"[:/@?#&=,\[\]]", rest) if len(part) > 2}
    return hidden - {""}


def hide(text: str, urls: Iterable[str]) -> str:
    """The text without anything that is secret in these addresses, and without URLs that hold a password."""
    for secret in sorted({secret for url in urls for secret in secrets_of(url)}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _URL.sub(_as_shown, text)


def _as_shown(found: re.Match[str]) -> str:
    url = found.group()
    return url if f":{HIDDEN}@" in url or _EXAMPLE.match(url) else shown(url)
