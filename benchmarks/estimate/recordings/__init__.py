"""Recordings of real runs: what the ledger said at many moments, and when the run ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitoring.estimate.snapshot import Moment

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A run as it was. `end_s` is when it ended, in the seconds of its moments: pauses are left out."""

    name: str
    what: str
    moments: tuple[Moment, ...]
    end_s: float


def write_recording(recording: Recording, folder: Path = FOLDER) -> Path:
    """Each moment says only what is not as it was in the one before."""
    moments: list[dict[str, Any]] = []
    before: dict[str, Any] = {"turns": {}, "tables": [], "caches": []}
    for moment in recording.moments:
        document = moment.to_json()
        said: dict[str, Any] = {"head": document["head"]}
        if document["turns"] != before["turns"]:
            said["turns"] = document["turns"]
        for part in ("tables", "caches"):
            changed = _changed(before[part], document[part])
            if changed:
                said[part] = changed
        moments.append(said)
        before = document
    document = {"name": recording.name, "what": recording.what, "end_s": round(recording.end_s, 3), "moments": moments}
    path = folder / f"{recording.name}.json"
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def _changed(before: Sequence[Any], now: Sequence[Any]) -> dict[str, Any]:
    return {str(n): found for n, found in enumerate(now) if n >= len(before) or before[n] != found}


def read_recording(path: Path) -> Recording:
    """The very moments that were recorded."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return Recording(
        name=document["name"],
        what=document["what"],
        moments=tuple(_moments(document["moments"])),
        end_s=document["end_s"],
    )


def _moments(said: Sequence[dict[str, Any]]) -> Iterator[Moment]:
    parts: dict[str, dict[int, Any]] = {"tables": {}, "caches": {}}
    turns: dict[str, Any] = {}
    for document in said:
        turns = document.get("turns", turns)
        for part, known in parts.items():
            known.update({int(n): found for n, found in document.get(part, {}).items()})
        rest = {part: [known[n] for n in sorted(known)] for part, known in parts.items()}
        yield Moment.from_json({"head": document["head"], "turns": turns, **rest})


def read_recordings(folder: Path = FOLDER) -> list[Recording]:
    """All that are kept, by name."""
    return [read_recording(path) for path in sorted(folder.glob("*.json"))]
