"""An option that several commands have is declared once, in `replank.cli.options`."""

from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import pytest
from support.runs.commands import commands

pytestmark = pytest.mark.unit

OTHER_MEANING: Mapping[str, str] = {
    "--apply": "what is written and recorded differs: Prisma's history, Django's, or Alembic's and the models",
    "--diff": "`prisma` writes nothing without it, `alembic` shows one anyway unless it writes",
    "--out": "what is written differs: a plan, a page, scripts, a backup, a schema file, rows",
    "--phase": "`run` stops after a phase; pausing and throttling are for one",
    "--write": "what is written differs: Alembic's revision and the models, or Django's migrations",
    "--workers": "`run` may do without any; those of `check` are connections",
}
"""Options that are called the same and mean something else in each command, and why."""


def _declared(command: Any) -> Iterator[tuple[str, Any]]:
    """Each option's name and the object that declares it."""
    named = {parameter.name: parameter.opts[0] for parameter in command.params}
    for name, hint in get_type_hints(command.callback, include_extras=True).items():
        if name in named and hasattr(hint, "__metadata__"):
            yield named[name], hint.__metadata__[0]


def test_no_option_is_declared_twice() -> None:
    found: dict[str, dict[int, list[str]]] = {}
    for name, command in commands():
        for option, declaration in _declared(command):
            found.setdefault(option, {}).setdefault(id(declaration), []).append(name)
    assert {"--json", "--database-url", "--broker-url", "--as", "--by", "--yes"} <= found.keys()
    twice = {option: list(places.values()) for option, places in found.items() if len(places) > 1}
    options = {option: places for option, places in twice.items() if option.startswith("--")}
    assert options.keys() == OTHER_MEANING.keys(), options


def test_every_plan_that_has_to_be_given_is_declared_once() -> None:
    plans = {
        id(declaration)
        for _, command in commands()
        for option, declaration in _declared(command)
        if option == "plan" and declaration.metavar == "PLAN"
    }
    assert len(plans) == 1
