"""What workers/broker/transport.py overrides in kombu is what it was copied from: a kombu that changes it is seen."""

from __future__ import annotations

import hashlib
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable
from importlib.metadata import requires

import pytest
from kombu.transport import redis, virtual
from packaging.requirements import Requirement

pytestmark = pytest.mark.unit

LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)

COPIED = {
    redis.Channel._brpop_read: "388bcf5a1740",
    redis.Channel._receive_one: "921cb51a94f0",
    redis.Channel._flush_brpop_reauth: "ccca5cdb1c25",
    redis.QoS.ack: "13354e30afea",
    redis.QoS.reject: "edda6f1e632a",
    virtual.Transport._deliver: "b11a54e146f4",
}
"""What is copied, wrapped or called by its private name, with the fingerprint of the text that was read for it."""


def fingerprint(method: Callable[..., object]) -> str:
    """Of a method's tokens: comments and layout do not change it."""
    text = textwrap.dedent(inspect.getsource(method))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    said = "\n".join(token.string for token in tokens if token.type not in LAYOUT)
    return hashlib.sha256(said.encode()).hexdigest()[:12]


@pytest.mark.parametrize("method", COPIED, ids=lambda method: method.__qualname__)
def test_a_method_of_kombu_is_the_one_that_was_copied(method: Callable[..., object]) -> None:
    assert fingerprint(method) == COPIED[method], (
        f"kombu has changed {method.__qualname__}: compare it with workers/broker/transport.py, carry the change "
        "over, run tests/faults/test_bare_workers.py, and put the new fingerprint here"
    )


def test_no_kombu_is_installed_that_was_not_read() -> None:
    (kombu,) = [one for one in map(Requirement, requires("replank") or []) if one.name == "kombu"]
    assert "5.7.0" in kombu.specifier
    assert "5.6.9" not in kombu.specifier
    assert "5.8.0" not in kombu.specifier
