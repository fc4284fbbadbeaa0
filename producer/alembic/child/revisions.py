"""Read the revisions of an Alembic environment and make one more, as one JSON object.

Run as a program by the interpreter that has the application's packages; its wish is a JSON object on standard input.
Revision files and templates are the application's code, so this is a process of its own. `env.py` is not run.
It imports nothing of Replank's. What the application prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def main(wish: dict[str, Any]) -> dict[str, Any]:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    # Instead of this folder, whose names are no modules of the application.
    sys.path[0] = os.getcwd()
    config = Config(wish["config"])
    if wish["script_location"]:
        config.set_main_option("script_location", wish["script_location"].replace("%", "%%"))
    try:
        directory = ScriptDirectory.from_config(config)
        revisions = list(directory.walk_revisions())
        made = _made(directory, wish) if wish["make"] else None
    except CommandError as error:
        return {"error": f"Alembic: {error}"}
    return {
        "heads": list(directory.get_heads()),
        "revisions": {
            one.revision: {"follows": _follows(one), "path": str(one.path), "doc": one.doc or ""} for one in revisions
        },
        "made": made,
    }


def _follows(one: Any) -> list[str]:
    down = one.down_revision
    return [] if down is None else [down] if isinstance(down, str) else list(down)


def _made(directory: Any, wish: dict[str, Any]) -> dict[str, str]:
    """The new file's path and text; written only where the wish says so."""
    from alembic.util import template_to_file

    given = {key: wish["make"][key] for key in ("message", "upgrades", "downgrades")}
    make = wish["make"]["revision"]
    if wish["make"]["write"]:
        script = directory.generate_revision(make, head="head", imports="", **given)
        return {"path": str(script.path), "text": Path(script.path).read_text(encoding="utf-8")}
    found: dict[str, str] = {}

    def render(source: Any, to: Any, **values: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shown = Path(folder, "shown.py")
            template_to_file(source, shown, "utf-8", **values)
            found["path"], found["text"] = str(to), shown.read_text(encoding="utf-8")
        raise _Rendered

    # Alembic has no revision that is only shown: the two places where it writes do not.
    directory._generate_template = render
    directory._ensure_directory = lambda _: None
    with contextlib.suppress(_Rendered):
        directory.generate_revision(make, head="head", imports="", **given)
    return found


class _Rendered(Exception):
    """The text is made."""


if __name__ == "__main__":
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    json.dump(main(json.load(sys.stdin)), said)
    said.close()
