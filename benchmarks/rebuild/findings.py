"""What was measured, and how it stands against the targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.rebuild.bare import BareTimes
from benchmarks.rebuild.ledger_times import LedgerTimes
from benchmarks.rebuild.memory import CuttingMemory
from benchmarks.rebuild.writers import WriterReport
from demo.demonstration.offline import OfflineResult

MEMORY_NOISE_MB = 8.0
"""What two processes that do the same may differ by."""


@dataclass(frozen=True, kw_only=True)
class OnlineRun:
    """One run of Replank. `writes` is None where no application wrote."""

    times: LedgerTimes
    wal_bytes: int
    coordinator_peak_mb: float
    writes: WriterReport | None


@dataclass(frozen=True, kw_only=True)
class Round:
    """Every way once."""

    offline: OfflineResult
    online: OnlineRun
    bare: BareTimes
    under_writes: OnlineRun
    small_chunks: OnlineRun


@dataclass(frozen=True, kw_only=True)
class Target:
    """`each` has the value of every round; `measured` is their median, which may be `at_most`."""

    name: str
    unit: str
    measured: float
    at_most: float
    each: tuple[float, ...]

    @property
    def met(self) -> bool:
        return self.measured <= self.at_most


@dataclass(frozen=True, kw_only=True)
class Findings:
    """One whole benchmark."""

    server_version: str
    rows: int
    row_bytes: float
    workers: int
    rate: float
    rounds: tuple[Round, ...]
    cutting: tuple[CuttingMemory, ...]

    def targets(self) -> list[Target]:
        """Ratios are taken inside each round, so that a slow minute of the machine touches both sides."""
        found = [
            self._target("without verification", "× offline", 1.0, _unverified),
            self._target("with verification", "× offline", 1.3, lambda r: r.online.times.seconds / r.offline.seconds),
            self._target("WAL", "× offline", 1.15, lambda r: r.online.wal_bytes / r.offline.wal_bytes),
            self._target("lock held, no writes", "ms", 50.0, lambda r: r.online.times.lock_hold_ms),
            self._target(
                f"lock held, {self.rate:.0f} writes/s", "ms", 50.0, lambda r: r.under_writes.times.lock_hold_ms
            ),
            self._target("machinery over bare SQL", "%", 10.0, _overhead),
            self._target("coordinator, 1 MB chunks", "MB more", MEMORY_NOISE_MB, _growth),
        ]
        few, many = self.cutting
        more = (many.after_mb - many.before_mb) - (few.after_mb - few.before_mb)
        name = f"producer, {many.chunks:,} chunks for {few.chunks:,}"
        found.append(Target(name=name, unit="MB more", measured=more, at_most=MEMORY_NOISE_MB, each=(more,)))
        return found

    def _target(self, name: str, unit: str, at_most: float, value: Callable[[Round], float]) -> Target:
        each = tuple(value(r) for r in self.rounds)
        return Target(name=name, unit=unit, measured=median(each), at_most=at_most, each=each)

    def to_json(self) -> dict[str, Any]:
        targets = [asdict(target) | {"met": target.met} for target in self.targets()]
        return {**asdict(self), "targets": targets}


def _unverified(found: Round) -> float:
    return found.online.times.seconds_unverified / found.offline.seconds


def _overhead(found: Round) -> float:
    return (found.online.times.seconds_copy_and_index / found.bare.seconds - 1) * 100


def _growth(found: Round) -> float:
    return found.small_chunks.coordinator_peak_mb - found.online.coordinator_peak_mb
