"""How `replank --help` groups the commands: in the order in which an operator meets them, as README.md does."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from typer.core import TyperGroup

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Plan and look": ("inspect", "check", "compile", "rehearse", "gates", "django", "alembic", "prisma", "indexes"),
    "Run": ("run", "worker", "scale", "fleet", "rollback", "finish", "partitions"),
    "Watch": ("status", "flower", "exporter", "notify", "verify", "config", "catalogue-diff", "report"),
    "Intervene": (
        "failures",
        "explain",
        "retry",
        "skip",
        "quarantine",
        "pause",
        "resume",
        "throttle",
        "panic",
        "cutover",
    ),
    "Try it": ("demo",),
}
"""Headings, each with its commands."""

ORDER = tuple(name for names in GROUPS.values() for name in names)


class InOrder(TyperGroup):
    """The commands in the order of `GROUPS`."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return sorted(super().list_commands(ctx), key=place_of)


def place_of(command: str) -> tuple[int, str]:
    """Where a command stands among the others; one that is in no group comes last."""
    return (ORDER.index(command) if command in ORDER else len(ORDER), command)


def put_under_headings(app: typer.Typer) -> None:
    """Give each command of `app` the heading of its group."""
    for command in app.registered_commands:
        command.rich_help_panel = _heading_of(command.name)
    for group in app.registered_groups:
        group.rich_help_panel = _heading_of(group.name)


def _heading_of(command: str | None) -> str | None:
    return next((heading for heading, names in GROUPS.items() if command in names), None)
