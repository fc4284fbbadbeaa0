"""A scrape as Prometheus makes it: over HTTP, read by the client library's own parser of the text format."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from monitoring.metrics.collector import LedgerCollector


class Scrape:
    """Samples by name and labels; `helped` are families with words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        self.helped: dict[str, str] = {}
        for family in text_string_to_metric_families(text):
            self.helped[family.name] = family.documentation
            for sample in family.samples:
                place = (sample.name, frozenset(sample.labels.items()))
                assert place not in self.samples, f"twice: {place}"
                self.samples[place] = sample.value

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}

    def value(self, metric: str, **labels: str) -> float:
        return self.samples[metric, frozenset(labels.items())]

    def labels_of(self, metric: str) -> list[dict[str, str]]:
        return [dict(labels) for name, labels in self.samples if name == metric]


@contextmanager
def exporter(url: str, *, deadline_s: float = 8.0) -> Iterator[str]:
    """The endpoint's address, served in this process on a free port."""
    registry = CollectorRegistry(auto_describe=False)
    collector = LedgerCollector(url, deadline_s=deadline_s)
    registry.register(collector)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        collector.close()


def scrape(address: str) -> Scrape:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return Scrape(answer.read().decode())
