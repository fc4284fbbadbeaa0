"""TAB in a shell, and what is loaded for it: a person waits, so nothing is imported that has no part in the answer."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

LOADED = """
import sys
from replank.__main__ import main
sys.argv[0] = "replank"
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
HEAVY = {"celery", "kombu", "redis", "tornado", "psycopg", "structlog", "rich", "jinja2", "sql", "producer"}
"""Typer itself reads options with pydantic."""

BROKERS = {"celery", "kombu", "redis", "tornado", "flower"}


def _call(*words: str, **variables: str) -> tuple[str, set[str]]:
    """Standard output, and the names of all packages that were imported."""
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, set(done.stderr.splitlines()[-1].split())


def _complete(shell: str, line: str) -> tuple[str, set[str]]:
    """As the script that `--install-completion` writes asks for it."""
    words = line.split()
    cursor = len(words) if line.endswith(" ") else len(words) - 1
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(cursor)} if shell == "bash" else {"_TYPER_COMPLETE_ARGS": line}
    if shell == "fish":
        asked["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    return _call(_REPLANK_COMPLETE=f"complete_{shell}", **asked)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_are_completed_without_the_commands(shell: str) -> None:
    said, loaded = _complete(shell, "replank st")
    assert "status" in said
    assert "run" not in said
    assert loaded & HEAVY == set()
    said, loaded = _complete(shell, "replank ")
    assert {name for name in ("status", "fleet", "catalogue-diff") if name not in said} == set()
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_options_and_inner_commands_are_completed(shell: str) -> None:
    for line, wanted in (
        ("replank status --js", "--json"),
        ("replank fleet ro", "rollback"),
        ("replank fleet ", "pause"),
    ):
        said, _ = _complete(shell, line)
        assert wanted in said, line


def test_the_version_is_said_without_any_command() -> None:
    said, loaded = _call("--version")
    assert said.startswith("replank ")
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("words", [("status", "--help"), ("config", "--json"), ("explain", "--help")])
def test_commands_that_send_nothing_load_no_broker(words: tuple[str, ...]) -> None:
    _, loaded = _call(*words)
    assert loaded & BROKERS == set()
