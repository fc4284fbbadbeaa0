"""What the check proposes is true: the live table takes it, and the new one can be built with it."""

from __future__ import annotations

import pytest

from inspect_check.conftest import Database, codes
from producer.check.findings import Finding

pytestmark = pytest.mark.catalogue

KINDS = ("text", "varchar(36)", "char(36)")


def _failed(database: Database, columns: list[str]) -> dict[str, Finding]:
    report = database.check({"t": columns})
    return {str(f.details["object"]): f for f in report.blockers if f.code == "trial_failed"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_hints_of_the_trial_hold(database: Database, kind: str) -> None:
    # Given definitions over text, of each kind that has a hint of its own, all failing at once
    database.run("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    create = f"CREATE TABLE t (id {kind} PRIMARY KEY, n int)"
    database.run(create)  # type: ignore[arg-type]
    database.run(
        "INSERT INTO t VALUES ('$ID')",
        "ALTER TABLE t ADD short text GENERATED ALWAYS AS (left(id, 8)) STORED",
        "ALTER TABLE t ADD CONSTRAINT dashes CHECK (id LIKE '%-%')",
        "ALTER TABLE t ADD CONSTRAINT long CHECK (length(id) > 3)",
        "CREATE INDEX t_lower ON t (lower(id))",
        "CREATE INDEX t_pattern ON t (id text_pattern_ops)"
        if kind == "text"
        else "CREATE INDEX t_pattern ON t (id varchar_pattern_ops)"
        if kind.startswith("varchar")
        else "CREATE INDEX t_pattern ON t (id bpchar_pattern_ops)",
        "CREATE TRIGGER tells AFTER UPDATE ON t FOR EACH ROW WHEN (NEW.id LIKE '0%') EXECUTE FUNCTION f()",
    )
    failed = _failed(database, ["id"])
    # Then each that cannot be is named, in one look, and none that can: varchar keeps its casts to text
    generated = "generated column short of public.t"
    checks = {"constraint dashes of public.t", "constraint long of public.t"}
    assert failed.keys() == {generated} | (set() if kind.startswith("varchar") else checks)
    assert "left" in failed[generated].message
    assert "DROP COLUMN short" in failed[generated].hint
    # When these are written as their hints say
    assert all("id::uuid::text" in finding.hint for finding in failed.values())
    database.run(
        "ALTER TABLE t DROP COLUMN short",
        "ALTER TABLE t DROP CONSTRAINT dashes, ADD CONSTRAINT dashes CHECK (id::uuid::text LIKE '%-%')",
        "ALTER TABLE t DROP CONSTRAINT long, ADD CONSTRAINT long CHECK (length(concat(id)) > 3)",
    )
    failed = _failed(database, ["id"])
    # (An index for LIKE has a finding and a consent of its own.)
    trigger = "trigger tells of public.t"
    assert failed.keys() == {"text": {"index t_lower"}, "char(36)": {trigger}}.get(kind, set())
    if kind == "text":
        assert "concat" not in failed["index t_lower"].hint  # It is not immutable
        assert "id::uuid::text" in failed["index t_lower"].hint
    database.run(
        "DROP INDEX t_lower, t_pattern",
        "CREATE INDEX t_lower ON t (lower(id::uuid::text))",
        "CREATE INDEX t_pattern ON t ((id::uuid::text) text_pattern_ops)",
    )
    failed = _failed(database, ["id"])
    assert failed.keys() == (set() if kind.startswith("varchar") else {trigger})
    database.run(
        "DROP TRIGGER tells ON t",
        "CREATE TRIGGER tells AFTER UPDATE ON t FOR EACH ROW WHEN (concat(NEW.id) LIKE '0%') EXECUTE FUNCTION f()",
    )
    # Then nothing is in the way
    assert codes(database.check({"t": ["id"]}).blockers) == []
