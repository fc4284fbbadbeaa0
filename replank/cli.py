"""The console command. The outer packages hand in their commands; this module imports none of them.

Each command is an entry point of its own, so that `replank status` need not load what only `replank run` needs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

import structlog
import typer

from replank.errors import ReplankError
from replank.unexpected import exit_code_of, unexpected

COMMANDS = "replank.commands"


def build_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """The `replank` command, with the sub-command that the arguments name; with all of them where it is none."""
    app = typer.Typer(
        name="replank",
        help="Rebuild the tables of a live PostgreSQL database while the application reads and writes them.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    points = sorted(entry_points(group=COMMANDS), key=lambda p: p.name)
    named = [point for point in points if point.name in arguments[:1]] or points
    # Several commands come from one place.
    for register in dict.fromkeys(point.load() for point in named):
        register(app)
    if len(app.registered_commands) + len(app.registered_groups) == 1:
        # Typer would leave out the name of a command that is the only one.
        app.callback()(lambda: None)
    return app


def configure_logging() -> None:
    """Log lines for machines and people go to standard error; standard output is for results."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Asked anew for each line: a progress display takes standard error's place while it is shown.
        logger_factory=lambda *_: structlog.PrintLogger(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def main() -> None:
    """Run the command; every error becomes one message and an exit code, no traceback."""
    configure_logging()
    try:
        build_app(sys.argv[1:])()
    except ReplankError as error:
        print(f"replank: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except Exception as error:  # noqa: BLE001 the last border: an operator reads a sentence, a developer the file
        print(f"replank: {unexpected(error)}", file=sys.stderr)
        raise SystemExit(exit_code_of(error)) from None
    except KeyboardInterrupt:
        print("replank: stopped; the ledger has what was done, the same command goes on", file=sys.stderr)
        raise SystemExit(1) from None
