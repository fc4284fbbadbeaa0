"""However a command is used wrongly, it ends with a code of the contract, one sentence, and no traceback."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.runs.commands import commands
from support.runs.ledger_view import LedgerView
from support.runs.processes import Finished, Site

from cli.conftest import MakeSite
from cli.every_command import CALLS, OF_A_FLEET, OWN_SERVERS, SERVICES, WITHOUT_RUN, call_of, make_files

pytestmark = pytest.mark.cli

NOWHERE = "postgresql://postgres:s3cret@127.0.0.1:1/shop"
NO_BROKER = "redis://:s3cret@127.0.0.1:1/0"
NO_ROOM = "Could not write the output: No space left on device. Free disk space, then run the same command again."
REPLANK = (sys.executable, "-P", "-m", "replank")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the logs of bugs would be."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def empty(make_site: MakeSite, small_shop: str, state: Path) -> Site:
    """A shop without any run, and all files that commands read."""
    site = make_site(small_shop)
    make_files(site, target=NOWHERE)
    site.plan.write_text(re.sub(r'^name = "cli_.*"$', 'name = "*"', site.plan.read_text(), count=1, flags=re.M))
    site.settings["XDG_STATE_HOME"] = str(state)  # type: ignore[index]
    return site


def _problems(name: str, ended: Finished, *, code: int, as_json: bool = False) -> list[str]:
    """What is wrong with how it ended; empty where nothing is."""
    said = ended.stdout + ended.stderr
    found = []
    if ended.exit_code != code:
        found.append(f"exit code {ended.exit_code}, not {code}: {ended.stderr[-400:]}")
    found += [f"{word} is shown" for word in ("Traceback", "s3cret", "pydantic", "Errno") if word in said]
    if not ended.stderr.strip():
        found.append("nothing is said")
    if as_json:
        last = (ended.stdout.splitlines() or ["{}"])[-1]
        document = json.loads(last)
        if set(document) != {"error", "hint"} or not all(document.values()):
            found.append(f"programs are told {last[:200]}")
    return [f"{name}: {words}" for words in found]


def test_the_table_has_every_command() -> None:
    assert {name for name, _ in commands()} == set(CALLS)


def test_nonsense(empty: Site) -> None:
    found: list[str] = []
    for name in CALLS:
        for nonsense in (("--nonsense",), ("one", "two", "three", "four")):
            ended = empty.call(*call_of(name, empty), *nonsense, "--json")
            found += _problems(name, ended, code=2, as_json=True)
    assert found == []


def test_a_database_that_does_not_answer(empty: Site) -> None:
    """What reads tells programs too; services wait for it, and the fleet's own words are tried below."""
    found: list[str] = []
    for name, command in commands():
        if name in SERVICES | OWN_SERVERS | {"config", "fleet rollback", "fleet run"}:
            continue
        as_json = any("--json" in option.opts for option in command.params) and name not in OF_A_FLEET
        ended = empty.call(*call_of(name, empty), *(["--json"] if as_json else []), REPLANK_DATABASE_URL=NOWHERE)
        found += _problems(name, ended, code=3, as_json=as_json)
    assert found == []


def test_a_broker_that_does_not_answer(empty: Site, site: Site, ledger: LedgerView) -> None:
    ended = empty.call(*call_of("run", empty), "--json", REPLANK_BROKER_URL=NO_BROKER)
    found = _problems("run", ended, code=3, as_json=True)
    ended = empty.call(*call_of("rehearse", empty), "--json", REPLANK_BROKER_URL=NO_BROKER)
    found += _problems("rehearse", ended, code=3, as_json=True)
    # `scale` asks the broker only where there is a run
    site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"copying"})
    found += _problems("scale", site.call("scale", "2", REPLANK_BROKER_URL=NO_BROKER), code=3)
    assert found == []


def test_no_run(empty: Site) -> None:
    found: list[str] = []
    for name in set(CALLS) - WITHOUT_RUN - SERVICES - OWN_SERVERS - OF_A_FLEET - {"run"}:
        found += _problems(name, empty.call(*call_of(name, empty)), code=2)
    for words in (("rollback", "--run", "99", "--yes"), ("explain", "99")):
        found += _problems(" ".join(words), empty.call(*words), code=2)
    assert found == []


def test_a_run_that_does_not_exist(site: Site) -> None:
    assert site.run().wait().exit_code == 0
    found = _problems("rollback", site.call("rollback", "--run", "99", "--yes", "--json"), code=2, as_json=True)
    found += _problems("explain", site.call("explain", "99999999999999999999999", "--json"), code=2, as_json=True)
    assert found == []


