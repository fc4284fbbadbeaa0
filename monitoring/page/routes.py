"""Which address of the run page leads to which answer."""

from __future__ import annotations

from typing import Any

from monitoring.page.handlers import FOLDER, Act, Ask, Cell, Explain, Home, Now, PageContext, RunPage, Static
from monitoring.page.quarantine import QuarantinedRows, QuarantineFile


def rules(context: PageContext) -> list[tuple[str, Any, dict[str, Any]]]:
    """Paths and handlers, for any Tornado application; the prefix comes before them there."""
    shared = {"context": context}
    return [
        (r"/", Home, shared),
        (r"/run", RunPage, shared),
        (r"/run/now", Now, shared),
        (r"/run/cell", Cell, shared),
        (r"/run/job", Explain, shared),
        (r"/run/quarantine", QuarantinedRows, shared),
        (r"/run/quarantine\.csv", QuarantineFile, shared),
        (r"/run/do/([a-z_]{1,40})", Act, shared),
        (r"/run/ask/([a-z_]{1,40})", Ask, shared),
        (r"/run/static/([a-z]+\.(?:js|css|svg))", Static, {"path": str(FOLDER / "static")}),
    ]
