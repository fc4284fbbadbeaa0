"""docker-compose.yml as Compose reads it: anchors and merges resolved, `${NAME:-default}` with its default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
VARIABLE = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


def compose() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(VARIABLE.sub(r"\1", text))
    return document


def services() -> dict[str, dict[str, Any]]:
    return compose()["services"]
