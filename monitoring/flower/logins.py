"""Who may see and steer: the names and passwords of Flower and of the run page."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from replank.errors import WrongUse

SHORTEST_PASSWORD = 8

HOW = (
    "Set REPLANK_FLOWER_LOGINS to NAME:PASSWORD, several apart by a space, or REPLANK_FLOWER_LOGINS_FILE to a file "
    "with one in each line."
)


class LoginSettings(BaseSettings):
    """Secrets come from the environment or a file, never from the command line, which everybody on the host reads."""

    model_config = SettingsConfigDict(env_prefix="REPLANK_FLOWER_", extra="ignore")

    logins: SecretStr | None = Field(default=None)
    logins_file: Path | None = Field(default=None)


@dataclass(frozen=True, kw_only=True)
class Logins:
    """Names and passwords; none means that everybody who reaches the server is let in as `anonymous`."""

    _passwords: Mapping[str, str] = field(repr=False)
    anonymous: str = ""

    @classmethod
    def parse(cls, text: str) -> Logins:
        """`NAME:PASSWORD`, apart by white space. Raises WrongUse, without any password."""
        found: dict[str, str] = {}
        for number, entry in enumerate(text.split(), start=1):
            name, colon, password = entry.partition(":")
            if not colon or not name:
                raise WrongUse(f"Login {number} is not NAME:PASSWORD. {HOW}")
            if not entry.isascii() or not entry.isprintable():
                # Browsers do not agree on how to send any others.
                raise WrongUse(f"The login of {name!r} has characters that are not printable ASCII.")
            if len(password) < SHORTEST_PASSWORD:
                raise WrongUse(f"The password of {name!r} has less than {SHORTEST_PASSWORD} characters.")
            if name in found:
                raise WrongUse(f"There are two logins of {name!r}.")
            found[name] = password
        if not found:
            raise WrongUse(f"No login is named. {HOW}")
        return cls(_passwords=found)

    @classmethod
    def without_login(cls, name: str) -> Logins:
        """No login is asked for; each visitor is called `name`."""
        return cls(_passwords={}, anonymous=name)

    @property
    def open(self) -> bool:
        return not self._passwords

    def basic_auth(self) -> list[str] | None:
        """As Flower wants them."""
        return [f"{name}:{password}" for name, password in self._passwords.items()] or None

    def user_of(self, authorization: str | None) -> str | None:
        """The name behind an `Authorization` header; None where it is no valid login.

        Every login is compared, each in constant time: an answer's time tells neither names nor passwords.
        """
        if self.open:
            return self.anonymous
        scheme, _, encoded = (authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            given = b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return None
        found: str | None = None
        for name, password in self._passwords.items():
            if hmac.compare_digest(given, f"{name}:{password}".encode()):
                found = name
        return found


def load_logins() -> Logins:
    """From the environment or the file it names. Raises WrongUse where there are none, or both are given."""
    given = LoginSettings()
    if given.logins is not None and given.logins_file is not None:
        raise WrongUse("Set either REPLANK_FLOWER_LOGINS or REPLANK_FLOWER_LOGINS_FILE, not both.")
    if given.logins_file is not None:
        try:
            return Logins.parse(given.logins_file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUse(f"The file of REPLANK_FLOWER_LOGINS_FILE cannot be read: {type(error).__name__}.") from None
    return Logins.parse("" if given.logins is None else given.logins.get_secret_value())
