"""Changes of the models' source, as values: those that a patch makes, and those for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ModelChange:
    """One change of the source. `patched`: the patch makes it; otherwise it is for a person. Line 0: not found."""

    table: str
    column: str
    file: str
    line: int
    old: str
    new: str
    patched: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Patch:
    """`files` maps paths to (before, after), of files that change."""

    changes: tuple[ModelChange, ...]
    files: Mapping[str, tuple[str, str]]


def by_hand(changes: Iterable[ModelChange]) -> list[ModelChange]:
    return [change for change in changes if not change.patched]
