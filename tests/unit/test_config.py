"""`replank config`, and variables that are nearly settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitoring.cli.config import shown_settings
from replank.cli.app import build_app
from replank.errors import WrongUse
from replank.settings import OTHER_VARIABLES, Settings, load_settings, refuse_misspelled, variable_of

pytestmark = pytest.mark.unit

HIDDEN = "s3cr:t-p4ss"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*map(variable_of, Settings.model_fields), *OTHER_VARIABLES]:
        monkeypatch.delenv(name, raising=False)


def test_each_setting_is_shown_with_its_origin_and_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Given one setting in the environment, one in a file, and the rest by default
    monkeypatch.setenv("REPLANK_BROKER_URL", f"redis://:{HIDDEN}@host:6379/0")
    monkeypatch.setenv("REPLANK_NOTIFY_SECRET", HIDDEN)
    monkeypatch.setenv("REPLANK_SECRETS_DIR", str(tmp_path))
    (tmp_path / "replank_lock_timeout_ms").write_text("2000")
    said = CliRunner().invoke(build_app(["config"]), ["config", "--json"])
    assert said.exit_code == 0
    shown = {one["variable"]: one for one in json.loads(said.stdout)["settings"]}
    assert (shown["REPLANK_LOCK_TIMEOUT_MS"]["value"], shown["REPLANK_LOCK_TIMEOUT_MS"]["origin"]) == ("2000", "file")
    assert shown["REPLANK_BROKER_URL"]["origin"] == "environment"
    assert shown["REPLANK_LEASE_S"]["origin"] == "default"
    assert shown["REPLANK_DATABASE_URL"]["origin"] == "unset"
    for part in (HIDDEN, "s3cr", "p4ss"):
        assert part not in said.output


def test_every_setting_says_what_it_is_for_and_stands_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    for one in shown_settings(Settings(), {}):
        assert one.description, one.variable
        assert f"`{one.variable}`" in text, one.variable


def test_a_variable_that_is_nearly_a_setting_is_refused_by_name() -> None:
    for wrong, right in (
        ("REPLANK_DATABASEURL", "REPLANK_DATABASE_URL"),
        ("REPLANK_LOCK_TIMEOUT_S", "REPLANK_LOCK_TIMEOUT_MS"),
        ("REPLANK_JOB_ATEMPTS", "REPLANK_JOB_ATTEMPTS"),
    ):
        with pytest.raises(WrongUse, match=f"{wrong} is not a setting. Did you mean {right}"):
            refuse_misspelled({wrong: "1"})
    refuse_misspelled({"REPLANK_POOLER_PASSWORD": "a plan may name any variable", "PATH": ""})


def test_what_is_misspelled_stops_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLANK_BROKER_UR", "redis://host")
    with pytest.raises(WrongUse, match="REPLANK_BROKER_URL"):
        load_settings()
