"""Wrong logins: counted, logged with name and address, slowed down, and nobody else is kept out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect
from structlog.testing import capture_logs

from monitoring.flower.login_guard import (
    COOKIE,
    MOST_KEPT,
    OF_ADDRESS,
    OF_NAME,
    LoginGuard,
    believed_address,
    parse_proxies,
)
from monitoring.flower.logins import Logins
from monitoring.metrics.collector import read_metrics
from monitoring.status.read_status import read_status
from page.conftest import Serve
from page.looking import Looking
from page.serving import ALICE, basic
from producer.cli.flower import CountedLogins
from replank.errors import WrongUse
from sql.session.connection import connect

RIGHT = basic("alice:wonderland")["Authorization"]
WRONG = basic("alice:looking-glass")["Authorization"]
MANY = 200


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> LoginGuard:
    return LoginGuard(logins=Logins.parse("alice:wonderland bob:builder-of-things"), clock=clock)


def compared_in_an_hour(guard: LoginGuard, clock: Clock, address: Callable[[int], str]) -> int:
    """How many guesses at alice's password are compared, if one tries four times a second."""
    before, refused = guard.wrong(), 0
    for number in range(4 * 3600):
        clock.now += 0.25
        refused += guard.judge(WRONG, peer=address(number)).wait_s > 0
    assert before is None
    return 4 * 3600 - refused


def test_one_address_is_slowed_to_one_guess_a_minute(guard: LoginGuard, clock: Clock) -> None:
    assert compared_in_an_hour(guard, clock, lambda _: "192.0.2.1") < 60 + OF_ADDRESS.free + 10
    # The right password is not even compared meanwhile: it could be a guess
    assert guard.judge(RIGHT, peer="192.0.2.1").who is None
    # Nobody else waits, neither under another name nor under the same
    assert guard.judge(basic("bob:builder-of-things")["Authorization"], peer="192.0.2.2").who == "bob"
    assert guard.judge(RIGHT, peer="192.0.2.2").who == "alice"
    # And it is forgotten
    clock.now += OF_ADDRESS.forgets_s * 20
    assert guard.judge(RIGHT, peer="192.0.2.1").who == "alice"


def test_many_addresses_at_one_name_are_slowed_and_who_was_here_before_is_not(guard: LoginGuard, clock: Clock) -> None:
    cookie = f"{COOKIE}={guard.cookie_for('alice')}"
    compared = compared_in_an_hour(guard, clock, lambda number: f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert compared < 3600 / OF_NAME.longest_s + OF_NAME.free + 20
    assert guard.judge(RIGHT, peer="10.0.0.1", cookies=cookie).who == "alice"
    assert guard.judge(basic("bob:builder-of-things")["Authorization"], peer="10.0.0.1").who == "bob"
    # The cookie is good for its own name only, and who guesses with it is slowed as well
    other = basic("bob:looking-glass")["Authorization"]
    for _ in range(OF_ADDRESS.free + 1):
        guard.judge(other, peer="198.51.100.1", cookies=cookie)
    assert guard.judge(other, peer="198.51.100.1", cookies=cookie).wait_s > 0
    for _ in range(OF_ADDRESS.free + 1):
        guard.judge(WRONG, peer="198.51.100.2", cookies=cookie)
    assert guard.judge(RIGHT, peer="198.51.100.2", cookies=cookie).wait_s > 0
    for odd in ("", COOKIE, f"{COOKIE}=", f"{COOKIE}=a.b", "\x00;=", f"{COOKIE}=é.é"):
        assert guard.judge(RIGHT, peer="198.51.100.3", cookies=odd).who is None


def test_an_address_of_ipv6_is_its_network(guard: LoginGuard) -> None:
    for number in range(OF_ADDRESS.free + 1):
        guard.judge(WRONG, peer=f"2001:db8::{number}")
    assert guard.judge(WRONG, peer="2001:db8::ffff").wait_s > 0
    assert guard.judge(RIGHT, peer="2001:db8:0:1::1").who == "alice"


@pytest.mark.parametrize(
    ("peer", "forwarded", "believed"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.5", "198.51.100.7", "198.51.100.7"),
        ("::ffff:10.0.0.5", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "203.0.113.9, 198.51.100.7, 10.0.0.6", "198.51.100.7"),
        ("10.0.0.5", "nonsense", "10.0.0.5"),
        ("10.0.0.5", "", "10.0.0.5"),
    ],
)
def test_the_address_that_is_believed(peer: str, forwarded: str, believed: str) -> None:
    assert believed_address(peer, forwarded, parse_proxies(["10.0.0.0/8"])) == believed


def test_a_proxy_is_an_address_or_a_network() -> None:
    with pytest.raises(WrongUse, match="--trust-proxy proxy"):
        parse_proxies(["proxy.example"])


def test_what_is_remembered_is_bounded(guard: LoginGuard) -> None:
    for number in range(MOST_KEPT + 10):
        guard.judge(basic(f"n{number}:looking-glass")["Authorization"], peer=f"n{number}")
    assert len(guard._by_name._tries) == len(guard._by_address._tries) == MOST_KEPT


def test_a_flood_over_http_is_refused_logged_and_told(serve: Serve, painted: str) -> None:
    served = serve(painted, proxies=["127.0.0.0/8"])
    from_one = {"X-Forwarded-For": "203.0.113.9", **basic("eve:looking-glass")}
    with capture_logs() as logged:
        statuses = [served.ask("/run/now", login=None, headers=from_one).status for _ in range(20)]
    assert statuses[: OF_ADDRESS.free + 1] == [401] * (OF_ADDRESS.free + 1)
    assert statuses[-1] == 429
    refused = served.ask("/run/now", login=None, headers=from_one)
    assert int(refused.headers["retry-after"]) >= 1
    assert "Try again in" in refused.body
    # Logged with name and address, and never with the password
    told = [entry for entry in logged if entry["event"] == "wrong login"]
    assert {(entry["name"], entry["address"]) for entry in told} == {("eve", "203.0.113.9")}
    assert "looking-glass" not in str(logged)
    # Others are let in, and a first visit without any login is no wrong one
    assert served.ask("/run/now", headers={"X-Forwarded-For": "203.0.113.10"}).status == 200
    assert served.ask("/run/now", login=None).status == 401
    counted = served.guard.wrong()
    assert counted is not None
    assert (counted.count, counted.name, counted.address) == (21, "eve", "203.0.113.9")

    # Then the ledger knows, and with it status, the page and the exporter
    CountedLogins(painted, served.guard).note()
    with connect(painted, name="test") as connection:
        signs = read_status(connection).signs
        assert signs is not None
        assert signs.logins == counted
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in read_metrics(connection)
            for sample in family.samples
        }
    assert samples["replank_wrong_logins_total", "compared"] + samples["replank_wrong_logins_total", "refused"] == 21
    assert served.sections()["seen"]["wrong_logins"]["count"] == 21


