"""The console command. The outer packages hand in their commands; this module imports none of them.

Each command is an entry point of its own, so that `replank status` need not load what only `replank run` needs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Annotated

import structlog
import typer

from replank import __version__
from replank.failing import run_command
from replank.isolation import refuse_foreign_packages
from replank.log_lines import PROCESSORS

COMMANDS = "replank.commands"
HELP = """Rebuild the tables of a live PostgreSQL database while the application reads and writes them.

Example: replank inspect --out plan.toml
"""


def build_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """The `replank` command, with the sub-command that the arguments name; with all of them where it is none."""
    app = typer.Typer(
        name="replank",
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    # With a callback, Typer also keeps the name of a command that is the only one.
    app.callback(help=HELP)(_options)
    points = sorted(entry_points(group=COMMANDS), key=lambda p: p.name)
    named = [point for point in points if point.name in arguments[:1]] or points
    # Several commands come from one place.
    for register in dict.fromkeys(point.load() for point in named):
        register(app)
    return app


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"replank {__version__}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """What is asked before any command."""


def configure_logging() -> None:
    """Log lines for machines and people go to standard error; standard output is for results."""
    structlog.configure(
        processors=list(PROCESSORS),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Asked anew for each line: a progress display takes standard error's place while it is shown.
        logger_factory=lambda *_: structlog.PrintLogger(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def main() -> None:
    """Run the command. However it fails, there is one message and an exit code, and no traceback."""
    configure_logging()
    arguments = sys.argv[1:]

    def program() -> object:
        refuse_foreign_packages()
        return build_app(arguments)(standalone_mode=False)

    raise SystemExit(run_command(program, arguments))
