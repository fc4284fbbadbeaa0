"""A command that only looks, or says one word to a run, imports nothing of those that run, send or draw."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

LOOKING = ("status", "failures", "explain", "catalogue-diff", "quarantine", "config")
STEERING = ("cutover", "retry", "pause", "resume", "throttle", "panic", "skip", "scale")
HEAVY = {
    *("alembic", "celery", "flower", "jinja2", "kombu", "libcst", "multiprocessing", "pglast", "prometheus_client"),
    *("redis", "rich.markdown", "rich.traceback", "sqlalchemy.orm", "structlog", "tornado"),
}
OF_DATABASES = {"psycopg", "sqlalchemy"}

PROGRAM = """
import json, sys
from replank.cli.app import build_app
for name in sys.argv[1:]:
    build_app([name])
print(json.dumps(list(sys.modules)))
"""


def _imported(*commands: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *commands], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_small_commands_import_no_heavy_library():
    assert _imported(*LOOKING, *STEERING) & HEAVY == set()


def test_config_imports_nothing_of_databases():
    assert _imported("config") & (HEAVY | OF_DATABASES) == set()


def test_a_line_of_a_command_that_logs_seldom_goes_to_standard_error():
    program = "from replank.logger import Logger; Logger().info('waiting', reason='it starts')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "level='info' event='waiting' reason='it starts'" in done.stderr
