"""The console command. The outer packages hand in their commands; this package imports none of them.

Each command is an entry point of its own, so that `replank status` need not load what only `replank run` needs.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer

from replank import __version__
from replank.cli.groups import InOrder, put_under_headings
from replank.failing import run_command
from replank.isolation import refuse_foreign_packages
from replank.logger import configure_logging

COMMANDS = "replank.commands"
COMPLETION = "_REPLANK_COMPLETE"
HELP = """Rebuild the tables of a live PostgreSQL database while the application reads and writes them.

Example: replank inspect --out plan.toml
"""


def build_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """The `replank` command, with the sub-command that the arguments name; with all of them where it is none."""
    app = _empty_app()
    points = _points()
    named = [point for point in points if point.name in arguments[:1]] or points
    # Several commands come from one place.
    for register in dict.fromkeys(point.load() for point in named):
        register(app)
    put_under_headings(app)
    return app


def build_names() -> typer.Typer:
    """The commands by their names alone: nothing of theirs is imported, so this takes a tenth of the time."""
    app = _empty_app()
    for point in _points():
        app.command(point.name)(_nothing)
    return app


def _points() -> list[EntryPoint]:
    return sorted(entry_points(group=COMMANDS), key=lambda point: point.name)


def _nothing() -> None:
    # Stands for a command that only its name is wanted of; a docstring would be shown as its help.
    return None


def _empty_app() -> typer.Typer:
    app = typer.Typer(
        name="replank",
        cls=InOrder,
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    # With a callback, Typer also keeps the name of a command that is the only one.
    app.callback(help=HELP)(_options)
    return app


def words_to_complete(environment: Mapping[str, str]) -> list[str] | None:
    """What stands on the shell's line behind `replank`, the word under the cursor last. None: nothing is completed."""
    if COMPLETION not in environment:
        return None
    # Bash says it in one way, every other shell in another (typer._completion_classes).
    line = environment.get("COMP_WORDS") or environment.get("_TYPER_COMPLETE_ARGS", "")
    words = line.split()[1:]
    if environment.get("COMP_CWORD", "0").isdecimal() and "COMP_WORDS" in environment:
        at_a_new_one = int(environment.get("COMP_CWORD", "0")) > len(words)
    else:
        at_a_new_one = line[-1:].isspace()
    return [*words, ""] if at_a_new_one else words


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"replank {__version__}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """What is asked before any command."""


@contextmanager
def _without_collections() -> Iterator[None]:
    """Modules are imported: what they make stays, and looking through it for garbage takes a sixth of the start.

    Nor is it looked through afterwards, so that a worker's children share its pages with it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def main() -> None:
    """Run the command. However it fails, there is one message and an exit code, and no traceback."""
    arguments = sys.argv[1:]
    completed = words_to_complete(os.environ)

    def program() -> object:
        refuse_foreign_packages()
        if arguments[:1] == ["--version"] or (completed is not None and len(completed) < 2):
            app = build_names()
        else:
            with _without_collections():
                app = build_app(arguments if completed is None else completed)
            if "structlog" in sys.modules:
                # A command that logs has imported it by now; in the others `replank.logger.Logger` does.
                configure_logging()
        return app(standalone_mode=False)

    raise SystemExit(run_command(program, arguments))
