"""Every step forward, again, back, and forward again: back is as if nothing had been."""

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from producer.scripts.run_script import ScriptRunner
from steps.conftest import Compile
from steps.dumps import dump, psql

pytestmark = pytest.mark.catalogue

_RANDOM = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOMENT = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00")

PERMISSIONS = """
SELECT m.account_id AS user_id, m.tenant_id, jsonb_agg(p.permission) AS permissions, jsonb_agg(DISTINCT m.role) AS roles
  FROM public.membership m JOIN public.role_permission p USING (role) GROUP BY 1, 2
"""

ASKED: dict[int, dict[str, Any]] = {
    1: {"uuid_fields": {"tables": ["account", "tenant"]}},
    2: {
        "indexes": {
            "add": [
                {"name": "account_name", "table": "account", "columns": ["Name"], "where": '"Name" IS NOT NULL'},
                {"name": "event_at", "table": "userEvents", "columns": ["at"], "include": ["id"]},
            ]
        }
    },
    3: {"audit_log": {}},
    4: {
        "permission_cache": {
            "query": PERMISSIONS,
            "sources": [{"table": "membership", "user": "account_id"}, {"table": "role_permission"}],
        }
    },
    5: {"enums": [{"name": "mood", "rename": {"SAD": "sad"}}, {"name": "colour", "values": ["red", "blue"]}]},
    7: {"mappings": {"rename": [{"table": "account", "to": "accounts"}]}},
    12: {"optimize": {"drop": ["account_tenant"], "reindex": ["account_pkey"]}},
}


@pytest.fixture(autouse=True)
def _more(app: psycopg.Connection) -> None:
    app.execute(
        "CREATE TYPE mood AS ENUM ('SAD', 'ok'); CREATE TABLE felt (mood mood); INSERT INTO felt VALUES ('SAD')"
    )
    app.execute("CREATE INDEX account_tenant ON account (tenant_id DESC) WHERE tenant_id <> 't1'")


def _nameless(text: str) -> str:
    """Random ids and moments are others each time."""
    return _MOMENT.sub("<moment>", _RANDOM.sub("<id>", text))


@pytest.mark.parametrize("number", ASKED)
def test_a_step_and_its_rollback(number: int, compiled: Compile, runner: ScriptRunner, database: str) -> None:
    before = dump(database)
    step = compiled(number, **ASKED[number])

    runner.run(step.forward)
    after = dump(database)
    assert (after != before) or number == 12, "the step did nothing that the dump shows"
    runner.run(step.forward)
    assert dump(database) == after, "what is done already is not left as it is"

    runner.run(step.back)
    assert dump(database) == before
    runner.run(step.back)
    assert dump(database) == before

    runner.run(step.forward)
    assert _nameless(dump(database)) == _nameless(after)


@pytest.mark.parametrize("number", ASKED)
def test_psql_runs_the_same(
    number: int, compiled: Compile, runner: ScriptRunner, database: str, tmp_path: Path
) -> None:
    step = compiled(number, **ASKED[number])
    runner.run(step.forward)
    ours = dump(database)
    runner.run(step.back)
    before = dump(database)
    for script in (step.forward, step.back):
        (tmp_path / f"{script.name}.sql").write_text(script.text)

    psql(database, tmp_path / f"{step.forward.name}.sql")
    assert _nameless(dump(database)) == _nameless(ours)
    psql(database, tmp_path / f"{step.back.name}.sql")
    assert dump(database) == before
