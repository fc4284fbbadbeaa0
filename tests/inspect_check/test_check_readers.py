"""Roles of `[access] readers` that are not there stop the run, so the check says it before."""

import pytest

from inspect_check.conftest import Database, only

pytestmark = pytest.mark.catalogue


def test_a_reader_that_does_not_exist_blocks(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY)", "DROP ROLE IF EXISTS shop_reader", "CREATE ROLE shop_reader")
    text = database.plan_text({"t": ["id"]})
    try:
        found = only(
            database.check_text(f'{text}\n[access]\nreaders = ["shop_reader", "shop_raeder", "zzz"]\n').blockers,
            "reader_missing",
        )
        assert found.details["roles"] == ["shop_raeder", "zzz"]
        assert "[access] readers: roles shop_raeder, zzz do not exist on this server" in found.message
        assert "Did you mean shop_reader instead of shop_raeder?" in found.hint
        assert "Create" in found.hint
        right = database.check_text(f'{text}\n[access]\nreaders = ["shop_reader"]\n')
        assert "reader_missing" not in {f.code for f in right.blockers}
    finally:
        database.run("DROP ROLE shop_reader")
