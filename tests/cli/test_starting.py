"""Each command starts by itself, in a process that has imported nothing but what that command needs."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytestmark = pytest.mark.cli

PROGRAM = """
import sys
from replank.cli.app import build_app
app = build_app(sys.argv[1:])
print(*(each.name for each in app.registered_commands + app.registered_groups))
"""


@pytest.mark.parametrize("command", sorted(entry_points(group="replank.commands").names))
def test_a_command_imports_all_it_needs(command: str) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, command], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert command in ended.stdout.split()
