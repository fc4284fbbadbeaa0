"""A criterion's verdict, and how figures are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """`measured` and `target` are figures for programs, `shown` and `target_shown` words for people.

    `met` is None where the criterion cannot be decided, and `shown` says why. `names` are what stands against it,
    `left_alone` what the plan did not ask for, each with the reason.
    """

    criterion: str
    measured: float | None
    shown: str
    target: float | None
    target_shown: str
    met: bool | None
    how: str
    names: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "criterion": self.criterion,
            "measured": self.measured,
            "target": self.target,
            "met": self.met,
            "how": self.how,
            "shown": self.shown,
            "names": list(self.names),
            "left_alone": list(self.left_alone),
        }


def undecided(criterion: str, shown: str, how: str, target: float | None = None) -> Criterion:
    """One that cannot be judged, and why."""
    return Criterion(criterion=criterion, measured=None, shown=shown, target=target, target_shown="", met=None, how=how)


def number(value: float) -> str:
    """`12,345`."""
    return f"{value:,.0f}"


def percent(share: float) -> str:
    """`20 %`, `97.4 %`."""
    text = f"{100 * share:.1f}"
    return f"{text.removesuffix('.0')} %"


def size(count: float) -> str:
    """Bytes as people say them: `14.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1024:
            return f"{count:,.0f} {unit}" if unit == "bytes" or abs(count) >= 100 else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TB"


def duration(seconds: float) -> str:
    """`850 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
