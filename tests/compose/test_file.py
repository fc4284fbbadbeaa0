"""docker-compose.yml and Dockerfile: by the specification's own schema, and by what the schema cannot know."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from support.servers.compose_file import ROOT, compose, services

pytestmark = pytest.mark.unit

SCHEMA = Path(__file__).with_name("compose-spec.json")
OURS = ("coordinator", "worker", "flower", "exporter")


def test_the_file_keeps_the_compose_specification() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    problems = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(compose())]
    assert problems == []


def test_the_schema_would_find_a_mistake() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    broken = {"services": {"worker": {"imge": "x"}}}
    assert list(Draft202012Validator(schema).iter_errors(broken))


def test_every_service_is_there_pinned_and_watched() -> None:
    assert set(services()) == {*OURS, "postgres", "redis", "prometheus", "grafana"}
    for name, service in services().items():
        assert re.search(r":[0-9v][0-9.]*$", service["image"]), name
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert isinstance(service.get("command", []), list), f"{name}: exec form"
        assert "restart" in service, name


def test_what_is_named_exists() -> None:
    document = compose()
    for name, service in services().items():
        assert set(service.get("depends_on", [])) <= set(services()), name
        assert set(service.get("secrets", [])) <= set(document["secrets"]), name
        assert set(service["networks"]) <= set(document["networks"]), name
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in document["volumes"] or source == "./plan.toml" or (ROOT / source).exists(), mount


def test_workers_can_be_scaled_and_nothing_is_open_to_the_network() -> None:
    worker = services()["worker"]
    assert not {"container_name", "hostname", "ports"} & set(worker)
    for name, service in services().items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert name not in ("postgres", "redis") or "ports" not in service


def test_no_secret_stands_in_a_command_or_in_the_environment() -> None:
    for name, service in services().items():
        said = json.dumps([service.get("command"), service.get("environment")])
        assert not re.search(r"(?i)://[^\"]*:[^\"]*@", said), name
        for variable in service.get("environment", {}):
            if re.search(r"PASSWORD|LOGINS|DATABASE_URL|BROKER_URL", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"


def test_servers_are_set_as_the_run_needs_them() -> None:
    redis = services()["redis"]["command"]
    settings = dict(zip(redis[1::2], redis[2::2], strict=True))
    assert settings == {"--appendonly": "yes", "--appendfsync": "everysec", "--maxmemory-policy": "noeviction"}
    assert "client_connection_check_interval=1s" in services()["postgres"]["command"]
    soft = 30.0
    assert float(services()["worker"]["stop_grace_period"].rstrip("s")) > soft


def test_commands_are_replanks_own() -> None:
    commands = {point.name for point in entry_points(group="replank.commands")}
    for name in ("coordinator", "worker", "exporter"):
        assert services()[name]["command"][0] in commands


def test_the_image_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    said = [line.split(maxsplit=1) for line in lines if line and not line.startswith(("#", " "))]
    of = {word: [rest for first, rest in said if first == word] for word, _ in said}
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+( AS builder)?", image) for image in of["FROM"])
    assert of["USER"] == ["10001"]
    for form in ("RUN", "ENTRYPOINT", "CMD"):
        for rest in of[form]:
            assert isinstance(json.loads(rest[rest.index("[") :]), list), f"{form}: exec form"
    copied = [rest.split()[0] for rest in of["COPY"]]
    assert all((ROOT / source).exists() for source in copied)


def test_prometheus_scrapes_what_is_there() -> None:
    document = yaml.safe_load((ROOT / "monitoring/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    for job in document["scrape_configs"]:
        for target in (target for each in job["static_configs"] for target in each["targets"]):
            host, port = target.split(":")
            assert port in services()[host]["command"], target
    # The alert rules ask for this name.
    assert next(job["job_name"] for job in document["scrape_configs"]) == "replank"


def test_secrets_are_made_once(tmp_path: Path) -> None:
    command = ["sh", str(ROOT / "monitoring" / "secrets.sh")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    made = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert set(made) == set(compose()["secrets"])
    assert made["postgres_password"] in made["replank_database_url"]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()} == made
