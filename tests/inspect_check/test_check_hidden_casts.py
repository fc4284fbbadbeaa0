"""Definitions over varchar ids keep the server's casts to text, which no index serves over uuid."""

from __future__ import annotations

import pytest
from support.runs.attacks import Attack

from inspect_check.conftest import Database, codes

pytestmark = pytest.mark.catalogue


@pytest.mark.attack("C11", "views, policies, rules and predicates over varchar ids")
def test_each_definition_with_a_hidden_cast_is_named_with_its_index(database: Database, attack: Attack) -> None:
    # Given varchar ids that definitions compare, some served by an index and some not
    database.run(
        "CREATE TABLE users (id varchar(36) PRIMARY KEY, team varchar(36), name text)",
        "CREATE TABLE orders (id varchar(36) PRIMARY KEY, user_id varchar(36), note text)",
        "CREATE INDEX orders_user ON orders (user_id)",
        "CREATE INDEX of_one ON orders (note) WHERE user_id = '$ID'",
        "CREATE VIEW mine WITH (security_barrier) AS SELECT o.id, name FROM orders o JOIN users u ON u.id = o.user_id",
        "CREATE VIEW of_teams AS SELECT a.name FROM users a JOIN users b ON a.team = b.team",
        "CREATE MATERIALIZED VIEW kept AS SELECT u.id, o.note FROM orders o JOIN users u ON u.id = o.user_id",
        "CREATE VIEW harmless AS SELECT id, name FROM users",
        "CREATE VIEW worded AS SELECT id::text AS word FROM users",
        "CREATE FUNCTION my_id() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('app.id', true) $$",
        "CREATE POLICY own ON orders USING (user_id = my_id()) WITH CHECK (user_id = '$ID')",
        "CREATE POLICY none ON users USING (name <> '')",
        "CREATE RULE gone AS ON DELETE TO users DO ALSO DELETE FROM orders WHERE user_id = OLD.id",
        "CREATE FUNCTION orders_of(users) RETURNS bigint LANGUAGE sql"
        " BEGIN ATOMIC SELECT count(*) FROM orders o WHERE o.user_id = $1.id; END",
    )
    report = database.check({"users": ["id", "team"], "orders": ["id", "user_id"]})
    assert codes(report.blockers) == []
    found = {f.details["object"]: f for f in report.warnings if f.code == "text_cast_kept"}
    assert found.keys() == {
        "view public.mine",
        "view public.of_teams",
        "materialized view public.kept",
        "row security policy own of public.orders",
        "rule gone of public.users",
        "index of_one of public.orders",
        "function public.orders_of(public.users)",
    }
    # Then each is told with the index that serves it now, or that none does
    served = {name: f.details["indexes"] for name, f in found.items()}
    assert served["view public.mine"] == ["orders_user", "users_pkey"]
    assert served["view public.of_teams"] == []
    assert "no index supports it now either" in found["view public.of_teams"].message
    assert served["row security policy own of public.orders"] == ["orders_user"]
    assert "orders_user" in found["view public.mine"].message
    # And the statement that takes the casts away is ready, where there is one that works
    ready = {name: f.details["statement"] for name, f in found.items()}
    assert ready["materialized view public.kept"] is None
    assert ready["row security policy own of public.orders"] is None
    assert "my_id" in found["row security policy own of public.orders"].details["definition"]
    for name in ("view public.mine", "view public.of_teams", "rule gone of public.users"):
        assert ready[name] in found[name].hint
        assert "::text" not in ready[name]
    assert "security_barrier" in ready["view public.mine"]
    # After the cutover it runs as it stands
    database.run(
        "DROP MATERIALIZED VIEW kept",
        "DROP VIEW mine, of_teams, harmless, worded",
        "DROP POLICY own ON orders",
        "DROP RULE gone ON users",
        "DROP FUNCTION orders_of(users)",
        "DROP INDEX of_one",
        "ALTER TABLE users ALTER id TYPE uuid USING id::uuid, ALTER team TYPE uuid USING team::uuid",
        "ALTER TABLE orders ALTER id TYPE uuid USING id::uuid, ALTER user_id TYPE uuid USING user_id::uuid",
    )
    for name in ("view public.mine", "view public.of_teams", "rule gone of public.users"):
        database.run(ready[name])
    attack.record("named with the index and a statement that runs", tried=len(found))
