"""Sessions older than the swap, and clients that know nothing of it. The numbers are those of the list of traps."""

from collections.abc import Callable, Iterator
from typing import LiteralString

import psycopg
import pytest
from psycopg import errors
from support.oracles.oracle import one
from support.runs.harness import Rebuild, Url, table

from producer.check.check import examine
from producer.planning.prepared_run import prepare_run
from producer.planning.resolution import PlanFile
from replank.plan.plan import DatabasePlan, OptionsPlan, Plan
from sql.session.connection import connect
from sql.session.statements import execute
from sql.values.text_casts import create_text_casts, remove_text_casts, text_casts

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

DOCUMENTS = """
CREATE TABLE documents (id text PRIMARY KEY, n int UNIQUE, note text);
INSERT INTO documents SELECT gen_random_uuid()::text, g, 'note ' || g FROM generate_series(1, 3000) AS g;
CREATE VIEW shown AS SELECT id, n FROM documents;
CREATE FUNCTION whole(wanted int) RETURNS text LANGUAGE plpgsql AS
  $$ DECLARE d documents; BEGIN SELECT * INTO d FROM documents WHERE n = wanted;
     RETURN pg_typeof(d.id) || ' ' || d.id; END $$;
CREATE FUNCTION typed(wanted int) RETURNS text LANGUAGE plpgsql AS
  $$ DECLARE i documents.id%TYPE; BEGIN SELECT id INTO i FROM documents WHERE n = wanted;
     RETURN pg_typeof(i) || ' ' || i; END $$;
CREATE FUNCTION looped(wanted int) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
  $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM shown WHERE n = wanted LOOP
     RETURN pg_typeof(r.id) || ' ' || r.id; END LOOP; END $$;
CREATE FUNCTION returned(wanted int) RETURNS SETOF documents LANGUAGE plpgsql AS
  $$ BEGIN RETURN QUERY SELECT * FROM documents WHERE n = wanted; END $$;
CREATE FUNCTION calling(wanted int) RETURNS text LANGUAGE plpgsql AS
  $$ DECLARE r record; BEGIN SELECT * INTO r FROM returned(wanted); RETURN pg_typeof(r.id) || ' ' || r.id; END $$;
CREATE PROCEDURE tidy(INOUT n int) LANGUAGE plpgsql AS
  $$ DECLARE d documents; BEGIN SELECT * INTO d FROM documents WHERE documents.n = tidy.n; n := d.n; END $$;
CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS
  $$ DECLARE d documents; BEGIN d := NEW; d.note := pg_typeof(d.id) || ' ' || d.id; RETURN d; END $$;
CREATE TRIGGER on_change BEFORE INSERT ON documents FOR EACH ROW EXECUTE FUNCTION on_change()
"""
FUNCTIONS = ("whole", "typed", "looped", "calling")


@pytest.fixture
def documents(app: psycopg.Connection) -> None:
    app.execute(DOCUMENTS.encode())


@pytest.fixture
def old(database: Url, documents: None) -> Iterator[psycopg.Connection]:  # noqa: ARG001
    """A session from before the swap that stays open."""
    with psycopg.connect(database, autocommit=True, application_name="the old one") as connection:
        yield connection


def _called(connection: psycopg.Connection) -> dict[str, str]:
    return {name: str(one(connection, f"SELECT {name}(7)")).split()[0] for name in FUNCTIONS}


def test_gotcha_33_functions_in_old_sessions_know_the_new_types(old: psycopg.Connection, begin: Begin) -> None:
    """They were compiled with the old ones; without more they would fail for as long as the session lives."""
    assert set(_called(old).values()) == {"text"}
    old.execute("CALL tidy(3)")
    old.execute("INSERT INTO documents VALUES ('0eebc99a-9c0b-4ef8-bb6d-6bb9bd380a11', -1)")
    begin(table("documents", "id")).finish()
    for _ in range(7):
        assert set(_called(old).values()) == {"uuid"}
    assert old.execute("CALL tidy(3)").fetchone() == (3,)
    added = "INSERT INTO documents VALUES ('0eebc99a-9c0b-4ef8-bb6d-6bb9bd380a12', -2) RETURNING note"
    assert one(old, added) == "uuid 0eebc99a-9c0b-4ef8-bb6d-6bb9bd380a12"
    assert one(old, "SELECT prosecdef FROM pg_proc WHERE proname = 'looped'") is True
    assert one(old, "SELECT count(*) FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace") == 1


