"""The wheel in an empty environment, without any extra: what it needs comes with it, and a whole run is done."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from equipment.attacks import Attack
from faults.small_shop import create_small_shop, differences, write_plan

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

pytestmark = pytest.mark.cli

ROOT = Path(__file__).parents[2]
EXTRAS = "from importlib.metadata import metadata as m; print(*m('replank').get_all('Provides-Extra'))"
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sources, as a release is."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder of programs. Nothing is in it but the wheel and what the wheel asks for."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    programs = folder / "bin"
    subprocess.run([*PIP, "--python", str(programs / "python"), "install", str(wheel)], check=True)
    return programs


def _call(program: Path, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REPLANK_", "PYTHON"))}
    return subprocess.run(
        [str(program), *arguments],
        cwd=cwd,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    """A database with two small tables, and a broker."""
    with EmbeddedPostgres(durable=False) as postgres, EmbeddedValkey() as broker:
        url = postgres.create_database("shop")
        create_small_shop(url, orders=400)
        yield url, broker.url()


@pytest.mark.attack("12.7", "a run from a clean installation")
def test_a_clean_installation_does_a_whole_run(
    environment: Path, servers: tuple[str, str], tmp_path: Path, attack: Attack
) -> None:
    url, broker = servers
    replank = environment / "replank"
    for program, arguments in ((replank, ("--version",)), (environment / "python", ("-m", "replank", "--version"))):
        told = _call(program, *arguments, cwd=tmp_path)
        assert (told.returncode, told.stdout) == (0, f"replank {version('replank')}\n"), told.stderr
    helped = _call(replank, "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    words = {"_REPLANK_COMPLETE": "complete_bash", "COMP_WORDS": "replank sta", "COMP_CWORD": "1"}
    assert _call(replank, cwd=tmp_path, **words).stdout.split() == ["status"]
    plan = write_plan(tmp_path / "plan.toml", database="shop")
    run = _call(
        replank,
        *("run", str(plan), "--workers", "1", "--quiet"),
        cwd=tmp_path,
        REPLANK_DATABASE_URL=url,
        REPLANK_BROKER_URL=broker,
    )
    assert run.returncode == 0, run.stderr
    assert differences(url) == []
    attack.record("the run was done", lost=0)


def test_every_extra_is_found(environment: Path, wheel: Path) -> None:
    """Each by itself, beside what is always there: the names resolve and do not contradict each other."""
    metadata = subprocess.run([str(environment / "python"), "-c", EXTRAS], capture_output=True, text=True, check=True)
    for extra in set(metadata.stdout.split()) - {"dev"}:
        subprocess.run(
            [*PIP, "--python", str(environment / "python"), "install", "--dry-run", f"{wheel}[{extra}]"], check=True
        )


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Its licence, and that its types are meant for others."""
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        (metadata,) = (opened.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
        (licence,) = (opened.read(name).decode() for name in names if name.endswith("licenses/LICENSE"))
    assert "MIT License" in licence
    assert re.search(r"^License-Expression: MIT$", metadata, re.MULTILINE)
    for package in ("replank", "sql", "monitoring", "producer", "workers", "demo"):
        assert f"{package}/py.typed" in names
