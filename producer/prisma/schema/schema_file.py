"""Reading and writing the schema file: nobody's change to it is ever lost."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from replank.errors import NeedsOperator, WrongUse
from sql.scripts.file_change import FileChange, sha256


def read_text(path: Path) -> str:
    """A schema file's text. Raises WrongUse."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except OSError as error:
        raise WrongUse(f"{path}: the schema file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUse(f"{path}: the schema file is not UTF-8 text") from None


def beside(path: Path) -> Path:
    """`schema.replank.prisma` for `schema.prisma`."""
    return path.with_name(f"{path.stem}.replank{path.suffix}")


def diff_names(path: Path, folder: Path) -> tuple[str, str]:
    """What a diff calls the file before and after, for `git apply` and `patch -p1` in `folder` or a folder above it.

    `patch` refuses names from the root and names that go up. Both are the file's own: where the new one is written
    beside it, the diff still says what becomes of the file.
    """
    within, here = path.absolute().parent.resolve(), folder.absolute().resolve()
    name = (within / path.name).relative_to(os.path.commonpath([within, here])).as_posix()
    # A tab ends a name that has spaces, as in git's own diffs.
    end = "\t" if " " in name else ""
    return f"a/{name}{end}", f"b/{name}{end}"


def write_change(change: FileChange) -> str:
    """Write the new file; one that is written already stays. Returns what was done. Raises NeedsOperator."""
    path = Path(change.path)
    if change.origin and change.origin != change.path:
        _refuse_changed(change, _present(Path(change.origin)))
    present = _present(path)
    if present != change.after:
        if present != change.before:
            if change.origin == change.path:
                _refuse_changed(change, present)
            raise NeedsOperator(
                f"{path} is there and not what this step writes. Move it away, then `replank retry` and `replank run "
                "PLAN`."
            )
        _put(path, change.after)
    assert change.after is not None
    return f"{path} is written (sha256 {sha256(change.after)})"


def take_back(change: FileChange) -> str:
    """Give the file its old text, if it still has what the step wrote. Returns what was done, or why it was not.

    A file that cannot be restored holds nothing up: what is in the database goes back all the same.
    """
    path = Path(change.path)
    try:
        present = _present(path)
        if present not in (change.before, change.after):
            there = "was changed since" if present is not None else f"is not there on {socket.gethostname()}"
            return f"{path} (of {change.host}) {there} and is left as it is"
        if present != change.after:
            _put(path, change.after)
    except NeedsOperator as error:
        return f"left as it is: {error}"
    return f"{path} is {'removed' if change.after is None else 'restored'}"


def _refuse_changed(change: FileChange, present: str | None) -> None:
    if present is not None and sha256(present) == change.origin_sha256:
        return
    here = socket.gethostname()
    why = "was changed since the step was compiled" if present is not None else f"is not there on {here}"
    raise NeedsOperator(
        f"{change.origin} {why}; it was read on {change.host}. Bring back the file as it was, then `replank retry` and "
        "`replank run PLAN` there; or `replank rollback`, and compile the plan again."
    )


def _present(path: Path) -> str | None:
    try:
        return read_text(path) if path.exists() else None
    except WrongUse as error:
        raise NeedsOperator(str(error)) from None


def _put(path: Path, text: str | None) -> None:
    """All of it or nothing: readers never see half a file."""
    try:
        if text is None:
            path.unlink()
            return
        mode = path.stat().st_mode if path.exists() else None
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=path.parent, delete=False) as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        Path(new.name).chmod(0o644 if mode is None else mode & 0o7777)
        Path(new.name).replace(path)
    except OSError as error:
        raise NeedsOperator(f"{path} cannot be written: {error.strerror}") from None
