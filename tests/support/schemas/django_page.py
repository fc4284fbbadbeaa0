"""docs/django.md: its commands, its code, and the table of what the code sees."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "django.md"


def commands() -> list[str]:
    """Every command of the page, in its order."""
    return [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]


def blocks(language: str) -> list[str]:
    """The page's code in one language, block by block."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def table_of(seen: Sequence[Mapping[str, str]]) -> str:
    """The rows of the page's table, a column for each code and database."""
    return "\n".join(f"| {fact} | {' | '.join(one[fact] for one in seen)} |" for fact in seen[0])
