"""Flower's own templates with the ways to the run page put in: a link in the bar, and one from a message to its job.

Flower has no place for such things. Each change names the text that it stands beside; where another version of Flower
does not have that text, the page stays as it is. The tests look for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tornado.template import Loader, Template


@dataclass(frozen=True, kw_only=True)
class Change:
    """`put` takes the place of `at`, once."""

    at: str
    put: str


BAR = '<ul class="app-nav navbar-nav">'
ARGUMENTS = '<div class="detail-row detail-row-code task-data-row">\n        <dt>Arguments</dt>'
REVOKED_AGAIN = '{% elif task.state == "RECEIVED" or task.state == "RETRY" %}'
RUN = "{{ reverse_url('main') }}run"

CHANGES: Mapping[str, tuple[Change, ...]] = {
    "navbar.html": (
        Change(at=BAR, put=f'{BAR}\n        <li class="nav-item"><a class="nav-link" href="{RUN}">Run</a></li>'),
    ),
    "task.html": (
        Change(
            at=ARGUMENTS,
            put='{% if getattr(task, "job", None) is not None %}<div class="detail-row task-data-row"><dt>Job</dt>'
            f'<dd><a href="{RUN}?job={{{{ task.job }}}}">Job {{{{ task.job }}}} on the run page</a></dd></div>'
            f"{{% end %}}\n      {ARGUMENTS}",
        ),
        # A message that ended so never comes again: the next attempt has one of its own.
        Change(at=REVOKED_AGAIN, put='{% elif task.state == "RECEIVED" %}'),
    ),
}


class Templates(Loader):
    """Flower's folder, with the changes made as each file is read."""

    def _create_template(self, name: str) -> Template:
        text = (Path(self.root) / name).read_text(encoding="utf-8")
        return Template(changed(name, text), name=name, loader=self)


def changed(name: str, text: str) -> str:
    for change in CHANGES.get(name, ()):
        text = text.replace(change.at, change.put, 1)
    return text


def templates(settings: Mapping[str, Any]) -> Templates:
    """For Tornado's setting `template_loader`; `settings` are Flower's."""
    return Templates(str(settings["template_path"]))
