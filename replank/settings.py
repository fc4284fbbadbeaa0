"""Settings, read once at each entry point and handed down."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from replank.errors import WrongUse

BROKER_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")


class Settings(BaseSettings):
    """What every process of Replank needs to know. Names carry their unit."""

    model_config = SettingsConfigDict(env_prefix="REPLANK_", env_ignore_empty=True, extra="ignore")

    database_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    lease_s: float = Field(default=60.0, gt=0, description="how long an idle lease stands before takeover")
    resend_after_s: float = Field(default=5.0, gt=0, description="when a sent, unclaimed job is sent again")
    statement_timeout_ms: int = Field(default=270_000, ge=1)
    lock_timeout_ms: int = Field(default=5_000, ge=1)
    soft_shutdown_s: float = Field(default=30.0, ge=0, description="what a stopped worker's present jobs may take")
    deaf_after_s: float = Field(default=30.0, gt=0, description="an idle worker without an answer of the broker ends")
    heartbeat_file: Path | None = Field(default=None, description="touched by a worker for as long as it works")
    job_attempts: int = Field(default=8, ge=1, description="attempts before a job needs a person")

    def database(self) -> str:
        """The target database's URL, with its password: hand it to libpq, never to a log."""
        if not self.database_url:
            raise WrongUse(
                "No database is named. Give --database-url or set REPLANK_DATABASE_URL "
                "(postgresql://user:password@host:port/name)."
            )
        return self.database_url.get_secret_value()

    def broker(self) -> str:
        """The broker's URL, with its password."""
        if not self.broker_url:
            raise WrongUse("No broker is named. Give --broker-url or set REPLANK_BROKER_URL (redis://host:port/0).")
        url = self.broker_url.get_secret_value()
        if urlsplit(url).scheme not in BROKER_SCHEMES:
            # Celery would take it for another kind of broker and wait for that one for ever.
            raise WrongUse(
                f"The broker {without_password(url)} is neither Redis nor Valkey. Write its URL as redis://host:port/0."
            )
        return url


def load_settings(*, database_url: str | None = None, broker_url: str | None = None) -> Settings:
    """Settings from the environment, overridden by what the command line names."""
    named = {name: SecretStr(url) for name, url in (("database_url", database_url), ("broker_url", broker_url)) if url}
    try:
        return Settings(_secrets_dir=_secrets_dir(), **named)  # type: ignore[arg-type, call-arg]
    except ValidationError as error:
        raise WrongUse("; ".join(f"REPLANK_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())) from None


def _secrets_dir() -> Path | None:
    """A folder whose files are settings by their names (`replank_database_url`), as containers are handed secrets."""
    named = os.environ.get("REPLANK_SECRETS_DIR")
    if not named:
        return None
    if not Path(named).is_dir():
        raise WrongUse(f"REPLANK_SECRETS_DIR: there is no folder {named}.")
    return Path(named)


def without_password(url: str) -> str:
    """The URL as it may be shown: the password is replaced, query parameters that may hide one go."""
    if "://" not in url:
        return "(a connection string)"
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    netloc = f"{user}{':***' if colon else ''}{at}{host}"
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
