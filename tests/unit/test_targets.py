"""The targets file: names, environment, mistakes with their line and without secrets."""

from pathlib import Path

import pytest

from producer.fleet.order import Limits, next_targets, why_stopped
from replank.errors import WrongUse
from replank.plan.targets import Target, read_targets, warn_of_readers

pytestmark = pytest.mark.unit

SECRET = "s3cret"


def _written(folder: Path, text: str, name: str = "targets") -> Path:
    path = folder / name
    path.touch(0o600)
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_and_toml_say_the_same(tmp_path: Path) -> None:
    lines = _written(
        tmp_path,
        "# tenants\n\npostgresql://app:${PW}@db1/alpha\nbeta  postgresql://db2:5433/beta\n"
        "gamma postgresql:///gamma?host=/run/pg\n",
    )
    toml = _written(
        tmp_path,
        '[[targets]]\nurl = "postgresql://app:${PW}@db1/alpha"\n'
        '[[targets]]\nname = "beta"\nurl = "postgresql://db2:5433/beta"\n'
        '[[targets]]\nname = "gamma"\nurl = "postgresql:///gamma?host=/run/pg"\n',
        "targets.toml",
    )
    found = read_targets(lines, {"PW": SECRET})
    assert found == read_targets(toml, {"PW": SECRET})
    assert [(t.name, t.host, t.database) for t in found] == [
        ("alpha", "db1:5432", "alpha"),
        ("beta", "db2:5433", "beta"),
        ("gamma", "/run/pg:5432", "gamma"),
    ]
    assert SECRET in found[0].url
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no database"),
        ("a postgresql://h/a b\n", ":1: write a line as NAME URL"),
        (f"mysql://app:{SECRET}@h/a\n", ":1: a target is a URL"),
        ("postgresql://app:${NOT_THERE}@h/a\n", "variable NOT_THERE is not set"),
        (f"postgresql://app:{SECRET}@h:port/a\n", "port is not a number"),
        (f"postgresql://app:{SECRET}@h\n", "names no database"),
        ("a postgresql://h/a\na postgresql://h/b\n", "duplicate by its name"),
        (f"a postgresql://app:{SECRET}@h/one\nb postgresql://app:{SECRET}@h:5432/one\n", "duplicate by its database"),
    ],
)
def test_mistakes_have_their_line_and_no_secret(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(WrongUse) as caught:
        read_targets(_written(tmp_path, text), {})
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["x = 1\n", '[[targets]]\nname = "a"\nurl = "postgresql://h/a"\npassword = "x"\n', "targets = [1]\n", "["]
)
def test_toml_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(WrongUse):
        read_targets(_written(tmp_path, text, "targets.toml"), {})


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="Could not read"):
        read_targets(tmp_path / "nothing", {})


def test_others_may_not_read_passwords(tmp_path: Path) -> None:
    secret = _written(tmp_path, f"postgresql://app:{SECRET}@h/a\n")
    assert warn_of_readers(secret) == ""
    secret.chmod(0o644)
    assert "chmod 600" in warn_of_readers(secret)
    assert SECRET not in warn_of_readers(secret)
    plain = _written(tmp_path, "postgresql://app:${PW}@h/a\npostgresql://app@h/b\n", "plain")
    plain.chmod(0o644)
    assert warn_of_readers(plain) == ""


def _targets(*places: str) -> list[Target]:
    return [Target(name=f"t{n}", url=f"postgresql://{host}/t{n}") for n, host in enumerate(places)]


def _names(found: list[Target]) -> list[str]:
    return [target.name for target in found]


def test_limits_hold_overall_and_per_host() -> None:
    targets = _targets("a", "a", "a", "b", "b", "c")
    limits = Limits(at_once=4, per_host=2)
    assert _names(next_targets(targets, done=(), failed=(), running=(), limits=limits)) == ["t0", "t1", "t3", "t4"]
    begun = next_targets(targets, done={"t0"}, failed={"t3"}, running={"t1", "t4"}, limits=limits)
    assert _names(begun) == ["t2", "t5"]


def test_others_wait_for_all_canaries() -> None:
    targets = _targets("a", "b", "c")
    limits = Limits(at_once=3, per_host=1, canaries=2)
    assert _names(next_targets(targets, done=(), failed=(), running=(), limits=limits)) == ["t0", "t1"]
    assert next_targets(targets, done={"t0"}, failed=(), running={"t1"}, limits=limits) == []
    assert _names(next_targets(targets, done={"t0", "t1"}, failed=(), running=(), limits=limits)) == ["t2"]
    assert next_targets(targets, done={"t0"}, failed={"t1"}, running=(), limits=limits) == []
    assert "t1" in why_stopped(targets, failed={"t1"}, limits=limits)


def test_failures_stop_the_rest_only_where_that_is_asked_for() -> None:
    targets = _targets("a", "b", "c", "d")
    go_on = Limits(at_once=1, per_host=1)
    assert _names(next_targets(targets, done=(), failed={"t0", "t1"}, running=(), limits=go_on)) == ["t2"]
    stop = Limits(at_once=1, per_host=1, stop_after=2)
    assert _names(next_targets(targets, done=(), failed={"t0"}, running=(), limits=stop)) == ["t1"]
    assert next_targets(targets, done=(), failed={"t0", "t1"}, running=(), limits=stop) == []
