"""Settings, read once at each entry point and handed down."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from replank.addresses.addresses import shown
from replank.addresses.broker_address import broker_address
from replank.addresses.database_address import by_environment, database_address, refuse_unreadable_broker
from replank.errors import WrongUse
from replank.plan.text.plan_mistakes import said

NEARLY = 0.87
"""From this likeness on a name is taken for a misspelling: one or two letters in a name of twenty."""

BROKER_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")


class Settings(BaseSettings):
    """What every process of Replank needs to know. Names carry their unit."""

    model_config = SettingsConfigDict(env_prefix="REPLANK_", env_ignore_empty=True, extra="ignore")

    database_url: SecretStr | None = Field(default=None, description="the database whose tables are rebuilt")
    broker_url: SecretStr | None = Field(default=None, description="the Redis or Valkey that jobs are sent through")
    lease_s: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="how long a job's lease may be idle before another worker takes over the job",
    )
    resend_after_s: float = Field(
        default=5.0, gt=0, allow_inf_nan=False, description="when a job that was sent and not claimed is sent again"
    )
    statement_timeout_ms: int = Field(default=270_000, ge=1, description="how long one statement of a job may take")
    lock_timeout_ms: int = Field(default=5_000, ge=1, description="how long a job waits for one lock")
    soft_shutdown_s: float = Field(
        default=30.0, ge=0, allow_inf_nan=False, description="how long a stopping worker waits for its running jobs"
    )
    deaf_after_s: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="when an idle worker ends because the broker does not answer",
    )
    heartbeat_file: Path | None = Field(default=None, description="a file that a worker touches as long as it works")
    job_attempts: int = Field(default=8, ge=1, description="attempts before a job needs the operator")

    def database(self) -> str:
        """The target database's URL, with its password: hand it to libpq, never to a log."""
        if not self.database_url:
            raise WrongUse(
                "No database is given. Use --database-url or set REPLANK_DATABASE_URL "
                "(postgresql://user:password@host:port/name), or PGSERVICE or PGHOST."
            )
        return self.database_url.get_secret_value()

    def broker(self) -> str:
        """The broker's URL, with its password."""
        if not self.broker_url:
            raise WrongUse("No broker is given. Use --broker-url or set REPLANK_BROKER_URL (redis://host:port/0).")
        url = self.broker_url.get_secret_value()
        scheme, separator, _ = url.partition("://")
        if not separator or scheme not in BROKER_SCHEMES:
            # Celery would take it for another kind of broker and wait for that one for ever.
            raise WrongUse(
                f"The broker {without_password(url)} is neither Redis nor Valkey. Write its URL as redis://host:port/0."
            )
        refuse_unreadable_broker(url)
        broker_address(url)
        return url


def load_settings(*, database_url: str | None = None, broker_url: str | None = None) -> Settings:
    """Settings from the environment, overridden by what the command line names; PGSERVICE or PGHOST alone are enough.

    What other tools put into a database's URL is taken away, and said.
    """
    refuse_misspelled(os.environ)
    named: dict[str, SecretStr] = {
        name: SecretStr(url) for name, url in (("database_url", database_url), ("broker_url", broker_url)) if url
    }
    try:
        settings = Settings(_secrets_dir=_secrets_dir(), **named)  # type: ignore[arg-type, call-arg]
    except ValidationError as error:
        raise WrongUse(
            "; ".join(f"{variable_of(str(e['loc'][0]))}: {said(e['type'], e['msg'])}" for e in error.errors())
        ) from None
    database = settings.database_url.get_secret_value() if settings.database_url else by_environment(os.environ)
    if database is None:
        return settings
    address = database_address(database)
    for note in address.notes:
        print(f"replank: {note}", file=sys.stderr)
    return settings.model_copy(update={"database_url": SecretStr(address.url)})


PREFIX = "REPLANK_"

OTHER_VARIABLES = {
    "REPLANK_SECRETS_DIR": "a folder of secrets: each file's name is a setting, its content the value",
    "REPLANK_FLOWER_LOGINS": "names and passwords for the run page and Flower",
    "REPLANK_FLOWER_LOGINS_FILE": "a file with the same",
    "REPLANK_NOTIFY_URLS": "webhooks of [notifications], where the plan names no other variable",
    "REPLANK_NOTIFY_SECRET": "the secret that signs them (`whsec_…`)",
    "REPLANK_WEBHOOK_SECRET": "the secret that signs calls of [gates] (`whsec_…`)",
    "REPLANK_PLAN": "the plan that docker-compose.yml mounts",
    "REPLANK_POSTGRES_BIN": "where the demonstration finds PostgreSQL's programs",
    "REPLANK_RUNTIME_DIR": "where the demonstration's servers keep their folders",
}
"""Variables that are no fields of Settings, and what they are for."""


def variable_of(field: str) -> str:
    """`REPLANK_DATABASE_URL` for `database_url`."""
    return PREFIX + field.upper()


def refuse_misspelled(environment: Mapping[str, str]) -> None:
    """Raises WrongUse for a variable that is nearly one of ours: it would have no effect, unnoticed.

    Others are left alone: a plan may name any variable.
    """
    known = [*map(variable_of, Settings.model_fields), *OTHER_VARIABLES]
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in known:
            continue
        nearest = get_close_matches(name, known, n=1, cutoff=NEARLY)
        if nearest:
            raise WrongUse(
                f"The environment variable {name} is not a setting. Did you mean {nearest[0]}? Rename or unset it."
            )


def _secrets_dir() -> Path | None:
    """A folder whose files are settings by their names (`replank_database_url`), as containers are handed secrets."""
    named = os.environ.get("REPLANK_SECRETS_DIR")
    if not named:
        return None
    if not Path(named).is_dir():
        raise WrongUse(f"REPLANK_SECRETS_DIR: folder {named} does not exist.")
    return Path(named)


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    return shown(url)
