"""What `--help` says of every command."""

import re
import shlex
from typing import Any

import pytest
import typer

from cli.every_command import commands
from replank.cli import build_app

pytestmark = pytest.mark.unit

GROUPS = ("fleet", "quarantine")


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
    for command in (app, *(app.commands[name] for name in GROUPS)):
        assert _example(command)[0] == "replank"


def test_nothing_that_is_said_in_brackets_is_lost() -> None:
    """Help is drawn with markup, in which `[gates]` would be a style."""
    for name, command in commands():
        texts = [command.help, *(getattr(option, "help", None) or "" for option in command.params)]
        assert [text for text in texts if re.search(r"(?<!\\)\[[a-z/]", text)] == [], name
