"""What `--help` says of every command."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from support.runs.commands import commands
from typer.testing import CliRunner

from replank.cli.app import build_app
from replank.cli.groups import GROUPS, ORDER
from replank.plan.operation.gates_plan import GatesPlan

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
BELOW = ("fleet", "quarantine")
"""Commands that have commands."""

DEMO = "Try it"
"""The README has a section of its own for it."""


def _example(command: Any) -> list[str]:
    """The words of its example, without variables before the program."""
    (line,) = re.findall(r"^Example: (.+)$", command.help, re.MULTILINE)
    words = shlex.split(line)
    while "=" in words[0]:
        words.pop(0)
    return words


def test_every_command_has_an_example_that_it_takes() -> None:
    """Not only written down: its options and arguments are those of the command."""
    for name, command in commands():
        program, *words = _example(command)
        assert [program, *words[: len(name.split())]] == ["replank", *name.split()]
        command.make_context(name, words[len(name.split()) :])


def test_groups_and_the_program_itself_have_one_too() -> None:
    app: Any = typer.main.get_command(build_app())
    for command in (app, *(app.commands[name] for name in BELOW)):
        assert _example(command)[0] == "replank"


def test_nothing_that_is_said_in_brackets_is_lost() -> None:
    """Help is drawn with markup, in which `[gates]` would be a style."""
    for name, command in commands():
        texts = [command.help, *(getattr(option, "help", None) or "" for option in command.params)]
        assert [text for text in texts if re.search(r"(?<!\\)\[[a-z/]", text)] == [], name


def _of_readme() -> dict[str, list[str]]:
    """The commands under each heading of the README's tables, in their order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = text[text.index("## Use it") : text.index("## What it promises")]
    found: dict[str, list[str]] = {}
    for heading, table in re.findall(r"^\*\*(.+)\*\*\n\n((?:\|.*\n)+)", text, re.MULTILINE):
        cells = [line.split("|")[1] for line in table.splitlines()[2:]]
        words = [re.findall(r"`([^`]+)`", cell) for cell in cells]
        found[heading] = list(dict.fromkeys(word.split()[0] for said in words for word in said))
    return found


def test_help_groups_the_commands_as_the_readme_does() -> None:
    names = [name.split()[0] for name, _ in commands()]
    assert sorted(set(names)) == sorted(ORDER), "each command stands in one group"
    groups = {heading: list(commands) for heading, commands in GROUPS.items() if heading != DEMO}
    readme = _of_readme()
    # `quarantine list`, `export`, `fix`, `return` is one row: what follows the first are its sub-commands.
    below = {name.split()[1] for name, _ in commands() if " " in name}
    readme = {heading: [word for word in words if word not in below - set(ORDER)] for heading, words in readme.items()}
    assert readme == groups


def test_help_is_drawn_in_these_groups() -> None:
    drawn = CliRunner().invoke(build_app(), ["--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    headings = re.findall(r"^╭─ (.+?) ─+╮$", drawn, re.MULTILINE)
    assert headings == ["Options", *GROUPS]
    shown = [word for word in re.findall(r"^│ ([a-z-]+) ", drawn, re.MULTILINE) if not word.startswith("-")]
    assert shown == list(ORDER)


def test_the_example_of_gates_attests_a_gate_that_people_attest() -> None:
    """Others are looked at, and the command refuses to have them attested."""
    words = _example(dict(commands())["gates"])
    assert words[words.index("attest") + 1] in {each.name for each in GatesPlan().attestations}
