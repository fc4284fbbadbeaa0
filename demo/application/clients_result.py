"""What the clients lived through, as their process writes it down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClientsResult:
    """The sums of all clients; latencies in milliseconds.

    errors: SQLSTATE, message and statement, with how often; failed: transactions that ended with one of them; retries:
    transactions tried again after a deadlock, a lock timeout, a serialization failure or a lost connection; unknown:
    transactions whose COMMIT got no answer (what they wrote is not judged); writes: their row changes, cascades
    included; latencies: of whole transactions, with their retries, without their deliberate pauses; by_kind, by_style:
    acknowledged transactions by what they do, and by the groups of clients; ended_at: client -> when each of its
    acknowledged transactions ended, as a Unix time.
    """

    errors: list[str]
    failed: int
    retries: int
    unknown: int
    writes: int
    max_latency_ms: float
    p99_latency_ms: float
    by_kind: dict[str, int]
    by_style: dict[str, int]
    ended_at: dict[str, list[float]]
    seconds: float
