"""A plan that gives other names, step by step by psql: compiled, run up to step 07, compiled again, run to its end."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from demo.embedded import EmbeddedPostgres
from producer.cli.compile_and_indexes import compile_plan
from producer.compiling.schema_file import schema_change
from producer.planning.resolution import read_plan_file
from replank.errors import WrongUse
from sql.session.connection import connect
from steps.dumps import dump, psql, try_psql
from steps.hand_shop import execute, name_of, type_of

pytestmark = pytest.mark.catalogue

SCHEMA = """
CREATE TABLE "User" (id text PRIMARY KEY, "fullName" text NOT NULL, status text NOT NULL DEFAULT 'active');
CREATE TABLE "Member" (no int PRIMARY KEY, "userId" text NOT NULL REFERENCES "User", role text NOT NULL);
CREATE TABLE "Order" (id text PRIMARY KEY, "userId" text NOT NULL REFERENCES "User", total int NOT NULL);
CREATE TABLE tag (name text PRIMARY KEY);
INSERT INTO "User" SELECT upper(md5('u' || n)::uuid::text), 'User ' || n FROM generate_series(1, 30) AS n;
INSERT INTO "Member" SELECT n, upper(md5('u' || n)::uuid::text), 'owner' FROM generate_series(1, 30) AS n;
INSERT INTO "Order"
  SELECT md5('o' || n)::uuid::text, upper(md5('u' || 1 + n % 30)::uuid::text), n FROM generate_series(1, 90) AS n;
"""

PLAN = """
version = 1
name = "hand"
[database]
name = "{database}"
[prisma]
schema = "schema.prisma"
write = true
[steps.uuid_fields]
column = "rowId"
tables = ["Member", "tag"]
[steps.indexes]
add = [{{ name = "Order_total_idx", table = "Order", columns = ["total"] }}]
[steps.audit_log]
tables = ["User", "Order", "tag"]
[steps.permission_cache]
query = '''
SELECT "userId" AS user_id, 't' AS tenant_id, jsonb_agg(role) AS permissions, jsonb_agg(role) AS roles
  FROM public."Member" GROUP BY 1
'''
sources = [{{ table = "Member", user = "userId" }}]
[[steps.enums]]
name = "user_status"
values = ["active", "blocked"]
[steps.mappings]
snake_case = true
[[tables]]
name = "user"
columns = [{{ name = "id", to = "uuid" }}, {{ name = "status", to = "enum", type = "user_status" }}]
[[tables.add]]
name = "short_name"
type = "text"
value = "left(live.full_name, 3)"
not_null = true
[[tables]]
name = "member"
columns = [{{ name = "user_id", to = "uuid" }}]
[[tables]]
name = "order"
columns = [{{ name = "id", to = "uuid" }}, {{ name = "user_id", to = "uuid" }}]
"""

PRISMA = """
model User {
  id       String   @id
  fullName String
  status   String   @default("active")
}

