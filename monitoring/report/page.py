"""The report as one HTML page that needs nothing else: no script, no font, no picture from outside."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from monitoring.report import pictures
from monitoring.report.changes import TableChange, needs_review, right_changes, table_changes
from monitoring.report.criteria import MET_WORDS, Verdict, headline, rollback_sentence
from monitoring.report.facts import Facts
from monitoring.report.verdict import duration, number, percent, size
from replank.errors import WrongUse


def render_page(facts: Facts, verdict: Verdict) -> str:
    """The whole page. Everything that stands in it is escaped."""
    before = () if facts.before is None else facts.before.tables
    # Now, not when it was measured: what was done since belongs into the documentation too.
    tables = table_changes(before, facts.tables, facts.run.plan.steps.mappings)
    rights = right_changes(facts.before.security, facts.security) if facts.before else []
    problems = [
        f"{moment}: {words}"
        for moment, found in (("before", facts.before), ("after", facts.after))
        for words in (found.problems if found else ())
    ]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            run=facts.run,
            verdict=verdict,
            headline=headline(facts, verdict),
            rollback_facts=rollback_sentence(facts),
            tables=tables,
            totals=_totals(tables),
            rights=rights,
            look_at=needs_review(facts.security),
            problems=problems,
            seconds=(facts.ended_at - facts.run.created_at).total_seconds(),
            timeline=pictures.of_time(facts),
            rows=pictures.of_rows(facts),
            window=pictures.of_window(facts),
            locks=pictures.of_locks(facts),
            sizes=pictures.of_sizes(tables),
            queries=pictures.of_queries(facts.speed.timed),
        )
    )


def write_page(facts: Facts, verdict: Verdict, path: Path) -> None:
    """Write it to a file. Raises WrongUse where that cannot be written."""
    try:
        path.write_text(render_page(facts, verdict), encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"{path}: the report cannot be written: {error.strerror}") from None


def _totals(tables: list[TableChange]) -> dict[str, int]:
    """Bytes of all tables that were there before and are there now."""
    both = [(one.before, one.after) for one in tables if one.before is not None and one.after is not None]
    return {
        "table_before": sum(before.table_bytes for before, _ in both),
        "table_after": sum(after.table_bytes for _, after in both),
        "index_before": sum(before.index_bytes for before, _ in both),
        "index_after": sum(after.index_bytes for _, after in both),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("monitoring.report", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "number": number,
        "percent": percent,
        "size": size,
        "duration": duration,
        "moment": _moment,
        "met": MET_WORDS.get,
        "sentence": _sentence,
        "attributes": lambda found, *names: [getattr(found, name) for name in names],
    }
    environment.filters.update(filters)
    return environment


def _sentence(words: str) -> str:
    """With a capital letter, and no line's end before a percent sign."""
    return (words[:1].upper() + words[1:]).replace(" %", "\N{NO-BREAK SPACE}%")


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")
