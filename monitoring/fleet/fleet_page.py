"""All databases of a fleet on one page: a table without scripts or anything from outside, for a file or a server."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from monitoring.fleet.fleet import FleetStatus, TargetStatus
from replank.errors import WrongUse
from replank.wording import counted, seconds

REFRESH_S = 5

_STYLE = """
body{font:16px/1.4 system-ui,sans-serif;margin:1rem;color:#1b1f23;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d8dee4}
td.n{text-align:right;font-variant-numeric:tabular-nums}meter{width:8rem}
.done,.finished{color:#116329}.needs_operator,.unreachable,.undriven,.refused{color:#a40e26;font-weight:600}.running{color:#7d4e00}
@media (max-width:40rem){td:nth-child(2),th:nth-child(2){display:none}meter{width:4rem}}
@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}
.done,.finished{color:#56d364}.needs_operator,.unreachable,.undriven,.refused{color:#ff7b72}.running{color:#e3b341}}
"""


def fleet_rows(status: FleetStatus) -> str:
    """The table alone, for a page that has its own head. All text is escaped."""
    head = "".join(f"<th>{name}</th>" for name in ("database", "host", "state", "done", "rows/s", "left", "problem"))
    rows = "".join(_row(target) for target in status.targets)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def fleet_page(status: FleetStatus, *, refresh_s: int | None = REFRESH_S, at: datetime | None = None) -> str:
    """A whole document. `refresh_s` None: it is not read again.

    `at` is of when it is, now by default: a page that is no longer written must not look alive.
    """
    of = (at or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M:%S UTC")
    written = f"As of {of}."
    if refresh_s is not None:
        written = (
            f"As of {of}, updated every {refresh_s} s. If this time does not change, <code>replank fleet run</code> "
            "has ended: use <code>replank fleet status</code>."
        )
    databases = counted(len(status.targets), "database")
    states = ", ".join(f"{count} {escape(state)}" for state, count in sorted(status.counts.items()))
    again = "" if refresh_s is None else f'<meta http-equiv="refresh" content="{refresh_s}">'
    why = f'<p class="needs_operator">{escape(status.stopped)}</p>' if status.stopped else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"{again}<title>Replank: {databases}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{databases}, {100 * status.share:.0f} %</h1><p>{states}</p><p>{written}</p>{why}"
        f"{fleet_rows(status)}</body></html>\n"
    )


def write_page(path: Path, page: str) -> None:
    """Whole or not at all: a reader meanwhile sees the file before.

    Raises WrongUse where it cannot be written, or where something else than a file is in its place.
    """
    try:
        if path.exists() and not path.is_file():
            raise WrongUse(f"{path}: the page cannot be written: it is no regular file.")
        _replace(path, page)
    except OSError as error:
        raise WrongUse(f"{path}: the page cannot be written: {error.strerror}.") from None


def _replace(path: Path, page: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".replank-page.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(page)
        os.replace(name, path)
    except BaseException:  # An interrupt, too, must leave no half page behind.
        os.unlink(name)
        raise


def _row(target: TargetStatus) -> str:
    left = "" if target.eta_s is None else f"{seconds(target.eta_s[0])} to {seconds(target.eta_s[1])}"
    paused = " (paused)" if target.paused else ""
    already = f" ({target.already} done already)" if target.already else ""
    rate = f"{target.rate_rows_s:,.0f}" if target.rate_rows_s else ""
    return (
        f"<tr><td>{escape(target.name)}</td><td>{escape(target.host)}</td>"
        f'<td class="{escape(target.state)}">{escape(target.state)}{paused}</td>'
        f'<td><meter value="{target.share:.4f}"></meter> {100 * target.share:.0f} %{already}</td>'
        f'<td class="n">{rate}</td><td>{left}</td><td>{escape(target.problem)}</td></tr>'
    )
