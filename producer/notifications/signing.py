"""Signatures of webhooks, notifications' and gates' alike: Standard Webhooks, by the specification's own library."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from replank.errors import WrongUse

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64


def signer_of(secret: str, *, variable: str) -> Webhook:
    """What signs with this secret. Raises WrongUse, without the secret, where it is none; `variable` holds it.

    The library itself takes any text for a secret, also one that was cut short or never was base64.
    """
    make = 'create one with: echo "whsec_$(openssl rand -base64 32)"'
    if not secret.startswith(PREFIX):
        raise WrongUse(f"{variable} is not a webhook secret: it must begin with {PREFIX}; {make}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise WrongUse(f"{variable}: the part after {PREFIX} is not base64; {make}") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise WrongUse(
            f"{variable}: the secret has {len(key)} bytes; {LEAST_BYTES} to {MOST_BYTES} are required; {make}"
        )
    return Webhook(key)


def signed_headers(signer: Webhook, *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message whose body is UTF-8.

    `at`, with its time zone, is when it is sent, not when it happened: receivers refuse what was signed long ago.
    """
    # The library reads any time as one of UTC.
    moment = at.astimezone(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signer.sign(msg_id=message_id, timestamp=moment, data=body.decode("utf-8")),
    }
