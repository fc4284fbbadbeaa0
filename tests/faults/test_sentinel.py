"""A broker that sentinels name: found, asked, and followed to another server when it dies."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import redis
from pydantic import SecretStr
from support.runs.gates import locked
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import differences

from demo.embedded import EmbeddedValkey
from demo.embedded.hosting import free_port
from producer.check.server.broker import audit_broker
from replank.settings import Settings

pytestmark = pytest.mark.faults

NAME = "replank-broker"


def accepts(port: int, password: str | None = None) -> redis.Redis | None:
    client = redis.Redis(port=port, password=password)
    try:
        client.ping()
    except redis.RedisError:
        return None
    return client


@pytest.fixture
def servers() -> Iterator[tuple[EmbeddedValkey, EmbeddedValkey]]:
    """A server and its replica, with one password."""
    with EmbeddedValkey(appendonly=False) as first:
        follow = {"replicaof": f"127.0.0.1 {first.port}", "masterauth": first.password}
        second = EmbeddedValkey(settings=follow, appendonly=False)
        second.password = first.password
        with second:
            yield first, second


@pytest.fixture
def url(servers: tuple[EmbeddedValkey, EmbeddedValkey], tmp_path: Path) -> Iterator[str]:
    """The URL of a sentinel that watches the two, and fails over within a second or two."""
    first, _ = servers
    port, file = free_port(), tmp_path / "sentinel.conf"
    lines = (
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {tmp_path}",
        f"sentinel monitor {NAME} 127.0.0.1 {first.port} 1",
        f"sentinel auth-pass {NAME} {first.password}",
        f"sentinel down-after-milliseconds {NAME} 500",
        f"sentinel failover-timeout {NAME} 5000",
    )
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    program = psutil.Process(first.pid).exe()
    with subprocess.Popen([program, str(file), "--sentinel"], stdout=subprocess.DEVNULL) as sentinel:
        try:
            client = wait_for("the sentinel", lambda: accepts(port))
            wait_for("the sentinel to know the replica", lambda: client.sentinel_slaves(NAME))
            yield f"sentinel://:{first.password}@127.0.0.1:{port}/0?master_name={NAME}"
        finally:
            sentinel.terminate()


def test_a_run_follows_the_broker_to_the_server_that_takes_its_place(
    site: Site,
    ledger: LedgerView,
    servers: tuple[EmbeddedValkey, EmbeddedValkey],
    url: str,
) -> None:
    # Given: a run whose broker is found by a sentinel, in the middle of its jobs
    first, second = servers
    site = replace(site, broker_url=url)
    assert audit_broker(Settings(broker_url=SecretStr(url))) == []
    run = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    with locked(site.database_url, "replank_next", "orders"):
        site.worker("--concurrency", "2")
        wait_for("a job under way", ledger.leases, explain=ledger.explain)
        # When: the server dies, and the sentinel makes the other one the broker
        first.kill()
        client = redis.Redis(port=second.port, password=second.password)
        wait_for("the other server to take its place", lambda: client.info("replication")["role"] == "master")
    # Then: the run ends there
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    assert first.password not in finished.stderr


def test_sentinels_without_a_servers_name_are_refused_with_what_to_add(site: Site) -> None:
    named = site.call("run", str(site.plan), REPLANK_BROKER_URL="sentinel://:s3cret@127.0.0.1:1/0")
    assert (named.exit_code, "?master_name=NAME" in named.stderr) == (2, True)
    other = site.call("run", str(site.plan), REPLANK_BROKER_URL="sentinel://127.0.0.1:1/0?master_name=x&masterName=y")
    assert (other.exit_code, "masterName" in other.stderr) == (2, True)
    assert "s3cret" not in named.stdout + named.stderr