def test_plans_that_cannot_be_read(empty: Site) -> None:
    latin, zeros, nothing = (empty.folder / name for name in ("latin.toml", "zeros.toml", "nothing.toml"))
    latin.write_bytes(b"version = 1\n# caf\xe9\n")
    zeros.write_bytes(b"version = 1\n\x00\n")
    nothing.write_bytes(b"")
    found: list[str] = []
    for name in [name for name, words in CALLS.items() if "{plan}" in words]:
        for plan in (empty.folder / "missing.toml", empty.folder, latin, zeros, nothing, "a" * 300 + ".toml"):
            found += _problems(
                f"{name} {plan}", empty.call(*call_of(name, empty, plan=plan), "--json"), code=2, as_json=True
            )
    assert found == []


def test_places_that_cannot_be_written(site: Site, empty: Site, tmp_path: Path) -> None:
    assert site.run().wait().exit_code == 0
    make_files(site, target=site.database_url)
    found: list[str] = []
    device = os.stat("/dev/full").st_rdev
    for out in (tmp_path, tmp_path / "missing" / "file", Path("/dev/full"), Path("/proc/none"), tmp_path / ("x" * 300)):
        for name in [name for name, words in CALLS.items() if "{out}" in words]:
            if (name, out) in {("compile", tmp_path), ("compile", tmp_path / "missing" / "file")}:
                continue  # It makes its folder.
            # Only of a shop without a run something can be planned; only a run has a report.
            where = empty if name in WITHOUT_RUN | {"fleet run"} else site
            if name == "flower" and out.parent.name == "missing":
                continue  # So does that.
            found += _problems(f"{name} {out}", where.call(*call_of(name, where, out=out), deadline_s=30), code=2)
    assert found == []
    # What is no file is not replaced by one
    assert os.stat("/dev/full").st_rdev == device != 0


def test_a_worker_is_told_of_its_mistakes(empty: Site) -> None:
    for variables, words, said in (
        ({"REPLANK_HEARTBEAT_FILE": "/proc/none"}, (), "REPLANK_HEARTBEAT_FILE"),
        ({}, ("--queues", "replank.copy,nonsense"), "nonsense"),
        ({"REPLANK_LEASE_S": "inf"}, (), "REPLANK_LEASE_S"),
    ):
        ended = empty.call("worker", *words, deadline_s=30, **variables)
        assert _problems("worker", ended, code=2) == []
        assert said in ended.stderr


def _environment(site: Site) -> dict[str, str]:
    named = {"REPLANK_DATABASE_URL": site.database_url, "REPLANK_BROKER_URL": site.broker_url}
    return {**os.environ, **site.settings, **named}


@pytest.mark.parametrize("words", [("--help",), ("config", "--json"), ("status", "--json"), ("inspect", "--out", "-")])
def test_output_that_is_not_read_or_not_written(site: Site, empty: Site, words: tuple[str, ...]) -> None:
    """`| head`, and a full disk."""
    del empty
    assert site.run("--until", "01").wait().exit_code == 0 or words[0] != "status"
    process = subprocess.Popen(
        [*REPLANK, *words], env=_environment(site), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read().replace("replank: ", "").count("Error") == 0
    process.stderr.close()
    assert process.wait() in (0, 1)
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            [*REPLANK, *words], env=_environment(site), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (told.returncode, told.stderr.splitlines()[-1:]) == (
        1,
        [f"replank: {NO_ROOM}"],
    )


@pytest.mark.parametrize("name", ["status --watch", "run", "worker", "flower", "exporter", "verify"])
def test_ctrl_c_says_one_sentence(site: Site, name: str) -> None:
    """At any moment, the first one included."""
    make_files(site, target=site.database_url)
    words = name.split() if name == "status --watch" else call_of(name, site)
    for moment_s in (0.1, 0.5, 1.5, 4.0):
        process = subprocess.Popen(
            [*REPLANK, *words],
            env=_environment(site),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        time.sleep(moment_s)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        # Before Python has come to the command, its own words cannot be helped.
        if "Traceback" in said and not re.search(r"/(replank|producer|monitoring|workers|sql)/", said):
            continue
        assert "Traceback" not in said, (moment_s, said)
        assert process.returncode in (0, 1, 2, -signal.SIGINT), (moment_s, process.returncode, said)
