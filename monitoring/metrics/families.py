"""Families of metrics, said once: name, what it means, labels, samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

Sample = tuple[Sequence[str], float]
"""Values of the labels, and the value."""


def gauge(name: str, words: str, labels: Sequence[str], samples: Iterable[Sample]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, found in samples:
        family.add_metric(values, found)
    return family


def counter(name: str, words: str, labels: Sequence[str], samples: Iterable[Sample]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, words, labels=labels)
    for values, found in samples:
        family.add_metric(values, found)
    return family


def one(name: str, words: str, found: float | None) -> GaugeMetricFamily:
    """A gauge without labels; no sample where nothing is known."""
    return gauge(name, words, [], [] if found is None else [((), float(found))])


def moment(name: str, words: str, at: datetime | None) -> GaugeMetricFamily:
    """A moment as seconds since 1970."""
    return one(name, words, None if at is None else at.timestamp())
