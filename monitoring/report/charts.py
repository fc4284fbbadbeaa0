"""Pictures as SVG, with positions in percent: they take whatever width there is, and their words keep their size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from monitoring.report.verdict import duration

ROW = 38
BAR = 14
AXIS = 26
HEIGHT = 150
LONGEST_BAR = 0.45
"""Of the width: the figure stands behind the bar."""

MOST_LETTERS = 36
"""Of a line: no more fit on a phone."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A bar of a timeline: seconds since the beginning. `kind` is a colour's name in the style sheet."""

    name: str
    start: float
    end: float
    kind: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two figures of one thing, with their words."""

    name: str
    before: float | None
    after: float | None
    before_words: str
    after_words: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """What happened in one span of time: heights by kind, stacked in this order."""

    start: float
    end: float
    parts: Sequence[tuple[str, float]]
    words: str


def timeline(spans: Sequence[Span], marks: Sequence[tuple[float, str]], *, seconds: float, label: str) -> Markup:
    """A Gantt chart. `marks` are moments with their words."""
    end = max(seconds, 0.001)
    height = ROW * len(spans) + AXIS
    return _svg(height, label, [*_time_axis(end, height), *_marks(marks, end, height), *_bars(spans, end)])


def _bars(spans: Sequence[Span], end: float) -> Iterator[str]:
    for number, span in enumerate(spans):
        top = number * ROW
        left, width = _percent(span.start / end), _percent(max((span.end - span.start) / end, 0.004))
        words = f'{escape(span.name)} <tspan class="soft">{escape(span.words)}</tspan>'
        yield f'<text x="0" y="{top + 14}">{words}</text>'
        yield f'<rect class="{span.kind}" x="{left}" y="{top + 19}" width="{width}" height="{BAR}" rx="3"/>'


def _marks(marks: Sequence[tuple[float, str]], end: float, height: int) -> Iterator[str]:
    for at, words in marks:
        x = _percent(at / end)
        yield f'<line class="mark" x1="{x}" x2="{x}" y1="0" y2="{height - AXIS}"><title>{escape(words)}</title></line>'


def columns(found: Sequence[Column], *, seconds: float, highest_words: str, label: str) -> Markup:
    """Stacked columns over time."""
    end = max(seconds, 0.001)
    highest = max((sum(value for _, value in one.parts) for one in found), default=0) or 1
    drawn = [*_time_axis(end, HEIGHT + AXIS)]
    for one in found:
        base = float(HEIGHT)
        for kind, value in one.parts:
            tall = (HEIGHT - 18) * value / highest
            base -= tall
            drawn.append(
                f'<rect class="{kind}" x="{_percent(one.start / end)}" y="{base:.1f}" height="{tall:.1f}"'
                f' width="{_percent((one.end - one.start) / end)}"><title>{escape(one.words)}</title></rect>'
            )
    drawn.append(f'<text x="0" y="12" class="soft">{escape(highest_words)}</text>')
    return _svg(HEIGHT + AXIS, label, drawn)


def pairs(found: Sequence[Pair], *, label: str) -> Markup:
    """Two bars for each thing, before above after."""
    highest = max((value for pair in found for value in (pair.before, pair.after) if value), default=0) or 1
    row = 62
    drawn: list[str] = []
    for number, pair in enumerate(found):
        top = number * row
        name = escape(_short(pair.name, MOST_LETTERS - len(pair.note)))
        name += Markup(' <tspan class="soft">{}</tspan>').format(pair.note)
        drawn.append(f'<text x="0" y="{top + 15}">{name}</text>')
        both = (("before", pair.before, pair.before_words), ("after", pair.after, pair.after_words))
        for place, (kind, value, words) in enumerate(both):
            y = top + 21 + place * 17
            width = _percent((value or 0) / highest * LONGEST_BAR)
            drawn.append(f'<rect class="{kind}" x="0" y="{y}" width="{width}" height="13" rx="2"/>')
            drawn.append(f'<text class="small" x="{width}" dx="6" y="{y + 11}">{escape(_short(words))}</text>')
    return _svg(row * len(found), label, drawn)


def _time_axis(end: float, height: int) -> Iterator[str]:
    for quarter in range(5):
        x = _percent(quarter / 4)
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{height - AXIS}"/>'
        if quarter % 2 == 0:
            # A phone has room for three.
            anchor = {0: "start", 4: "end"}.get(quarter, "middle")
            words = escape(duration(end * quarter / 4) if quarter else "0")
            yield f'<text class="soft" x="{x}" y="{height - 8}" text-anchor="{anchor}">{words}</text>'


def _short(words: str, most: int = MOST_LETTERS) -> str:
    return words if len(words) <= most else words[: max(most - 1, 8)] + "…"


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%"


def _svg(height: float, label: str, drawn: Sequence[str]) -> Markup:
    inside = "".join(drawn)
    return Markup(f'<svg width="100%" height="{height:.0f}" role="img" aria-label="{escape(label)}">{inside}</svg>')
