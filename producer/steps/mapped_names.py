"""Names that a text holds: of functions, expressions, queries. Nothing of SQL is understood: words are compared."""

from __future__ import annotations

import re
from collections.abc import Iterable


def mentions(text: str, names: Iterable[str]) -> list[str]:
    """Those names that stand in the text as whole words."""
    words = set(re.findall(r"\w+", text))
    return sorted(name for name in names if name in words or (not name.isidentifier() and name in text))
