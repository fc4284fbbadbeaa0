"""What the page's buttons do: the same actions as on the command line, in the name of who is logged in."""

from __future__ import annotations

from collections.abc import Mapping

from monitoring.page.handlers import Action
from replank.settings import Settings


def page_actions(settings: Settings, *, database: str) -> Mapping[str, Action]:
    """Every action of the page by its word."""
    return {}
