"""One of everything, converted, filled, partitioned and rebuilt in one run, while others write."""

from __future__ import annotations

import psycopg
import pytest
from equipment.oracle import diff_catalogue, foreign_keys_hold, snapshot_catalogue

from monitoring.catalogue_diff import catalogue_changes

from .harness import Rebuild, Url
from .oracle import differences, one, past, traces
from .torture import CACHES, CONVERTED, FILLED, SCHEMAS, THROUGH, WRITES, Writers, begin, build, until_ready

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue, pytest.mark.core]


@pytest.mark.usefixtures("roles")
def test_x(app: psycopg.Connection, database: Url) -> None:
    build(app)
    before = snapshot_catalogue(database, SCHEMAS)
    with Writers(database, WRITES, sessions=2, seed=1).writing() as writers:
        rebuild = begin(database)
        until_ready(rebuild)
    print(writers.done, writers.errors[:5])
    run(app, rebuild, database, before)

def run(app, rebuild, database, before):
    rebuild.finish()
    for (schema, name), columns in CONVERTED.items():
        if name != "summary":
            print(name, differences(app, past(name, schema), (schema, name), columns, without=FILLED.get((schema, name), set()))[:3])
    print(foreign_keys_hold(database))
    changes = catalogue_changes(rebuild.connection, rebuild.run)
    print("UNEXPLAINED")
    for c in changes:
        if not c.explained:
            print(c)
    print("EXPLAINED")
    for c in changes:
        if c.explained:
            print(c.what, c.relation, c.name, c.explained)
    print("SNAPSHOT")
    for line in diff_catalogue(before, snapshot_catalogue(database, SCHEMAS)):
        print(line)
    print(traces(app))
    assert 0