@pytest.mark.browser
def test_the_page_draws_them_as_text(
    serve: Serve, painted: str, browser: Browser | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if browser is None:
        with capsys.disabled():
            print("\nNO BROWSER: wrong logins were not looked at. Install Chromium, or name one in REPLANK_CHROMIUM.")
        return
    served = serve(painted, proxies=["127.0.0.0/8"])
    looking = Looking(browser=browser, root=f"http://127.0.0.1:{served.port}", login=("alice", ALICE.split(":")[1]))
    page = looking.open("/run")
    line = page.locator("#logins")
    expect(page.locator("#facts")).to_be_visible()
    expect(line).to_be_hidden()
    # When somebody guesses, with a name that would be markup
    evil = "<img src=x onerror=alert(1)>"
    for _ in range(2):
        headers = {"X-Forwarded-For": "203.0.113.9", **basic(f"{evil}:looking-glass")}
        assert served.ask("/run/now", login=None, headers=headers).status == 401
    CountedLogins(painted, served.guard).note()
    expect(line).to_contain_text("2 wrong logins at this page since")
    expect(line).to_contain_text(f"the last one as “{evil}” from 203.0.113.9, ")
    assert page.locator("#logins img").count() == 0
    looking.keep(page, "wrong-logins", whole=False)
    assert looking.said == []


def test_a_browser_that_logged_in_is_not_kept_out_by_a_flood_at_its_own_address(serve: Serve, painted: str) -> None:
    served = serve(painted)
    page = served.ask("/run")
    cookies = [part for part in page.headers["set-cookie"].split(", ") if part.startswith(COOKIE)]
    for _ in range(OF_ADDRESS.free + 2):
        served.ask("/run/now", login="alice:looking-glass")
    assert served.ask("/run/now").status == 429
    for part in cookies:
        assert "HttpOnly" in part
        assert "SameSite=Strict" in part
        assert served.ask("/run/now", headers={"Cookie": part.partition(";")[0]}).status == 200


def test_a_database_that_is_away_stops_no_count(guard: LoginGuard) -> None:
    guard.judge(WRONG, peer="192.0.2.1")
    counted = CountedLogins("postgresql://nobody@127.0.0.1:1/none", guard)
    counted.note()
    assert guard.wrong() is not None
