"""How the command line ends when something is wrong: one sentence for people, an object for programs, an exit code.

0 is done, 1 needs the operator, 2 is wrong use, 3 is a server that does not answer, 70 a bug. No traceback is shown:
that of a bug is in a file. Nothing that is shown or written holds a secret of an address that the command knows.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replank import __version__
from replank.addresses.addresses import hide
from replank.errors import NeedsOperator, NotAnswering, ReplankError, WrongUse
from replank.sqlstates import is_connection_lost
from replank.state_folder import state_folder

if TYPE_CHECKING:
    pass

DONE = 0
BUG = 70

_INTERRUPTED = 130
"""What Typer makes of Ctrl-C."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RIGHTS = "The role lacks a privilege. docs/roles.md lists what each command needs."


class UnexpectedError(ReplankError):
    """A mistake of Replank's own; the traceback is in a file."""

    exit_code = BUG


def run_command(program: Callable[[], object], arguments: Sequence[str]) -> int:
    """Run it, and give the exit code. What went wrong has been told to people, and with `--json` to programs."""
    # Typer brings Click along under a name of its own, which differs between its versions.
    import typer

    click_error: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    try:
        code = program()
    except ReplankError as error:
        return _report_failure(error, arguments)
    except typer.Abort:
        return _report_failure(
            NeedsOperator("Stopped: there was no answer.", hint="Add `--yes` to confirm without a question."), arguments
        )
    except click_error as error:
        from typer import rich_utils

        rich_utils.rich_format_error(error)
        said = WrongUse(error.format_message(), hint="See the command's `--help`.")
        return _report_failure(said, arguments, people=False)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost place of all: whatever comes here is told, and kept
        return _report_failure(_named(error, arguments), arguments)
    if code == _INTERRUPTED:
        words = "stopped; the ledger has what was done."
        return _report_failure(NeedsOperator(words, hint="Run the same command to continue."), arguments)
    return code if isinstance(code, int) else DONE


def _report_failure(error: ReplankError, arguments: Sequence[str], *, people: bool = True) -> int:
    addresses = list(_addresses(arguments))
    said, hint = hide(str(error), addresses), hide(error.hint, addresses)
    if people:
        own = f" {hint}" if error.has_own_hint else ""
        # If no reader is left, only the exit code tells it.
        with suppress(OSError):
            print(f"replank: {said}{own}", file=sys.stderr)
    if "--json" in arguments:
        with suppress(OSError):
            print(json.dumps({"error": said, "hint": hint}, ensure_ascii=False), flush=True)
    return error.exit_code


def _named(error: Exception, arguments: Sequence[str]) -> ReplankError:
    """What a driver's error means to an operator; anything else is a bug."""
    import psycopg
    from kombu.exceptions import OperationalError as BrokerError
    from redis.exceptions import RedisError

    if isinstance(error, psycopg.Error):
        words = (error.diag.message_primary or str(error)).strip()
        if is_connection_lost(error):
            return NotAnswering(f"The connection to the database is lost: {words}.")
        if isinstance(error, (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege)):
            hint = RIGHTS if isinstance(error, psycopg.errors.InsufficientPrivilege) else ""
            return NeedsOperator(f"PostgreSQL rejected a statement: {words} ({error.sqlstate}).", hint=hint)
    if isinstance(error, (BrokerError, RedisError)):
        return NotAnswering(f"The broker does not answer: {str(error).rstrip('.')}.")
    if isinstance(error, OSError):
        told = _of_named_file(error, arguments) or _of_full_disk(error)
        if told is not None:
            return told
    kept = _keep(error, arguments)
    hint = f"Its traceback is in {kept}. Please report it." if kept else "Could not write a file for its traceback."
    return UnexpectedError(f"An unexpected error: {type(error).__name__}.", hint=hint)


def _of_named_file(error: OSError, arguments: Sequence[str]) -> ReplankError | None:
    """A file or folder that the command was given, and that is not as it should be."""
    if not isinstance(error.filename, (str, os.PathLike)):
        return None
    file = Path(error.filename)
    for word in arguments:
        named = Path(word.partition("=")[2] if word.startswith("--") else word)
        if named.name and (file.is_relative_to(named) or named.is_relative_to(file)):
            return WrongUse(f"{file}: {error.strerror}.")
    return None


def _of_full_disk(error: OSError) -> ReplankError | None:
    """What was being written, standard output perhaps, has no room; the system does not say which file it was."""
    if error.errno not in _NO_ROOM:
        return None
    try:
        sys.stdout.flush()
    except OSError:
        # Nothing more goes there, not even when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    words = f"Could not write the output: {error.strerror}."
    return NeedsOperator(words, hint="Free disk space, then run the same command again.")


def _keep(error: Exception, arguments: Sequence[str]) -> Path | None:
    """Write the traceback to a file that only this user can read. None where no place takes one."""
    lines = [f"replank {__version__}, Python {platform.python_version()}, {' '.join(arguments)}\n"]
    text = hide("".join([*lines, *traceback.format_exception(error)]), list(_addresses(arguments)))
    name = f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    for folder in (state_folder(), Path(tempfile.gettempdir())):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with _private(folder / name) as descriptor:
                os.write(descriptor, text.encode())
            return folder / name
    return None


@contextmanager
def _private(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _addresses(arguments: Sequence[str]) -> Iterator[str]:
    """Every address that the command was given: by its environment, by secrets' files, by its arguments."""
    for name, value in os.environ.items():
        if name.startswith("REPLANK_") and name.endswith("_URL"):
            yield value
    folder = os.environ.get("REPLANK_SECRETS_DIR")
    if folder:
        for file in Path(folder).glob("replank_*_url"):
            with suppress(OSError, UnicodeDecodeError):
                yield file.read_text(encoding="utf-8").strip()
    for before, here in zip(("", *arguments), arguments, strict=False):
        if "://" in here or "password" in here or before.endswith("-url"):
            yield here.partition("=")[2] if here.startswith("--") else here
