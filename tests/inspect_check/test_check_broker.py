"""A broker that loses what is queued is told of before the run."""

from __future__ import annotations

import socket
import time

import pytest
from pydantic import SecretStr

from demo.embedded import EmbeddedValkey
from inspect_check.conftest import Counting, Database, codes, only
from producer.check.check import audit
from producer.check.server.broker import ANSWER_S, audit_broker
from replank.settings import Settings

pytestmark = pytest.mark.catalogue


def test_a_broker_that_evicts_is_named_with_its_policy(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY)")
    with EmbeddedValkey(settings={"maxmemory": "8mb", "maxmemory-policy": "allkeys-lru"}, appendonly=False) as server:
        settings = Settings(database_url=SecretStr(database.url), broker_url=SecretStr(server.url()))
        report = audit(settings, database.plan({"t": ["id"]}), workers=1, watch=Counting())
        found = only(report.warnings, "broker_evicts")
        assert "allkeys-lru" in found.message
        assert "8,388,608 bytes" in found.message
        assert "noeviction" in found.hint
        assert server.password not in found.words
    assert report.blockers == ()


def test_a_broker_that_keeps_everything_is_no_finding_and_one_that_is_away_is() -> None:
    with EmbeddedValkey(appendonly=False) as server:
        url = server.url()
        assert audit_broker(Settings(broker_url=SecretStr(url))) == []
    away = audit_broker(Settings(broker_url=SecretStr(url)))
    assert codes(away) == ["broker_unreachable"]
    assert server.password not in away[0].words
    assert audit_broker(Settings()) == []


def test_a_broker_that_accepts_and_never_answers_is_named_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://:s3cret@127.0.0.1:{deaf.getsockname()[1]}/0"
        began = time.monotonic()
        found = only(audit_broker(Settings(broker_url=SecretStr(url))), "broker_unreachable")
        assert time.monotonic() - began < 2 * ANSWER_S
    assert "s3cret" not in found.words
