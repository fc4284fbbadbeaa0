"""The table in docs/clients.md: written from what was measured, and compared with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from clients.measuring import Measured

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
BEGIN = "<!-- Written by `make clients`, from what the tests measured. -->\n"
END = "<!-- End of what was measured. -->\n"
HEAD = """\
| client | ids are sent as | before | swap: old sessions | new sessions | rollback: old sessions | new sessions \
| with `text_casts`, swap: old | new | rollback: old | an id is read as | set or change |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""

Lines = Mapping[str, str]
"""The table's lines by client."""


def lines(plain: Sequence[Measured], casts: Sequence[Measured]) -> dict[str, str]:
    """A line for each client, from a run without `text_casts` and one with it."""
    made = {}
    for one, other in zip(plain, casts, strict=True):
        cells = [
            one.client.name,
            one.client.sends,
            *(one.cell(phase) for phase in ("before", "swap, old", "swap, new", "back, old", "back, new")),
            *(other.cell(phase) for phase in ("swap, old", "swap, new", "back, old")),
            f"`{one.read or other.read}`",
            one.client.change,
        ]
        made[one.client.name] = f"| {' | '.join(cells)} |\n"
    return made


def committed() -> dict[str, str]:
    """The lines that the page has."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    block, _, _ = rest.partition(END)
    listed = [line for line in block.splitlines(keepends=True) if line.startswith("| ")][1:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in listed}


def write(measured: Lines) -> None:
    """Put measured lines into the page; those of clients that were not measured now stay."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    block = HEAD + "".join({**committed(), **measured}.values())
    PAGE.write_text(before + BEGIN + "\n" + block + "\n" + END + after, encoding="utf-8")
