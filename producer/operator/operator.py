"""Who acts, and through what."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import Literal

from replank.errors import WrongUse

LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A person, or a program in a person's place. `via` is what they spoke through."""

    name: str
    via: Literal["command line", "page"]

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise WrongUse(f"An operator's name is 1 to {LONGEST_NAME} printable characters. Give another with --as.")


def operator_of_shell(name: str | None = None) -> Operator:
    """The person at this shell: `name` if they say it (`--as`), else the login name."""
    return Operator(name=name if name is not None else _login_name(), via="command line")


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's numeric user has no name.
        return "operator"
