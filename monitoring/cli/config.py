"""`replank config`: every setting, its value and where the value comes from. Secrets are not shown."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import typer
from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from monitoring.terminal.output import people, print_json
from replank.cli.options import AsJson
from replank.settings import OTHER_VARIABLES, Settings, load_settings, variable_of, without_password


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A setting as it may be shown. `origin`: `environment`, `file` (in REPLANK_SECRETS_DIR), `default` or `unset`."""

    variable: str
    value: str
    origin: str
    description: str


def register(app: typer.Typer) -> None:
    app.command("config")(config)


def config(as_json: AsJson = False) -> None:
    """Print each setting with its value, its origin and what it is for. Passwords are masked.

    Example: REPLANK_LOCK_TIMEOUT_MS=2000 replank config
    """
    shown = list(shown_settings(load_settings(), os.environ))
    if as_json:
        print_json({"settings": [asdict(one) for one in shown]})
        return
    table = Table("setting", "value", "from", "what it is for", box=None, pad_edge=False)
    for one in shown:
        table.add_row(*map(Text, (one.variable, one.value, one.origin, one.description)))
    people().print(table)


def shown_settings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Shown]:
    """The settings in their order, then the variables that other parts read."""
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        origin = "unset" if value is None else "default"
        if name in settings.model_fields_set:
            origin = "environment" if environment.get(variable_of(name)) else "file"
        yield Shown(
            variable=variable_of(name),
            value=_as_shown(value),
            origin=origin,
            description=field.description or "",
        )
    for name, description in OTHER_VARIABLES.items():
        known = bool(environment.get(name))
        yield Shown(
            variable=name,
            value="(set)" if known else "",
            origin="environment" if known else "unset",
            description=description,
        )


def _as_shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return without_password(value.get_secret_value())
    return "" if value is None else str(value)
