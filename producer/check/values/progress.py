"""Progress of the value scan for a terminal: blocks, rows, rate and time left, by table and whole."""

from __future__ import annotations

from typing import Protocol

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LABEL_WIDTH = 40
SHORTEST_RATE_S = 0.5


class ScanWatch(Protocol):
    """Who wants to know how far the scan is. Called from several threads."""

    def begin(self, *, blocks: int) -> None:
        """The scan will read so many blocks."""

    def scanned(self, table: str, *, table_blocks: int, blocks: int, rows: int) -> None:
        """So many more blocks and rows of a table are read."""


class ScanScreen:
    """Bars for the renderer of `drawn`: nothing before the scan begins."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} rows/s"),
            TimeRemainingColumn(),
        )
        self._whole: TaskID | None = None
        self._tables: dict[str, TaskID] = {}

    @property
    def drawn(self) -> RenderableType:
        return self._progress

    def begin(self, *, blocks: int) -> None:
        self._whole = self._progress.add_task("all tables", total=max(blocks, 1), rows=0, rate=0.0)

    def scanned(self, table: str, *, table_blocks: int, blocks: int, rows: int) -> None:
        if table not in self._tables:
            label = table if len(table) <= LABEL_WIDTH else table[: LABEL_WIDTH - 1] + "…"
            self._tables[table] = self._progress.add_task(label, total=max(table_blocks, 1), rows=0, rate=0.0)
        self._advance(self._tables[table], blocks, rows)
        if self._whole is not None:
            self._advance(self._whole, blocks, rows)

    def _advance(self, task_id: TaskID, blocks: int, rows: int) -> None:
        task = self._progress.tasks[self._progress.task_ids.index(task_id)]
        done = task.fields["rows"] + rows
        # A table's bar appears with its first part: a rate over less than this would be wild.
        elapsed = task.elapsed or 0.0
        rate = done / elapsed if elapsed >= SHORTEST_RATE_S else 0.0
        self._progress.update(task_id, advance=blocks, rows=done, rate=rate)
        if task.finished and task_id != self._whole:
            # A finished table makes room: a schema of a hundred tables must fit on the screen.
            self._progress.update(task_id, visible=False)
