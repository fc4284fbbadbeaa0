"""`replank catalogue-diff`: what the plan asked for is explained, anything else is not."""

from collections.abc import Callable

import psycopg
import pytest

from monitoring.catalogue_diff import CatalogueChange, catalogue_changes

from .harness import Rebuild, table

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

Begin = Callable[..., Rebuild]


def _changes(rebuild: Rebuild) -> dict[str, CatalogueChange]:
    return {change.to_json()["object"]: change for change in catalogue_changes(rebuild.connection, rebuild.run)}


@pytest.fixture
def rebuild(app: psycopg.Connection, begin: Begin) -> Rebuild:
    app.execute(
        'CREATE TABLE "Par ent" (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, n serial, note varchar(9))'
    )
    app.execute(
        'CREATE TABLE child (id int PRIMARY KEY, parent_id varchar(36) NOT NULL REFERENCES "Par ent", made date)'
    )
    app.execute("CREATE INDEX child_parent ON child (parent_id) WHERE id > 3")
    app.execute("COMMENT ON TABLE child IS 'a child'")
    return begin(
        table("Par ent", "id"),
        table(
            "child",
            "parent_id",
            add=[{"name": "token", "type": "uuid", "default": "gen_random_uuid()", "unique": True, "not_null": True}],
            fill=[{"name": "made", "value": "'2020-01-01'", "not_null": True, "on_update": "now()::date"}],
        ),
    )


def test_nothing_has_changed_while_the_run_is_under_way(rebuild: Rebuild) -> None:
    assert _changes(rebuild) == {}
    rebuild.ready()
    assert _changes(rebuild) == {}


def test_every_change_of_the_plan_is_explained(rebuild: Rebuild) -> None:
    rebuild.finish()
    told = {name: change.explained for name, change in _changes(rebuild).items()}
    assert told == {
        'column public."Par ent" id': "the plan makes it uuid",
        "column public.child parent_id": "the plan makes it uuid",
        "column public.child made": "the plan fills it",
        "column public.child token": "the plan adds it",
        "constraint public.child child_token_key": "the plan asks for a column that is unique or not null",
        "index public.child child_token_key": "the plan asks for a column that is unique or not null",
        "trigger public.child child_on_update": "the plan asks for what every update puts there",
    } | {name: words for name, words in told.items() if "not_null" in name}
    assert all(told.values())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DROP INDEX child_parent", "index public.child child_parent"),
        ("COMMENT ON TABLE child IS 'another'", "table public.child"),
        ("GRANT SELECT ON child TO PUBLIC", "privileges public.child"),
        ("ALTER TABLE child ALTER made SET STATISTICS 7", "column public.child made"),
        ("ALTER TABLE child DROP COLUMN made", "column public.child made"),
        ('ALTER SEQUENCE "Par ent_n_seq" INCREMENT 5', 'sequence public."Par ent" Par ent_n_seq'),
        ("CREATE POLICY p ON child USING (true)", "policy public.child p"),
        ("ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey", "constraint public.child child_parent_id_fkey"),
    ],
)
def test_what_no_plan_asked_for_is_not(app: psycopg.Connection, rebuild: Rebuild, change: str, found: str) -> None:
    rebuild.finish()
    app.execute(change.encode())
    unexplained = [name for name, told in _changes(rebuild).items() if not told.explained]
    assert unexplained == [found]
