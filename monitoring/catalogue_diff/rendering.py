"""The changes for people: a line for what says the same, or one for each object."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from monitoring.catalogue_diff.changes import NOT_ASKED, CatalogueChange
from monitoring.catalogue_diff.grouping import ChangeGroup, group_changes

AS_IT_WAS = "The catalogue is as it was."


def render_changes(changes: Sequence[CatalogueChange], *, each: bool = False) -> RenderableType:
    """What no plan explains comes first, with its whole definitions."""
    if not changes:
        return Text(AS_IT_WAS)
    return _each(changes) if each else _groups(group_changes(changes))


def _groups(groups: Sequence[ChangeGroup]) -> Table:
    shown = _table("objects", "change", "explained")
    for group in groups:
        shown.add_row(Text(group.objects), Text(_change(group)), _why(group.reason))
    return shown


def _change(group: ChangeGroup) -> str:
    """Of what the plan does not ask for, the whole definition of the first."""
    first = group.changes[0]
    if group.explained or group.what == "column":
        return group.change
    more = "" if len(group.changes) == 1 else f"\nand {len(group.changes) - 1:,} alike"
    return f"{first.before or '(not there)'} → {first.after or '(gone)'}{more}"


def _each(changes: Sequence[CatalogueChange]) -> Table:
    shown = _table("object", "before", "after", "explained")
    for change in sorted(changes, key=lambda change: change.explained):
        shown.add_row(
            Text(change.object),
            Text(change.before or "(not there)"),
            Text(change.after or "(gone)"),
            _why(change.reason),
        )
    return shown


def _table(*headings: str) -> Table:
    shown = Table(title="The catalogue before and after", show_lines=True)
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    return shown


def _why(reason: str) -> Text:
    return Text(reason) if reason else Text(NOT_ASKED, style="bold red")
