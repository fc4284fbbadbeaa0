"""What every demonstration ends with."""

from __future__ import annotations

from typing import Any, Protocol

from rich.console import Console


class Outcome(Protocol):
    @property
    def good(self) -> bool:
        """Whether nothing was lost and nothing failed."""
        ...

    def to_json(self) -> dict[str, Any]: ...

    def show(self, console: Console) -> None: ...
