"""Which databases may begin now. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from replank.plan.targets import Target


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`canaries`: so many, the first ones, must be done before any other begins. `stop_after`: so many failures, and
    nothing else begins; None: one failure does not stop the others."""

    at_once: int = 4
    per_host: int = 2
    canaries: int = 0
    stop_after: int | None = None


def next_targets(
    targets: Sequence[Target],
    *,
    done: Collection[str],
    failed: Collection[str],
    running: Collection[str],
    limits: Limits,
) -> list[Target]:
    """What may begin now, in the order of the file. Names are those of targets."""
    if why_stopped(targets, failed=failed, limits=limits):
        return []
    canaries = targets[: limits.canaries]
    allowed = targets if all(target.name in done for target in canaries) else canaries
    hosts = Counter(target.host for target in targets if target.name in running)
    begin: list[Target] = []
    for target in allowed:
        if len(running) + len(begin) >= limits.at_once:
            break
        untouched = target.name not in done and target.name not in failed and target.name not in running
        if untouched and hosts[target.host] < limits.per_host:
            hosts[target.host] += 1
            begin.append(target)
    return begin


def why_stopped(targets: Sequence[Target], *, failed: Collection[str], limits: Limits) -> str:
    """Why nothing further may begin; empty where it may."""
    canary = next((target.name for target in targets[: limits.canaries] if target.name in failed), None)
    if canary is not None:
        return f"canary {canary} is not done: no other database begins"
    if limits.stop_after is not None and len(failed) >= limits.stop_after:
        return f"{len(failed)} have failed: no other database begins"
    return ""
