"""What a database holds, as the server's own tool writes it: it shares no code with the product."""

import subprocess
from pathlib import Path

import psycopg


def programs(url: str) -> Path:
    """The folder of the running server's programs."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()
    assert found is not None
    return Path(found[0])


def dump(url: str, *, without: str | None = None) -> str:
    """Definitions and rows of the whole database, in pg_dump's order; rows of a table sorted.

    Schemas that match the pattern `without` are left out.
    """
    command = [str(programs(url) / "pg_dump"), "--dbname", url, "--inserts"]
    command += [] if without is None else ["--exclude-schema", without]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    # Newer versions guard a dump by a random word.
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
    return "\n".join(_sorted_rows(lines))


def _sorted_rows(lines: list[str]) -> list[str]:
    told: list[str] = []
    block: list[str] = []
    for line in lines:
        if line.startswith("INSERT INTO"):
            block.append(line)
        else:
            told += [*sorted(block), line]
            block = []
    return told + sorted(block)


def psql(url: str, file: Path) -> None:
    """Run a file as a person would; the first error ends it."""
    done = try_psql(url, file)
    assert done.returncode == 0, done.stderr


def try_psql(url: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [str(programs(url) / "psql"), "--dbname", url, "-v", "ON_ERROR_STOP=1", "-q", "-f", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)
