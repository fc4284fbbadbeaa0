"""The wheel in an empty environment, without any extra: what it needs comes with it, and a whole run is done."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from support.runs.attacks import Attack
from support.schemas.small_shop import create_small_shop, differences, write_plan

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

pytestmark = pytest.mark.cli

ROOT = Path(__file__).parents[2]
PACKAGES = ("sql", "monitoring", "producer", "workers", "demo")
TAKEN = (*PACKAGES, "celery", "typer", "rich", "structlog", "psycopg", "json5", "csv", "logging", "argparse")
"""Names of packages in a project that somebody may work in: ours, our libraries', the standard library's."""

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
    for name in PACKAGES:
        _foreign_package(_libraries(programs), name)
    subprocess.run([*PIP, "--python", str(programs / "python"), "install", str(wheel)], check=True)
    return programs


def _libraries(programs: Path) -> Path:
    (folder,) = programs.parent.glob("lib/python*/site-packages")
    return folder


def _foreign_package(folder: Path, name: str, text: str = "MINE = True\n") -> Path:
    """A package of somebody else's, by the same name."""
    package = folder / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(text)
    return package


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that somebody works in: whatever is imported from it raises."""
    folder = tmp_path_factory.mktemp("project")
    for name in TAKEN:
        _foreign_package(folder, name, "raise RuntimeError('this belongs to somebody else')\n")
    return folder


def _commands(environment: Path) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    return (environment / "replank", ()), (environment / "python", ("-m", "replank"))


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
        postgres.create_database("hostile")
        yield url, broker.url()


@pytest.mark.attack("12.7", "a run from a clean installation")
def test_a_clean_installation_does_a_whole_run(
    environment: Path, servers: tuple[str, str], tmp_path: Path, attack: Attack
) -> None:
    url, broker = servers
    replank = environment / "replank"
    for program, arguments in _commands(environment):
        told = _call(program, *arguments, "--version", cwd=tmp_path)
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


@pytest.mark.attack("12.8", "called in a project that has packages of the same names, on PYTHONPATH too")
def test_nothing_of_the_folder_it_is_called_in_is_imported(
    environment: Path, project: Path, servers: tuple[str, str], attack: Attack
) -> None:
    """Neither by the command nor by what it starts: local workers, and the processes of a fleet."""
    url, broker = servers
    create_small_shop(url.replace("/shop", "/hostile"), orders=100)
    for program, arguments in _commands(environment):
        for path in ("", ".", str(project)):
            helped = _call(program, *arguments, "--help", cwd=project, PYTHONPATH=path)
            assert (helped.returncode, "quarantine" in helped.stdout) == (0, True), helped.stderr
    replank = environment / "replank"
    named = {"REPLANK_BROKER_URL": broker, "CELERY_BROKER_URL": "redis://127.0.0.1:1/0", "PYTHONPATH": "."}
    plan = write_plan(project / "plan.toml", database="*")
    targets = project / "targets"
    targets.touch(0o600)
    targets.write_text(f"hostile {url.replace('/shop', '/hostile')}\n")
    fleet = ("fleet", "run", str(plan), "--targets", str(targets), "--workers", "1", "--logs", str(project / "logs"))
    ran = _call(replank, *fleet, cwd=project, **named)
    logs = "".join(log.read_text() for log in (project / "logs").glob("*"))
    assert ran.returncode == 0, f"{ran.stderr}\n{logs}"
    assert differences(url.replace("/shop", "/hostile")) == []
    attack.record("the run was done, and nothing of the project was imported", lost=0)


def test_another_package_that_python_took_first_is_named(environment: Path, tmp_path: Path) -> None:
    """One that the environment itself loads before any command begins."""
    early = _libraries(environment) / "early.pth"
    early.write_text("import sql\n")
    try:
        told = _call(environment / "replank", "status", "--json", cwd=tmp_path)
    finally:
        early.unlink()
    assert told.returncode == 2, told.stderr
    assert str(_libraries(environment) / "sql" / "__init__.py") in " ".join(told.stderr.split())
    assert "uv tool install" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert "package sql" in json.loads(told.stdout)["error"]


def test_what_belongs_to_others_stays_theirs(wheel: Path, tmp_path: Path) -> None:
    """Installing beside packages of the same names overwrites nothing, and uninstalling takes nothing away."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    programs = tmp_path / "bin"
    others = [_foreign_package(_libraries(programs), name) / "__init__.py" for name in PACKAGES]
    pip = [*PIP, "--python", str(programs / "python")]
    subprocess.run([*pip, "install", "--no-deps", str(wheel)], check=True)
    assert [file.read_text() for file in others] == ["MINE = True\n"] * len(others)
    # Without its libraries it says so
    told = _call(programs / "replank", "--help", cwd=tmp_path)
    assert (told.returncode, "Traceback" in told.stderr) == (1, False)
    assert "this installation is not complete" in told.stderr
    subprocess.run([*pip, "uninstall", "--yes", "replank"], check=True)
    assert [file.read_text() for file in others] == ["MINE = True\n"] * len(others)
    assert not list(_libraries(programs).glob("replank*"))


@pytest.mark.parametrize("command", [("demo",), ("demo", "--shop"), ("demo", "--json")], ids=" ".join)
def test_the_demonstration_without_its_extra_says_so(
    environment: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    told = _call(environment / "replank", *command, cwd=tmp_path)
    assert told.returncode == 2, told.stderr
    assert "replank[embedded]" in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_every_extra_is_found(environment: Path, wheel: Path) -> None:
    """Each by itself, beside what is always there: the names resolve and do not contradict each other."""
    metadata = subprocess.run([str(environment / "python"), "-c", EXTRAS], capture_output=True, text=True, check=True)
    for extra in set(metadata.stdout.split()) - {"dev"}:
        subprocess.run(
            [*PIP, "--python", str(environment / "python"), "install", "--dry-run", f"{wheel}[{extra}]"], check=True
        )


def test_the_image_is_built_from_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Of what the Dockerfile copies, the wheel that it installs becomes the same, file by file."""
    building, _, _ = (ROOT / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")
    for line in building.splitlines():
        match line.split():
            case ["COPY", *names, place]:
                for name in names:
                    _copy(ROOT / name, tmp_path / place / (name if place == "./" else ""))
    subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(tmp_path)], check=True)
    (built,) = tmp_path.glob("*.whl")
    assert _record(built) == _record(wheel)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _record(wheel: Path) -> list[str]:
    """Its files with their checksums."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/RECORD"))
        return sorted(opened.read(name).decode().splitlines())


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Its licence, and that its types are meant for others."""
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        (metadata,) = (opened.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
        (licence,) = (opened.read(name).decode() for name in names if name.endswith("licenses/LICENSE"))
    assert "MIT License" in licence
    assert re.search(r"^License-Expression: MIT$", metadata, re.MULTILINE)
    assert "replank/py.typed" in names
    # No other name is taken: `sql` or `workers` may be somebody else's.
    assert {name.split("/")[0] for name in names} == {"replank", f"replank-{version('replank')}.dist-info"}
