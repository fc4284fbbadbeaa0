"""Where results go: one JSON object on the last line of standard output, words to standard error."""

from __future__ import annotations

import functools
import json
import sys
from typing import Any

from rich.console import Console


@functools.cache
def people() -> Console:
    """The console for people: standard error, so that pipes carry results only.

    There is one: what is printed while something is drawn on it comes above the drawing.
    """
    return Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """One object, one line, flushed."""
    print(json.dumps(document, default=str, ensure_ascii=False), flush=True)
    sys.stdout.flush()
