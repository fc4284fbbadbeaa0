"""An error that no command expects is a sentence and a file, never a traceback."""

import re
from pathlib import Path

import psycopg
import pytest

from replank import cli

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "exit_code", "words"),
    [
        (psycopg.errors.OutOfMemory("out of shared memory"), 1, "PostgreSQL: out of shared memory"),
        (ZeroDivisionError("division by zero"), 70, "a bug of Replank (ZeroDivisionError)"),
    ],
)
def test_it_is_one_sentence_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, exit_code: int, words: str
) -> None:
    def fail(_: object) -> object:
        raise error

    monkeypatch.setattr(cli, "build_app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == exit_code
    assert words in said
    assert "Traceback" not in said
    named = re.search(r"\S+replank-error-\S+\.log", said)
    assert named is not None
    kept = Path(named.group())
    assert "Traceback" in kept.read_text()
    kept.unlink()
