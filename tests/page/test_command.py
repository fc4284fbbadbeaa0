"""`replank flower`: when it refuses to start, and how its messages are shown."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from flower.urls import settings as flower_settings

from monitoring.flower.login_gate import host_of
from monitoring.flower.server import private_file
from monitoring.flower.tasks import format_task
from monitoring.flower.templates import CHANGES, changed, templates
from producer.cli.flower import flower
from replank.errors import WrongUse

pytestmark = pytest.mark.unit

NOWHERE = {"database_url": "postgresql://nobody:secret-word@127.0.0.1:1/none", "broker_url": "redis://127.0.0.1:1/0"}


@pytest.fixture(autouse=True)
def no_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPLANK_FLOWER_LOGINS", "REPLANK_FLOWER_LOGINS_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "No login is named"),
        ({"address": "0.0.0.0", "open_on_loopback": True}, "would admit everyone"),
        ({"address": "example.org", "open_on_loopback": True}, "would admit everyone"),
        ({"address": "", "open_on_loopback": True}, "would admit everyone"),
        ({"url_prefix": "/a b"}, "--url-prefix may have"),
        ({"tls_certificate": Path("nothing.pem")}, "needs its key"),
        ({"tls_certificate": Path("nothing.pem"), "tls_key": Path("nothing.key")}, "cannot be used"),
    ],
)
def test_it_does_not_start_open_nor_half(given: dict[str, object], words: str) -> None:
    with pytest.raises(WrongUse, match=words) as raised:
        flower(
            **{
                "address": "127.0.0.1",
                "port": 0,
                "url_prefix": "",
                "state": None,
                "open_on_loopback": False,
                "open_metrics": False,
                "trust_proxy": None,
                "tls_certificate": None,
                "tls_key": None,
                **NOWHERE,
                **given,
            }
        )  # type: ignore[arg-type]
    assert "secret-word" not in str(raised.value)


def test_logins_and_an_open_server_are_not_both_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLANK_FLOWER_LOGINS", "alice:wonderland")
    with pytest.raises(WrongUse, match="Use only one of them"):
        flower(open_on_loopback=True, **NOWHERE)


def test_logins_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "logins"
    monkeypatch.setenv("REPLANK_FLOWER_LOGINS_FILE", str(file))
    with pytest.raises(WrongUse, match="cannot be read"):
        flower(**NOWHERE)
    file.write_text("alice:short\n")
    with pytest.raises(WrongUse, match="less than 8") as raised:
        flower(**NOWHERE)
    assert "short" not in str(raised.value)


def test_what_flower_saw_is_kept_where_nobody_else_writes(tmp_path: Path) -> None:
    kept = private_file(tmp_path / "new" / "flower")
    assert oct(kept.parent.stat().st_mode & 0o777) == "0o700"
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chmod(shared, 0o777)
    with pytest.raises(WrongUse, match="can be written to by others"):
        private_file(shared / "flower")


def test_flowers_pages_have_the_ways_to_the_run_page() -> None:
    folder = Path(str(flower_settings["template_path"]))
    for name, changes in CHANGES.items():
        text = (folder / name).read_text(encoding="utf-8")
        for change in changes:
            assert text.count(change.at) == 1, f"this version of Flower has no such place in {name}: {change.at}"
            assert change.put in changed(name, text)
    assert templates(flower_settings).load("task.html")


def test_messages_read_as_chunks() -> None:
    task = SimpleNamespace(
        kwargs="{'job': 5, 'what': 'copy public.Booking heap [0, 16384)'}", result="'done: 16,384 rows, attempt 1'"
    )
    shown = format_task(task)
    assert shown.kwargs == "job 5: copy public.Booking heap [0, 16384)"
    assert shown.job == 5
    assert shown.result == "done: 16,384 rows, attempt 1"
    for odd in (None, "", "{'job': 5, 'wh…", "[1]", "{'job': __import__('os')}"):
        assert format_task(SimpleNamespace(kwargs=odd, result=None)).kwargs == odd


@pytest.mark.parametrize(
    ("header", "name"), [("localhost:1", "localhost"), ("[::1]:5555", "::1"), ("", ""), ("[", ""), ("a@b", "b")]
)
def test_the_name_of_a_host_header(header: str, name: str) -> None:
    assert host_of(header) == name
