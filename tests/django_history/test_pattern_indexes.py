"""Indexes for LIKE in the offline migration: a history makes them, and no uuid column may have them."""

import psycopg
import pytest
from support.oracles.journal_oracle import snapshot_catalogue
from support.runs.harness import Rebuild, table
from support.servers.shared import new_database

from demo.embedded import EmbeddedPostgres
from monitoring.catalogue_diff.changes import catalogue_changes
from producer.history.migration.migration import migration_statements
from replank.plan.plan import DatabasePlan, OptionsPlan, Plan
from sql.session.connection import connect

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

SCHEMA = """
CREATE TABLE shape (id varchar(36) PRIMARY KEY, alone text, twice text, named text NOT NULL, "Odd name" text,
  "user" text, pair text, kind text NOT NULL, n int NOT NULL);
CREATE INDEX id_like ON shape (id varchar_pattern_ops);
CREATE INDEX alone_like ON shape (alone text_pattern_ops DESC NULLS LAST) WITH (fillfactor = 70);
CREATE INDEX twice_like ON shape (twice text_pattern_ops);
CREATE INDEX twice_like_too ON shape (twice varchar_pattern_ops);
CREATE UNIQUE INDEX named_like ON shape (named text_pattern_ops);
CREATE INDEX odd_like ON shape ("Odd name" COLLATE "C" text_pattern_ops) WHERE n > 3;
CREATE INDEX user_like ON shape ("user" text_pattern_ops);
CREATE INDEX user_plain ON shape ("user");
CREATE INDEX pair_like ON shape (kind text_pattern_ops, pair text_pattern_ops) INCLUDE (n);
CREATE INDEX kind_like ON shape (kind text_pattern_ops);
ALTER TABLE shape REPLICA IDENTITY USING INDEX named_like;
ALTER TABLE shape CLUSTER ON alone_like;
COMMENT ON INDEX alone_like IS 'the only one';
"""
UUIDS = ("id", "alone", "twice", "named", "Odd name", "user", "pair")
PLANNED = table("shape", *UUIDS)
CONSENT = {"consent": ("pattern_indexes",)}


def offline(url: str) -> list[str]:
    with connect(url, name="test") as connection:
        plan = Plan(
            database=DatabasePlan(name=connection.info.dbname),
            options=OptionsPlan.model_validate(CONSENT),
            tables=(PLANNED.planned,),
        )
        return migration_statements(connection, plan, "public")


def test_the_migration_does_with_them_what_the_run_does(database: str, postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(database, autocommit=True) as app:
        app.execute(SCHEMA)
    before = offline(database)
    rebuild = Rebuild.begin(database, [PLANNED], CONSENT)
    rebuild.finish()
    unexplained = [c.name for c in catalogue_changes(rebuild.connection, rebuild.run) if not c.reason]
    rebuild.close()
    assert unexplained == []
    # The same script before the run and after it, and it makes what the run has made
    assert offline(database) == before
    with new_database(postgres, "patterns") as copy:
        with psycopg.connect(copy) as app:
            app.execute(SCHEMA)
            for statement in before:
                app.execute(statement.encode())
        assert snapshot_catalogue(copy, ["public"]) == snapshot_catalogue(database, ["public"])
