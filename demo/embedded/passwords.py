"""What a server keeps instead of a password."""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 1
"""Thousands make a guess at a short password dear, and every connection: 4 ms of the client's time. Ours are random
and longer than anybody can guess."""
SALT_BYTES = 16


def scram_verifier(password: str) -> str:
    """The password as `pg_authid` holds it (RFC 5803); it must be plain ASCII, so that it is its own normal form."""
    salt = secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(_keyed(salted, b"Client Key")).digest()
    server = _keyed(salted, b"Server Key")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _keyed(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
