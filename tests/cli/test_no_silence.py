"""Commands that work for seconds say what they do: on standard error, sparsely where it is no terminal."""

import contextlib
import json
from collections.abc import Iterator

import psycopg
import pytest
from support.runs.processes import Process, Site
from support.runs.waiting import wait_for

pytestmark = pytest.mark.cli


@contextlib.contextmanager
def _table_held(site: Site) -> Iterator[None]:
    with psycopg.connect(site.database_url) as other:
        other.execute("LOCK TABLE public.orders IN ACCESS EXCLUSIVE MODE")
        yield


def _says(process: Process) -> str:
    """What it said it does, while it does it."""

    def lines() -> list[str]:
        return [line for line in process.stderr.splitlines() if line.endswith(" …")]

    found = wait_for("a word of what it does", lines, deadline_s=15, explain=lambda: process.stderr)
    assert process.running, process.stderr
    return found[-1]


def _ended_well(process: Process, *, codes: tuple[int, ...] = (0,)) -> None:
    ended = process.wait(deadline_s=60)
    assert ended.exit_code in codes, ended.stderr
    assert isinstance(json.loads(ended.stdout.splitlines()[-1]), dict | list)
    assert "\x1b" not in ended.stderr
    # Sparse: not a line a second
    assert len([line for line in ended.stderr.splitlines() if line.endswith(" …")]) < 12
    # Plain lines for people: no log's
    assert not [line for line in ended.stderr.splitlines() if "level=" in line]


def test_commands_before_a_run(site: Site) -> None:
    scripts, proposed = str(site.folder / "scripts"), str(site.folder / "proposed.toml")
    # Not at once: check and compile both try the swap.
    for command in (
        ("check", str(site.plan)),
        ("compile", str(site.plan), "--out", scripts),
        ("inspect", "--out", proposed),
    ):
        with _table_held(site):
            process = site.start(*command, "--json")
            assert "reading the catalogue" in _says(process), command
        _ended_well(process)


def test_commands_after_a_run(site: Site) -> None:
    assert site.run().wait().exit_code == 0
    with _table_held(site):
        started = {
            "verify": site.start("verify", "--json"),
            "report": site.start("report", "--json"),
            "catalogue-diff": site.start("catalogue-diff", "--json"),
        }
        assert "comparing both tables of public.orders" in _says(started["verify"])
        assert "comparing both tables of public.orders" in _says(started["report"])
        assert "reading the catalogue" in _says(started["catalogue-diff"])
    for process in started.values():
        _ended_well(process, codes=(0, 1))
    with _table_held(site):
        rollback = site.start("rollback", "--yes", "--json")
        assert "set 1" in _says(rollback) or "public.orders" in _says(rollback)
    _ended_well(rollback)


def test_finish(site: Site) -> None:
    assert site.run().wait().exit_code == 0
    with _table_held(site):
        finish = site.start("finish", "--yes", "--json")
        assert "comparing both tables of public.orders" in _says(finish)
    _ended_well(finish)


def test_a_short_command_says_nothing_of_it(site: Site) -> None:
    ended = site.call("inspect", "--out", str(site.folder / "proposed.toml"))
    assert ended.exit_code == 0
    assert "level='info'" not in ended.stderr or len(ended.stderr.splitlines()) <= 3
