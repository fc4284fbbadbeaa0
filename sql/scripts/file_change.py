"""A file that a step changes, as the ledger keeps it: a script of SQL knows nothing of files."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """The file `path` on the machine `host` has the text `before`, and gets `after`; None is no file.

    `diff` is what people read. `origin` is the file that the new text was made from, and `origin_sha256` the checksum
    that it must still have; both are empty in a rollback.
    """

    host: str
    path: str
    before: str | None
    after: str | None
    diff: str
    origin: str = ""
    origin_sha256: str = ""


def unified(before: str, after: str, path: str, new_path: str) -> str:
    """A unified diff, as `patch` reads it."""
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(_ended(line) for line in difflib.unified_diff(old, new, path, new_path))


def _ended(line: str) -> str:
    return line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"


def sha256(text: str) -> str:
    """In hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
