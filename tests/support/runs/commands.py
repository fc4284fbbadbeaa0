"""Every command of the console."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from replank.cli.app import build_app


def commands() -> Iterator[tuple[str, Any]]:
    """Name and command of every leaf of the application."""
    yield from _leaves(typer.main.get_command(build_app()), ())


def _leaves(command: Any, name: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for word, inner in getattr(command, "commands", {}).items():
        yield from _leaves(inner, (*name, word))
    if not hasattr(command, "commands"):
        yield " ".join(name), command
