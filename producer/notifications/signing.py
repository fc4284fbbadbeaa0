"""Signatures of webhooks, as the specification Standard Webhooks says: HMAC-SHA256 over id, time and body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

from replank.errors import WrongUse

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64


def key_of(secret: str, *, variable: str) -> bytes:
    """The bytes that sign. Raises WrongUse, without the secret, where it is none; `variable` is what it stands in."""
    make = 'make one with: echo "whsec_$(openssl rand -base64 32)"'
    if not secret.startswith(PREFIX):
        raise WrongUse(f"{variable} is no secret for webhooks: it has to begin with {PREFIX}; {make}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise WrongUse(f"{variable}: what follows {PREFIX} is no base64; {make}") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise WrongUse(f"{variable}: the secret has {len(key)} bytes, {LEAST_BYTES} to {MOST_BYTES} are asked; {make}")
    return key


def signed_headers(key: bytes, *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message. `at` is when it is sent, not when it happened: old ones are refused."""
    moment = str(int(at.timestamp()))
    signed = b".".join([message_id.encode(), moment.encode(), body])
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": moment, "webhook-signature": f"v1,{signature}"}
