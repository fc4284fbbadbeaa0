"""Indexes for LIKE over columns that become uuid: one blocker for all of them, which says the consent to give."""

import pytest

from inspect_check.conftest import Database, codes, only

pytestmark = pytest.mark.catalogue

TABLES = (
    "CREATE TABLE owner (id varchar(36) PRIMARY KEY, name varchar(20))",
    "CREATE INDEX owner_id_like ON owner (id varchar_pattern_ops)",
    "CREATE INDEX owner_name_like ON owner (name varchar_pattern_ops)",
    "CREATE TABLE item (id text PRIMARY KEY, owner_id varchar(36) REFERENCES owner)",
    "CREATE INDEX item_id_like ON item (id text_pattern_ops)",
    "CREATE INDEX item_owner_id_like ON item (owner_id varchar_pattern_ops)",
)
COLUMNS = {"owner": ["id"], "item": ["id", "owner_id"]}


def test_one_blocker_names_all_and_the_consent(database: Database) -> None:
    database.run(*TABLES)
    report = database.check(COLUMNS)
    assert codes(report.blockers) == ["pattern_indexes"]
    found = only(report.blockers, "pattern_indexes")
    assert "3 indexes" in found.message
    assert 'consent = ["pattern_indexes"] in [options]' in found.hint
    fates = {one["index"]: (one["table"], one["becomes"]) for one in found.details["indexes"]}
    assert fates == {
        "owner_id_like": ("public.owner", None),
        "item_id_like": ("public.item", None),
        "item_owner_id_like": ("public.item", "plain"),
    }


def test_with_consent_nothing_stands_in_the_way(database: Database) -> None:
    database.run(*TABLES)
    text = database.plan_text(COLUMNS) + '[options]\nconsent = ["pattern_indexes"]\n'
    report = database.check_text(text)
    assert report.blockers == ()
    found = only(report.warnings, "pattern_indexes")
    assert "2 are dropped with the swap" in found.message
    assert "1 becomes a plain index" in found.message
    assert report.hold_ms is not None, "all of the swap was tried"


def test_other_faults_are_named_beside_it(database: Database) -> None:
    database.run(*TABLES, "CREATE INDEX item_start ON item (substr(id, 1, 4))")
    report = database.check(COLUMNS)
    assert sorted(codes(report.blockers)) == ["pattern_indexes", "trial_failed"]


def test_tables_without_them_are_told_nothing(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY, name text)", "CREATE INDEX ON t (name text_pattern_ops)")
    report = database.check({"t": ["id"]})
    assert [f for f in (*report.blockers, *report.warnings) if f.code == "pattern_indexes"] == []