model tag {
  name String @id
}
"""

BEFORE = ("01", "02", "03", "04", "05", "07")


@pytest.fixture
def hand(postgres: EmbeddedPostgres) -> Iterator[str]:
    url = postgres.create_database("compiled_again")
    execute(url, SCHEMA)
    yield url
    postgres.drop_database("compiled_again")


@pytest.fixture
def compile_here(hand: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> "Compile":
    return Compile(url=hand, folder=tmp_path, capsys=capsys)


class Compile:
    """`replank compile` of the plan, into a folder beside it."""

    def __init__(self, *, url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url, self.capsys = url, capsys
        self.plan, self.out = folder / "plan.toml", folder / "scripts"
        self.plan.write_text(PLAN.format(database=name_of(url)))
        (folder / "schema.prisma").write_text(PRISMA)

    def __call__(self) -> dict[str, object]:
        self.capsys.readouterr()
        compile_plan(self.plan, self.out, as_json=True, database_url=self.url)
        told = self.capsys.readouterr()
        self.said = told.err
        return dict(json.loads(told.out.splitlines()[-1]))

    def change_schema_file(self) -> None:
        """As `patch` would with the script of step 06."""
        with connect(self.url, name="test") as connection:
            found = schema_change(connection, read_plan_file(self.plan).plan, self.plan.parent)
        assert found is not None
        assert found[0].after is not None
        Path(found[0].path).write_text(found[0].after)

    def files(self, *numbers: str) -> list[Path]:
        """Forward scripts of these numbers, or `rollback-NN`."""
        return [next(self.out.glob(f"{number}-*")) for number in numbers]


def test_the_whole_plan_by_psql_and_back(hand: str, compile_here: Compile) -> None:
    before = dump(hand)
    # Given the first scripts: those behind step 07 say that they are not to be run yet
    told = compile_here()
    assert (told["done"], told["compile_again_after"]) == ([], [path.stem for path in compile_here.files(*BEFORE)])
    assert "`replank compile` again before 08" in " ".join(compile_here.said.split())
    for early in compile_here.files("08", "rollback-08"):
        assert "compiled with the names from before step 07" in try_psql(hand, early).stderr
    assert dump(hand) == before
    # When what comes before has run, and all is compiled again into the same folder
    first = {path.name: path.read_text() for path in compile_here.out.iterdir()}
    for file in compile_here.files(*BEFORE):
        psql(hand, file)
    compile_here.change_schema_file()
    told = compile_here()
    assert told["done"] == [path.stem for path in compile_here.files(*BEFORE[:5], "06", "07")]
    assert told["compile_again_after"] == []
    left = [path for number in (*BEFORE, "06") for path in compile_here.files(number, f"rollback-{number}")]
    assert {path.name: path.read_text() for path in left} == {path.name: first[path.name] for path in left}
    # Then the rest runs, and everything is taken back by the files of the folder
    between = dump(hand)
    for file in compile_here.files("08", "09", "10"):
        psql(hand, file)
    assert (type_of(hand, '"order"', "user_id"), type_of(hand, '"user"', "short_name")) == ("uuid", "text")
    assert _odd(hand) == 0
    for file in compile_here.files("rollback-10", "rollback-09", "rollback-08"):
        psql(hand, file)
    assert dump(hand) == between
    for file in compile_here.files(*(f"rollback-{number}" for number in reversed(BEFORE))):
        psql(hand, file)
    assert dump(hand) == before


def _odd(url: str) -> int:
    """Orders without their user, and users whose new column is not what the plan says."""
    with psycopg.connect(url) as session:
        found = session.execute(
            'SELECT (SELECT count(*) FROM "order" o LEFT JOIN "user" u ON u.id = o.user_id WHERE u.id IS NULL)'
            " + (SELECT count(*) FROM \"user\" WHERE short_name IS DISTINCT FROM 'Use')"
        ).fetchone()
    assert found is not None
    return int(found[0])


def test_half_of_the_first_steps_are_found_too(hand: str, compile_here: Compile) -> None:
    compile_here()
    for file in compile_here.files("01", "02", "03"):
        psql(hand, file)
    told = compile_here()
    done, again = ([path.stem for path in compile_here.files(*numbers)] for numbers in (BEFORE[:3], BEFORE[3:]))
    assert (told["done"], told["compile_again_after"]) == (done, again)
    for file in compile_here.files(*BEFORE[3:]):
        psql(hand, file)
    compile_here()
    psql(hand, *compile_here.files("08"))
    assert type_of(hand, '"order"') == "uuid"


@pytest.mark.parametrize(
    ("undone", "refused"),
    [
        ('ALTER TABLE tag ALTER "rowId" DROP NOT NULL', "already has a column rowId"),
        ("DROP TRIGGER replank_audit_insert ON tag", "steps.audit_log: table public.User, public.Order does not exist"),
        ('DROP INDEX "Order_total_idx"', "table public.Order does not exist"),
    ],
)
def test_what_is_only_half_there_is_not_taken_for_done(
    hand: str, compile_here: Compile, undone: str, refused: str
) -> None:
    compile_here()
    for file in compile_here.files(*BEFORE):
        psql(hand, file)
    execute(hand, undone)
    with pytest.raises(WrongUse, match=refused) as told:
        compile_here()
    assert "have run by psql; " in str(told.value)
