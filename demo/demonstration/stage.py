"""What all parts of a demonstration work with, and how they tell of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from demo.application import Application
from demo.datasets.data_set import DataSet
from demo.demonstration.managed import Urls
from demo.demonstration.product import Product


@dataclass(frozen=True, kw_only=True)
class Options:
    """rows: in all tables; rate: transactions a second of each group of clients; traffic_s: how long groups work side
    by side after the swap; out: the report; managed: as a managed service gives a database."""

    rows: int
    workers: int
    rate: float
    traffic_s: float
    rehearse: bool
    there_and_back: bool
    out: Path
    managed: bool


class Narrator:
    """Tells what happens, and how long each part took."""

    def __init__(self, console: Console) -> None:
        self.seconds: dict[str, float] = {}
        self._console = console

    def say(self, words: str) -> None:
        self._console.print(f"[bold]•[/] {words}", soft_wrap=True)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Its seconds are added to those of parts of the same name."""
        began = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 1)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One data set on servers that run, with its clients at work; `plan.toml` is in `folder`."""

    data_set: DataSet
    options: Options
    urls: Urls
    product: Product
    application: Application
    folder: Path
    narrator: Narrator

    @property
    def workers(self) -> tuple[str, str]:
        return ("--workers", str(self.options.workers))
