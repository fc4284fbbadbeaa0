"""`[notifications]` of a plan: who is told what of a run. Addresses and the secret are never in the plan."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from replank.plan.text.plan_words import Strict

Topic = Literal["start", "barrier", "failure", "cutover", "finish", "rollback"]

TOPICS: tuple[Topic, ...] = get_args(Topic)

Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]{0,126}$")]


class NotificationsPlan(Strict):
    """Webhooks. `urls_env` names the environment variable with the addresses, separated by blanks; `secret_env` the
    one with the secret that signs every message (`whsec_…`, as Standard Webhooks says). `events`: what is told.
    """

    urls_env: Variable = "REPLANK_NOTIFY_URLS"
    secret_env: Variable = "REPLANK_NOTIFY_SECRET"
    events: tuple[Topic, ...] = Field(default=TOPICS, min_length=1)
