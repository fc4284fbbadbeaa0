"""Whatever address a command is given, its password is in nothing that it says, for people or for programs."""

import contextlib
import io
import json
import os
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replank.cli.app import build_app
from replank.failing import run_command

pytestmark = pytest.mark.unit

SECRET = "xQz7"
AROUND = st.text(st.sampled_from("/@:?#%&=[],; 1a"), max_size=5)
SCHEMES = st.sampled_from(["postgresql", "postgresql+psycopg", "redis", "rediss", "sentinel", "mysql"])
ENDS = st.sampled_from(["/shop", "/0", "/shop?schema=public", "/shop?nonsense=1", ""])

COMMANDS = (
    ("status", "--json"),
    ("finish", "--yes", "--json"),
    ("scale", "2"),
)


def _said(arguments: tuple[str, ...], database: str, broker: str) -> tuple[int, str]:
    """The exit code, and all of both outputs, of a command in this process."""
    output = io.StringIO()
    known = {"REPLANK_DATABASE_URL": database, "REPLANK_BROKER_URL": broker, "XDG_STATE_HOME": "/dev/null"}
    with (
        mock.patch.dict(os.environ, known),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        code = run_command(lambda: build_app(arguments)(list(arguments), standalone_mode=False), arguments)
    return code, output.getvalue()


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(COMMANDS), SCHEMES, AROUND, AROUND, ENDS)
@example(COMMANDS[0], "postgresql", "pa/", "", "/shop")
@example(COMMANDS[0], "postgresql", "p@", "@", "/shop")
@example(COMMANDS[2], "redis", "pa/", "", "/0")
@example(COMMANDS[2], "redis", "12/", "", "/0")
def test_no_output_holds_a_password(arguments: tuple[str, ...], scheme: str, before: str, after: str, end: str) -> None:
    url = f"{scheme}://user:{before}{SECRET}{after}@127.0.0.1:1{end}"
    plain = "postgresql://user@127.0.0.1:1/shop"
    for database, broker in ((url, "redis://127.0.0.1:1/0"), (plain, url)):
        code, said = _said(arguments, database, broker)
        assert code in (2, 3), (url, said)
        assert SECRET not in said, (url, said)
        if "--json" in arguments:
            assert set(json.loads(said.splitlines()[-1])) == {"error", "hint"}
