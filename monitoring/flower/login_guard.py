"""Wrong logins are counted, logged and slowed down: by the address that they come from, and by the name that they try.

After too many guesses an address waits, longer each time, and is not even compared meanwhile. No other one waits:
a browser that has logged in bears a cookie and is counted by that alone (OWASP calls it a device cookie), and the name
that is guessed at from many addresses is slowed to one try in ten seconds, never locked.
"""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import structlog

from monitoring.flower.logins import Logins
from replank.errors import WrongUse
from sql.ledger.reading.surroundings import WrongLogins

log = structlog.get_logger()

COOKIE = "replank_known"
MOST_KEPT = 10_000
"""Addresses and names that are remembered; those that were tried longest ago are forgotten first."""

LONGEST_NAME = 64
IPV6_PREFIX = 64
"""The owner of one address of IPv6 has so many bits of them."""

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, kw_only=True)
class Patience:
    """So many wrong tries are free; then each one costs a wait that doubles, up to `longest_s`. One is forgotten each
    `forgets_s` seconds."""

    free: int
    longest_s: float
    forgets_s: float


OF_ADDRESS = Patience(free=5, longest_s=60.0, forgets_s=60.0)
OF_NAME = Patience(free=20, longest_s=10.0, forgets_s=20.0)
"""One address alone, at one try a minute, never fills this: it is for many addresses that guess at one name."""


@dataclass(kw_only=True)
class _Tries:
    count: float
    at: float
    until: float


@dataclass(kw_only=True)
class _Counter:
    """Wrong tries by a key; bounded."""

    patience: Patience
    _tries: OrderedDict[str, _Tries] = field(default_factory=OrderedDict)

    def wait_s(self, key: str, now: float) -> float:
        found = self._tries.get(key)
        return 0.0 if found is None else max(found.until - now, 0.0)

    def add(self, key: str, now: float) -> None:
        found = self._tries.pop(key, None) or _Tries(count=0.0, at=now, until=now)
        found.count = max(found.count - (now - found.at) / self.patience.forgets_s, 0.0) + 1.0
        found.at = now
        over = found.count - self.patience.free
        found.until = now + (min(2.0 ** min(over - 1, 30), self.patience.longest_s) if over > 0 else 0.0)
        self._tries[key] = found
        if len(self._tries) > MOST_KEPT:
            self._tries.popitem(last=False)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Who it is; None where refused, because of a wrong login or because of `wait_s` more seconds to wait."""

    who: str | None
    wait_s: float = 0.0


@dataclass(kw_only=True)
class LoginGuard:
    """Judges every request's login. `proxies` are those whose word on where a request comes from is believed."""

    logins: Logins
    proxies: Sequence[Network] = ()
    clock: Callable[[], float] = time.monotonic
    _since: datetime = field(default_factory=lambda: datetime.now(UTC))
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _by_address: _Counter = field(default_factory=lambda: _Counter(patience=OF_ADDRESS))
    _by_name: _Counter = field(default_factory=lambda: _Counter(patience=OF_NAME))
    _by_cookie: _Counter = field(default_factory=lambda: _Counter(patience=OF_ADDRESS))
    _count: int = 0
    _refused: int = 0
    _last: tuple[datetime, str, str] | None = None
    _told_of_proxy: bool = False

    def judge(self, authorization: str | None, *, peer: str, forwarded: str = "", cookies: str = "") -> Judged:
        """`peer` is the connection's other end, `forwarded` the header X-Forwarded-For, `cookies` the header Cookie."""
        if self.logins.open or not authorization:
            return Judged(who=self.logins.user_of(authorization))
        now, name = self.clock(), _name_in(authorization)
        address = self._address(peer, forwarded)
        known = self._known(cookies, name)
        counters = [(self._by_cookie, known)] if known else [(self._by_address, _group(address)), (self._by_name, name)]
        wait = max(counter.wait_s(key, now) for counter, key in counters)
        if wait > 0:
            self._refused += 1
            self._note(name, address)
            return Judged(who=None, wait_s=wait)
        who = self.logins.user_of(authorization)
        if who is None:
            for counter, key in counters:
                counter.add(key, now)
            self._note(name, address)
            log.warning("wrong login", name=name, address=address, wrong_logins=self._count, refused=self._refused)
        return Judged(who=who)

    def cookie_for(self, name: str) -> str:
        """What a browser bears that has logged in as `name`; good for as long as this server lives."""
        nonce = secrets.token_hex(8)
        return f"{nonce}.{self._mark(nonce, name)}"

    def wrong(self) -> WrongLogins | None:
        """What was counted since this server began; None where nothing was."""
        if self._last is None:
            return None
        at, name, address = self._last
        return WrongLogins(
            since=self._since, count=self._count, refused=self._refused, last_at=at, name=name, address=address
        )

    def _note(self, name: str, address: str) -> None:
        self._count += 1
        self._last = (datetime.now(UTC), name, address)

    def _known(self, cookies: str, name: str) -> str:
        """The number of the cookie, if it is ours and of this name."""
        try:
            found = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return ""
        nonce, _, mark = ("" if found is None else found.value).partition(".")
        return nonce if nonce and hmac.compare_digest(mark, self._mark(nonce, name)) else ""

    def _mark(self, nonce: str, name: str) -> str:
        return hmac.new(self._secret, f"{nonce}.{name}".encode(), "sha256").hexdigest()

    def _address(self, peer: str, forwarded: str) -> str:
        if forwarded and not self.proxies and not self._told_of_proxy:
            self._told_of_proxy = True
            log.warning(
                "a proxy stands before this server: all wrong logins count as the proxy's; name it with --trust-proxy",
                address=peer,
            )
        return believed_address(peer, forwarded, self.proxies)


def believed_address(peer: str, forwarded: str, proxies: Sequence[Network]) -> str:
    """The last address of X-Forwarded-For that is no trusted proxy's, if a trusted proxy says it; else the peer's."""
    found = peer
    for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        here = _parsed(found)
        if here is None or not any(here in network for network in proxies):
            return found
        if _parsed(hop) is None:
            return found
        found = hop
    return found


def parse_proxies(texts: Sequence[str]) -> list[Network]:
    """Addresses or networks. Raises WrongUse with the one that is neither."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            raise WrongUse(
                f"--trust-proxy {text}: write an address or a network, e.g. 10.0.0.5 or 10.0.0.0/8."
            ) from None
    return found


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _group(address: str) -> str:
    """Whom an address belongs to."""
    found = _parsed(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, IPV6_PREFIX), strict=False))
    return address if found is None else str(found)


def _name_in(authorization: str) -> str:
    """The name that is tried, as it may be logged; empty where there is none."""
    try:
        text = b64decode(authorization.partition(" ")[2].strip(), validate=True).decode()
    except ValueError:
        return ""
    name = text.partition(":")[0][:LONGEST_NAME]
    return name if name.isprintable() else ""
