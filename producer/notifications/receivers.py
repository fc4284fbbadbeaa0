"""Who is told: addresses and the secret, from the environment variables that the plan names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from standardwebhooks.webhooks import Webhook

from producer.notifications.signing import signer_of
from producer.notifications.web import place_of
from replank.errors import WrongUse
from replank.plan.operation.notifications_plan import NotificationsPlan


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """One address. `name` is what the ledger calls it: a hash, because the address may hold a secret."""

    url: str = field(repr=False)
    signer: Webhook = field(repr=False)

    @property
    def name(self) -> str:
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def place(self) -> str:
        """As it may be shown."""
        return place_of(self.url)


def receivers_of(plan: NotificationsPlan | None, environment: Mapping[str, str]) -> tuple[Receiver, ...]:
    """All receivers of the plan; none where it has no such section.

    Raises WrongUse where a variable is missing or wrong: a section without receivers would be a lie.
    """
    if plan is None:
        return ()
    urls = environment.get(plan.urls_env, "").split()
    if not urls:
        raise WrongUse(
            f"The plan has [notifications], but {plan.urls_env} has no address. Separate addresses with spaces."
        )
    for number, url in enumerate(urls, start=1):
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise WrongUse(f"{plan.urls_env}: address {number} is not of the form https://host/path.")
    signer = signer_of(environment.get(plan.secret_env, ""), variable=plan.secret_env)
    return tuple(Receiver(url=url, signer=signer) for url in dict.fromkeys(urls))
