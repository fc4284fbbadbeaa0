"""Columns that may not be NULL and that no default fills: the application's own INSERTs would fail in them."""

import psycopg
import pytest
from pydantic import SecretStr

from inspect_check.conftest import Counting, Database
from producer.check.check import audit
from producer.planning.resolution import PlanFile
from replank.plan.plan import parse_plan
from replank.settings import Settings

pytestmark = pytest.mark.catalogue

PLAN = """
database = {{ name = "{name}" }}
[[tables]]
name = "x"
[[tables.fill]]
name = "a"
value = "live.b"
not_null = true
[[tables.fill]]
name = "written"
value = "live.b"
not_null = true
[[tables.add]]
name = "actor"
type = "text"
value = "'nobody'"
not_null = true
[[tables.add]]
name = "made_at"
type = "timestamptz"
default = "now()"
not_null = true
"""


def test_new_rows_would_fail_in_them(database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE x (id text PRIMARY KEY, a text, b text, written text NOT NULL)")
    text = PLAN.format(name=database.name)
    file = PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)
    report = audit(Settings(database_url=SecretStr(database.url)), file, workers=1, watch=Counting())
    assert report.blockers == ()
    warned = [f.column for f in report.warnings if f.code == "not_null_without_default"]
    assert warned == ["actor", "a"]


NAMED = """
database = {{ name = "{name}" }}
[[tables]]
name = "x"
columns = [{{ name = "id", to = "uuid", on_invalid = "name_based" }}]
[[tables]]
name = "y"
columns = [{{ name = "x_id", to = "uuid", on_invalid = "name_based" }}]
"""


def test_clients_must_stop_making_other_texts(database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE x (id text PRIMARY KEY)")
        connection.execute("CREATE TABLE y (id int PRIMARY KEY, x_id text REFERENCES x)")
        connection.execute("INSERT INTO x VALUES ('ckx1')")
    text = NAMED.format(name=database.name)
    file = PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)
    report = audit(Settings(database_url=SecretStr(database.url)), file, workers=1, watch=Counting())
    assert report.blockers == ()
    warned = [(f.table, f.column) for f in report.warnings if f.code == "new_ids_must_be_uuids"]
    assert warned == [("public.x", "id")]


FATES = """
database = {{ name = "{name}" }}
[[tables]]
name = "x"
columns = [
  {{ name = "id", to = "uuid", on_invalid = "quarantine" }},
  {{ name = "token", to = "uuid", on_invalid = "null" }},
  {{ name = "strict", to = "uuid" }},
]
[[tables]]
name = "y"
columns = [{{ name = "x_id", to = "uuid", on_invalid = "null" }}]
"""


def test_clients_must_stop_sending_what_becomes_null(database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE x (id text PRIMARY KEY, token text, strict text)")
        connection.execute("CREATE TABLE y (id int PRIMARY KEY, x_id text REFERENCES x)")
    text = FATES.format(name=database.name)
    file = PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)
    report = audit(Settings(database_url=SecretStr(database.url)), file, workers=1, watch=Counting())
    assert report.blockers == ()
    warned = {(f.table, f.column): f.message for f in report.warnings if f.code == "new_ids_must_be_uuids"}
    words = "existing texts that are not a uuid become NULL; afterwards an INSERT or UPDATE with such a text fails"
    assert warned == {("public.x", "token"): words}
