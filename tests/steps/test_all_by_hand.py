"""The steps by psql, new names among them: compile, 01 to 07, compile again, 08 and on, and all the way back."""

from pathlib import Path

import psycopg
import pytest

from producer.step_commands import compile_plan
from replank.errors import WrongUse

from .dumps import dump, psql, try_psql
from .hand_shop import execute, name_of, type_of

pytestmark = pytest.mark.catalogue

MORE = """
CREATE TABLE "TeamMember" (id text PRIMARY KEY, "teamName" text NOT NULL UNIQUE);
CREATE TABLE "Badge" (id text PRIMARY KEY, "memberId" text REFERENCES "TeamMember");
INSERT INTO "TeamMember" SELECT gen_random_uuid(), 'Team ' || g FROM generate_series(1, 20) AS g;
INSERT INTO "Badge" SELECT gen_random_uuid(), id FROM "TeamMember";
"""

PLAN = """
version = 1
[database]
name = "{name}"
[steps.uuid_fields]
column = "uid"
tables = ["TeamMember"]
[steps.indexes]
foreign_keys = true
tables = ["Badge"]
[steps.audit_log]
tables = ["TeamMember", "Badge"]
[[steps.enums]]
name = "color"
values = ["red", "blue"]
[steps.mappings]
tables = ["TeamMember", "Badge"]
[[tables]]
name = "team_member"
columns = [{{ name = "id", to = "uuid" }}]
[[tables]]
name = "badge"
columns = [{{ name = "id", to = "uuid" }}, {{ name = "member_id", to = "uuid" }}]
"""


def _numbered(folder: Path, start: str) -> Path:
    (found,) = folder.glob(f"{start}-*.sql")
    return found


def test_every_step_by_psql_and_back(shop: str, tmp_path: Path) -> None:
    execute(shop, MORE)
    before = dump(shop)
    plan, folder = tmp_path / "plan.toml", tmp_path / "scripts"
    plan.write_text(PLAN.format(name=name_of(shop)))
    compile_plan(plan=plan, out=folder, database_url=shop)
    for number in ("01", "02", "03", "04", "05", "07"):
        psql(shop, _numbered(folder, number))
    # The pass was composed for the tables of before; what is compiled now leaves the scripts that have run alone
    refused = try_psql(shop, _numbered(folder, "08")).stderr
    assert "replank compile PLAN --out DIR --phase 3" in refused
    with pytest.raises(WrongUse, match="TeamMember does not exist"):
        compile_plan(plan=plan, out=folder, database_url=shop)
    first = _numbered(folder, "rollback-01").read_text()
    compile_plan(plan=plan, out=folder, phase=3, database_url=shop)
    assert _numbered(folder, "rollback-01").read_text() == first
    for number in ("08", "09", "10"):
        psql(shop, _numbered(folder, number))
    assert type_of(shop, "team_member") == "uuid"
    with psycopg.connect(shop) as session:
        assert session.execute(
            'SELECT count(*) FROM "Badge" b JOIN "TeamMember" t ON t.id = b."memberId"'
        ).fetchone() == (20,)
    for number in ("10", "09", "08", "07", "05", "04", "03", "02", "01"):
        psql(shop, _numbered(folder, f"rollback-{number}"))
    assert dump(shop) == before