def test_gotcha_33_prepared_statements_that_return_a_changed_column_fail_and_the_operator_is_told(
    app: psycopg.Connection, old: psycopg.Connection, begin: Begin
) -> None:
    old.execute("PREPARE returns_id AS SELECT id, n FROM documents WHERE n = 5")
    old.execute("PREPARE returns_n AS SELECT n FROM documents WHERE n = 5")
    old.execute("PREPARE changes (int) AS UPDATE documents SET note = 'x' WHERE n = $1")
    for name in ("returns_id", "returns_n", "changes (5)"):
        old.execute(f"EXECUTE {name}".encode())
    rebuild = begin(table("documents", "id"))
    rebuild.finish()
    with pytest.raises(errors.FeatureNotSupported, match="cached plan must not change result type"):
        old.execute("EXECUTE returns_id")
    assert old.execute("EXECUTE returns_n").fetchall() == [(5,)]
    old.execute("EXECUTE changes (6)")
    assert one(app, "SELECT note FROM documents WHERE n = 6") == "x"
    told = (
        "SELECT message FROM replank.event"
        " WHERE kind = 'cutover' AND message LIKE 'sessions that began before the swap%'"
    )
    assert "the old one (1)" in str(one(app, told))
    assert "Restart these connections" in str(one(app, told))
    old.execute("DEALLOCATE ALL")
    old.execute("PREPARE returns_id AS SELECT id, n FROM documents WHERE n = 5")
    assert (
        old.execute("EXECUTE returns_id").fetchall()
        == app.execute("SELECT id, n FROM documents WHERE n = 5").fetchall()
    )


def test_gotcha_34_typed_text_parameters_find_their_rows_by_index_if_the_plan_says_so(
    app: psycopg.Connection, old: psycopg.Connection, begin: Begin
) -> None:
    id_ = str(one(app, "SELECT id FROM documents WHERE n = 77"))
    client = psycopg.ClientCursor(old)
    old.execute("PREPARE by_id (text) AS SELECT n FROM documents WHERE id = $1")
    assert old.execute("EXECUTE by_id ('%s')" % id_).fetchone() == (77,)  # noqa: UP031
    rebuild = begin(table("documents", "id"), text_casts=True)
    rebuild.ready()
    assert one(app, "SELECT count(*) FROM pg_cast WHERE casttarget = 'uuid'::regtype") == 0
    rebuild.finish()
    query: LiteralString = "SELECT n FROM documents WHERE id = "
    for typed in ("%s::text", "%s::varchar"):
        assert client.execute(query + typed, [id_]).fetchone() == (77,)
        plan = client.execute("EXPLAIN " + query + typed, [id_]).fetchall()
        assert "Index Scan using documents_pkey" in str(plan)
    many = client.execute("SELECT n FROM documents WHERE id = ANY (%s::text[])", [[id_]])
    assert many.fetchall() == [(77,)]
    assert old.execute("EXECUTE by_id ('%s')" % id_).fetchone() == (77,)  # noqa: UP031
    changed = client.execute("UPDATE documents SET note = 'typed' WHERE id = %s::text RETURNING n", [id_])
    assert changed.fetchone() == (77,)
    client.execute("INSERT INTO documents VALUES (%s::varchar, -5)", ["0eebc99a-9c0b-4ef8-bb6d-6bb9bd380a19"])
    assert one(app, "SELECT count(*) FROM documents WHERE note LIKE 'note 1%'") != 0
    with connect(rebuild.settings.database(), name="finish") as connection:
        assert remove_text_casts(connection) == ["text", "varchar"]
    with pytest.raises(errors.UndefinedFunction):
        client.execute("SELECT n FROM documents WHERE id = %s::text", [id_])
    assert client.execute("SELECT n FROM documents WHERE id = %s", [id_]).fetchone() == (77,)


@pytest.mark.usefixtures("documents")
def test_gotcha_34_casts_of_others_stay_and_without_the_plans_word_there_are_none(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    begin(table("documents", "id")).finish()
    assert one(app, "SELECT count(*) FROM pg_cast WHERE casttarget = 'uuid'::regtype") == 0
    app.execute("CREATE CAST (varchar AS uuid) WITH INOUT AS IMPLICIT")
    with connect(database, name="casts") as connection:
        execute(connection, create_text_casts(connection))
        assert text_casts(connection) == ["text"]
        assert list(create_text_casts(connection)) == []
        assert remove_text_casts(connection) == ["text"]
        assert remove_text_casts(connection) == []
    assert one(app, "SELECT array_agg(castsource::regtype::text) FROM pg_cast WHERE casttarget = 'uuid'::regtype") == [
        "character varying"
    ]


@pytest.mark.usefixtures("documents")
@pytest.mark.parametrize("superuser", [True, False])
def test_gotcha_34_check_says_that_casts_need_a_superuser(
    app: psycopg.Connection, database: Url, superuser: bool
) -> None:
    name = database.rsplit("/", 1)[1].split("?")[0]
    plan = Plan(
        database=DatabasePlan(name=name),
        options=OptionsPlan(text_casts=True),
        tables=(table("documents", "id").planned,),
    )
    file = PlanFile(plan=plan, source="plan.toml", text="")
    app.execute("CREATE ROLE modest")
    try:
        with connect(database, name="check") as connection:
            if not superuser:
                connection.execute("SET ROLE modest")
            found = {f.code: f.blocks for f in examine(connection, prepare_run(connection, file)).findings}
    finally:
        app.execute("DROP ROLE modest")
    assert ("text_casts" in found) is superuser
    assert found.get("text_casts_not_allowed", False) is not superuser
