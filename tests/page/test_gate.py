"""Who may in, from where, and what every answer says to the browser."""

from collections.abc import Mapping

import pytest

from monitoring.flower.logins import Logins, load_logins
from page.conftest import Serve
from page.serving import ALICE, Served, basic
from replank.errors import WrongUse

READ = (
    "/",
    "/run",
    "/run/now",
    "/run/cell",
    "/run/static/page.js",
    "/metrics",
    "/nothing",
    "//example.org",
    "/api/workers",
)
ASKED = ("/run/do/pause", "/run/do/nothing", "/run/now", "/api/worker/shutdown/x", "/nothing")


@pytest.fixture
def served(serve: Serve, painted: str) -> Served:
    done: list[tuple[str, int, Mapping[str, object]]] = []
    found = serve(painted, actions={"pause": lambda who, run, asked: done.append((who, run, asked)) or "paused"})
    found.done = done  # type: ignore[attr-defined]
    return found


def did(served: Served) -> list[tuple[str, int, Mapping[str, object]]]:
    found: list[tuple[str, int, Mapping[str, object]]] = served.done  # type: ignore[attr-defined]
    return found


WRONG = {
    "none": {},
    "another password": basic("alice:wonderland2"),
    "another name": basic("bob:wonderland"),
    "no password": basic("alice:"),
    "no colon": basic("alice"),
    "no base64": {"Authorization": "Basic *"},
    "not ASCII": basic("alice:wönderland"),
    "another scheme": {"Authorization": "Bearer " + basic(ALICE)["Authorization"].partition(" ")[2]},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_without_the_login_there_is_nothing_on_any_path_by_any_method(served: Served, wrong: str) -> None:
    for method, paths in (("GET", READ), ("HEAD", READ), ("POST", ASKED), ("PUT", ASKED), ("OPTIONS", ASKED)):
        for path in paths:
            answer = served.ask(path, method, login=None, headers=WRONG[wrong], body="{}")
            # Guessing on and on is not even answered as such
            assert answer.status == 401 or (WRONG[wrong] and answer.status == 429), (method, path)
            if answer.status == 401:
                assert answer.headers["www-authenticate"].startswith("Basic")
                assert answer.body in ("", "Log in.\n")
    assert did(served) == []


def test_every_answer_forbids_framing_and_foreign_content(served: Served) -> None:
    for path in (*READ, "/healthcheck"):
        for login in (ALICE, None):
            headers = served.ask(path, login=login).headers
            assert headers["x-frame-options"] == "DENY", path
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "access-control-allow-origin" not in headers
    policy = served.ask("/run").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_an_action_needs_the_same_origin_the_token_and_json(served: Served) -> None:
    good = {"Sec-Fetch-Site": "same-origin", **served.token()}
    for wrong in (
        {**good, "Sec-Fetch-Site": "cross-site"},
        {**good, "Sec-Fetch-Site": "same-site"},
        {**good, "Sec-Fetch-Site": "none"},
        {**good, "Sec-Fetch-Site": "", "Origin": "https://example.org"},
        {name: value for name, value in good.items() if name != "X-XSRFToken"},
        {name: value for name, value in good.items() if name != "Cookie"},
        {**good, "X-XSRFToken": "2|00000000|00|0"},
    ):
        assert served.act("pause", wrong, run=1).status == 403, wrong
    without = {name: value for name, value in good.items() if name != "Sec-Fetch-Site"}
    for origin in (
        "https://example.org",
        "null",
        f"http://127.0.0.1:{served.port + 1}",
        f"http://127.0.0.1:{served.port}.example.org",
    ):
        assert served.act("pause", {**without, "Origin": origin}, run=1).status == 403, origin
    assert served.act("pause", {**good, "Content-Type": "text/plain"}, run=1).status == 415
    assert served.act("pause", {**good, "Content-Type": "application/x-www-form-urlencoded"}, run=1).status == 415
    assert did(served) == []

    # The page itself may, and so may a browser that only says its origin
    assert served.act("pause", good, run=1, reason="tea").document == {"said": "paused"}
    assert served.act("pause", {**without, "Origin": f"http://127.0.0.1:{served.port}"}, run=1).status == 200
    assert did(served)[0] == ("alice", 1, {"reason": "tea"})


def test_looking_changes_nothing(served: Served) -> None:
    assert served.ask("/run/do/pause").status == 405
    assert served.ask("/run/do/pause", "HEAD").status == 405
    assert did(served) == []


def test_no_path_leads_to_another_site(served: Served) -> None:
    for path in (
        "//example.org",
        "//example.org/%2f..",
        "/\\example.org",
        "/run//example.org",
        "/?next=//example.org",
        "/login?next=//example.org",
        "/run/static//example.org/..",
        "/run/static/../page.js",
    ):
        answer = served.ask(path)
        assert answer.headers.get("location", "/run") == "/run", path
    assert served.ask("/").headers["location"] == "/run"


def test_open_on_loopback_answers_to_its_own_names_only(serve: Serve, painted: str) -> None:
    served = serve(painted, logins=Logins.without_login("somebody"))
    for host in (f"127.0.0.1:{served.port}", "localhost", "[::1]:80"):
        assert served.ask("/run/now", login=None, headers={"Host": host}).status == 200, host
    for host in ("example.org", "127.0.0.1.example.org", "localhost.example.org:5555", "[", ""):
        assert served.ask("/run/now", login=None, headers={"Host": host}).status in (400, 403), host


@pytest.mark.parametrize(
    "text", ["", "alice", ":wonderland", "alice:short", "alice:wonderland alice:wonderland2", "ålice:wonderland"]
)
def test_logins_that_protect_nothing_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLANK_FLOWER_LOGINS", text)
    with pytest.raises(WrongUse) as raised:
        load_logins()
    assert "wonderland" not in str(raised.value)


def test_two_people_are_told_apart_and_no_password_is_shown() -> None:
    logins = Logins.parse("alice:wonderland bob:builder-of-things")
    assert logins.user_of(basic("bob:builder-of-things")["Authorization"]) == "bob"
    assert logins.user_of(basic("alice:builder-of-things")["Authorization"]) is None
    assert "wonderland" not in repr(logins)
