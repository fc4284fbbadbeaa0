"""The schema of another real platform: the SQLAlchemy models that ship in the package ``octavia`` (OpenStack).

Its wheels are unpacked beside the project and never installed with it: they want versions of their own. The
models are imported in a process of its own, which prints the statements that make their tables.
"""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

FOLDER = Path(__file__).resolve().parents[3] / ".servers" / "octavia"

# What the models import, and no more.
WHEELS = (
    *(
        "octavia>=19,<20",
        "octavia-lib",
        "SQLAlchemy>=2,<3",
        "SQLAlchemy-Utils",
        "WSME",
        "WebOb",
        "Paste",
        "PasteDeploy",
    ),
    *("oslo.config", "oslo.context", "oslo.db", "oslo.i18n", "oslo.log", "oslo.serialization", "oslo.utils"),
    *("cffi", "cryptography", "debtcollector", "idna", "importlib_metadata", "iso8601", "lazy-importer", "netaddr"),
    *("pbr", "pycparser", "python-dateutil", "rfc3986", "setuptools", "six", "stevedore", "typing_extensions"),
    *("wrapt", "zipp", "pyparsing", "packaging", "tzdata", "msgpack", "PyYAML", "requests", "urllib3", "certifi"),
    *("charset-normalizer", "greenlet", "alembic", "Mako", "MarkupSafe", "testresources", "testscenarios"),
)

_PRINT = """
from octavia.db import base_models, models
import sqlalchemy
dialect = sqlalchemy.create_mock_engine("postgresql://", lambda statement, *_: print(
    str(statement.compile(dialect=dialect.dialect)).strip() + ";"))
base_models.BASE.metadata.create_all(dialect, checkfirst=False)
"""


def statements() -> str:
    """The statements that make the tables, downloaded and printed once. Raises CalledProcessError."""
    made = FOLDER.with_suffix(".sql")
    if not made.exists():
        # The target is only complete when the statements are printed: until then pip fills what is missing.
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
                *("--upgrade", f"--target={FOLDER}", *WHEELS),
            ],
            check=True,
        )
        printed = subprocess.run(
            [sys.executable, "-c", _PRINT],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(FOLDER)},
        )
        made.write_text(printed.stdout, encoding="utf-8")
    return made.read_text(encoding="utf-8")


def create_tables(url: str) -> None:
    """Make them in the empty database at ``url``."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements().encode())
