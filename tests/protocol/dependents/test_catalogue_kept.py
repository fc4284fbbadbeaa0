"""What the catalogue says is as before but for the types. The numbers are those of the list of traps."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL, Identifier
from support.oracles.journal_oracle import diff_catalogue, foreign_keys_hold, snapshot_catalogue
from support.oracles.oracle import differences, live, one, past
from support.runs.harness import Rebuild, Url, table

from replank.values.states import TableState

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue, pytest.mark.core]

Begin = Callable[..., Rebuild]


def _unexplained(before: dict[str, str], after: dict[str, str], converted: dict[str, str]) -> list[object]:
    """All differences but those that the conversion of `converted` (column → type before) explains."""
    left: list[object] = []
    for subject, was, became in diff_catalogue(before, after):
        type_before = converted.get(subject.removeprefix("column "))
        if type_before is not None and was is not None and became is not None:
            was = was.replace(type_before, "uuid", 1).replace('; collation "default"', "")
            was = was.replace("storage x", "storage p").replace("(gen_random_uuid())::text", "gen_random_uuid()")
            if was == became:
                continue
        left.append((subject, was, became))
    return left


CONSTRAINTS = """
CREATE TABLE parent (id text PRIMARY KEY, tenant int NOT NULL, code text, UNIQUE (tenant, id),
  CONSTRAINT named_not_null CHECK (tenant > 0));
ALTER TABLE parent ADD CONSTRAINT my_code_is_there NOT NULL code; -- 18
CREATE TABLE child (
  id text DEFAULT gen_random_uuid()::text CONSTRAINT child_id_here NOT NULL PRIMARY KEY,
  parent_id text NOT NULL, other_id text, tenant int, up_id text, self_id text,
  at tstzrange DEFAULT 'empty', n numeric(12, 2) CONSTRAINT n_is_there NOT NULL DEFAULT 1.5,
  twice numeric GENERATED ALWAYS AS (n * 2) STORED,
  CONSTRAINT fk_plain FOREIGN KEY (parent_id) REFERENCES parent ON UPDATE CASCADE,
  CONSTRAINT fk_deferred FOREIGN KEY (other_id) REFERENCES parent ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT fk_full FOREIGN KEY (tenant, up_id) REFERENCES parent (tenant, id) MATCH FULL DEFERRABLE,
  CONSTRAINT fk_set_null_one FOREIGN KEY (tenant, other_id) REFERENCES parent (tenant, id)
    ON DELETE SET NULL (other_id),
  CONSTRAINT fk_self FOREIGN KEY (self_id) REFERENCES child ON DELETE CASCADE,
  CONSTRAINT u_deferred UNIQUE (parent_id, n) DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT u_deferrable UNIQUE (id, at) DEFERRABLE,
  CONSTRAINT u_nulls UNIQUE NULLS NOT DISTINCT (up_id, tenant, n),
  CONSTRAINT u_include UNIQUE (n, id) INCLUDE (tenant),
  CONSTRAINT x_at EXCLUDE USING gist (at WITH &&) WHERE (tenant > 5) DEFERRABLE,
  CONSTRAINT c_kept CHECK (n < 1e9), CONSTRAINT c_no_inherit CHECK (tenant < 1000000) NO INHERIT);
"""

INDEXES = """
CREATE INDEX i_desc ON child (n DESC NULLS LAST, parent_id);
CREATE INDEX i_partial ON child (up_id) WHERE tenant IS NOT NULL AND n > 3;
CREATE INDEX i_expression ON child ((tenant % 10), abs(n));
CREATE INDEX i_include ON child (tenant) INCLUDE (n, parent_id);
CREATE INDEX i_pattern ON parent (code text_pattern_ops);
CREATE INDEX i_collation ON parent (code COLLATE "C" DESC);
CREATE INDEX i_hash ON child USING hash (parent_id) WITH (fillfactor = 50);
CREATE INDEX i_brin ON child USING brin (n) WITH (pages_per_range = 16);
CREATE INDEX i_gin ON child USING gin ((ARRAY[tenant]));
CREATE UNIQUE INDEX i_unique_no_constraint ON child (tenant, n) NULLS NOT DISTINCT WHERE tenant > 7;
ALTER INDEX i_expression ALTER COLUMN 1 SET STATISTICS 77;
COMMENT ON INDEX i_desc IS 'it''s "ordered" 100 %';
COMMENT ON CONSTRAINT u_nulls ON child IS 'of nulls';
COMMENT ON CONSTRAINT child_pkey ON child IS 'the key';
COMMENT ON CONSTRAINT fk_full ON child IS 'full';
COMMENT ON CONSTRAINT x_at ON child IS 'excludes';
COMMENT ON CONSTRAINT c_kept ON child IS 'checks';
COMMENT ON CONSTRAINT n_is_there ON child IS 'there'; -- 18
"""

CHILD_ROWS = """
INSERT INTO parent SELECT gen_random_uuid()::text, g, 'c' || g FROM generate_series(1, 50) AS g;
INSERT INTO child (parent_id, other_id, tenant, up_id, n)
  SELECT id, id, tenant, id, tenant + 0.5 FROM parent;
UPDATE child SET self_id = (SELECT id FROM child WHERE n = 1.5) WHERE n < 20;
"""

CONVERTED = {f"public.child.{name}": "text" for name in ("id", "parent_id", "other_id", "up_id", "self_id")} | {
    "public.parent.id": "text"
}


def _run(app: psycopg.Connection, *scripts: str) -> None:
    for script in scripts:
        app.execute(_for_server(app, script).encode())


def _for_server(app: psycopg.Connection, script: str) -> str:
    """Without the lines that only version 18 understands, where the server is older."""
    lines = script.splitlines(keepends=True)
    return "".join(line for line in lines if app.info.server_version >= 180_000 or not line.endswith("-- 18\n"))


def test_gotcha_26_28_30_constraints_and_indexes_are_as_before(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """DEFERRABLE, MATCH FULL, ON DELETE SET NULL (column), INCLUDE, operator class, collation, predicate,
    expression, NULLS NOT DISTINCT, exclusion, NOT NULL by name: read from the server, given back to it."""
    _run(app, CONSTRAINTS, INDEXES, CHILD_ROWS)
    app.execute("CREATE TABLE outside (id int PRIMARY KEY, n numeric, id_of_child int)")
    app.execute("ALTER TABLE child ADD COLUMN number int GENERATED ALWAYS AS IDENTITY UNIQUE")
    app.execute("ALTER TABLE outside ADD CONSTRAINT from_outside FOREIGN KEY (id_of_child) REFERENCES child (number)")
    app.execute("ALTER TABLE child ADD COLUMN outside_id int CONSTRAINT to_outside REFERENCES outside")
    before = snapshot_catalogue(database, ["public"])
    rebuild = begin(table("parent", "id"), table("child", "id", "parent_id", "other_id", "up_id", "self_id"))
    rebuild.finish()
    assert _unexplained(before, snapshot_catalogue(database, ["public"]), CONVERTED) == []
    assert foreign_keys_hold(database) == []
    assert differences(app, past("parent"), live("parent"), {"id"}) == []
    names = {"id", "parent_id", "other_id", "up_id", "self_id"}
    assert differences(app, past("child"), live("child"), names) == []
    held = "SELECT count(*) FROM pg_constraint WHERE conrelid = %s::regclass AND confrelid = %s::regclass"
    assert one(app, held, "replank_past.child", "outside") == 0


def test_gotcha_26_foreign_keys_come_back_not_valid_and_end_as_they_were(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """Right after the swap none has been read through; in the end the one that was NOT VALID still is."""
    _run(app, "CREATE TABLE p (id text PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, a text, b text);")
    app.execute("INSERT INTO p SELECT gen_random_uuid()::text FROM generate_series(1, 9)")
    app.execute("INSERT INTO c SELECT row_number() OVER (), id, id FROM p")
    app.execute("INSERT INTO c VALUES (100, NULL, gen_random_uuid()::text)")
    app.execute("ALTER TABLE c ADD CONSTRAINT strong FOREIGN KEY (a) REFERENCES p")
    app.execute("ALTER TABLE c ADD CONSTRAINT weak FOREIGN KEY (b) REFERENCES p NOT VALID")
    before = snapshot_catalogue(database, ["public"])
    rebuild = begin(table("p", "id"), table("c", "a", "b"))
    rebuild.ready()
    rebuild.swap()
    flags = "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f' AND conrelid = 'c'::regclass"
    assert sorted(app.execute(flags.encode()).fetchall()) == [("strong", False), ("weak", False)]
    with pytest.raises(errors.ForeignKeyViolation):
        app.execute("INSERT INTO c VALUES (101, gen_random_uuid(), NULL)")
    with pytest.raises(errors.ForeignKeyViolation):
        app.execute("INSERT INTO c VALUES (101, NULL, gen_random_uuid())")
    rebuild.finish()
    assert sorted(app.execute(flags.encode()).fetchall()) == [("strong", True), ("weak", False)]
    converted = {"public.p.id": "text", "public.c.a": "text", "public.c.b": "text"}
    assert _unexplained(before, snapshot_catalogue(database, ["public"]), converted) == []


def test_gotcha_26_validation_lets_writers_and_readers_through(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    """SHARE UPDATE EXCLUSIVE and ROW SHARE: an open writer on both tables does not hold it up."""
    _run(app, "CREATE TABLE p (id text PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, a text REFERENCES p);")
    app.execute("INSERT INTO p SELECT gen_random_uuid()::text FROM generate_series(1, 9)")
    app.execute("INSERT INTO c SELECT row_number() OVER (), id FROM p")
    rebuild = begin(table("p", "id"), table("c", "a"))
    rebuild.ready()
    rebuild.swap()
    other.execute("INSERT INTO p VALUES (gen_random_uuid())")
    other.execute("UPDATE c SET a = NULL WHERE id = 1")
    rebuild.until(TableState.VALIDATING)
    rebuild.work("validate")
    assert one(app, "SELECT bool_and(convalidated) FROM pg_constraint WHERE contype = 'f'")
    other.commit()
    rebuild.finish()


NAMES = {
    "camelCase": ("OrderItem", "orderId", "Order_Item_orderId_fkey"),
    "quoted": ('a "quoted" name', 'col"umn', 'in"dex'),
    "percent": ("100% %s %(x)s", "50%", "%%"),
    "reserved": ("select", "user", "table"),
    "apostrophe": ("it's", "what's", "o'clock"),
    "63 bytes": ("t" * 63, "c" * 63, "i" * 63),
    "umlauts": ("ü" * 31, "größe", "schlüssel"),
    "braces": ("{}", "{name}", "{0}"),
    "spaces": ("a b", " ", "."),
}


def test_gotcha_31_every_name_that_postgres_takes(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    """Tables, columns, constraints, indexes, triggers, sequences and a schema; constraint names are only cut."""
    schema = 'My "Schema" 100%'
    app.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
    app.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
    planned, converted = [], {}
    for where in ("public", schema):
        for name, column, index in NAMES.values():
            for statement in NAMED:
                app.execute(SQL(statement).format(t=Identifier(where, name), c=Identifier(column), i=Identifier(index)))
            planned.append(table(name, column, "Up", schema=where))
            for converted_column in (column, "Up"):
                found = one(
                    app, "SELECT format('%%I.%%I.%%I', %s::text, %s::text, %s::text)", where, name, converted_column
                )
                converted[str(found)] = "text"
    before = snapshot_catalogue(database, ["public", schema])
    begin(*planned).finish()
    assert _unexplained(before, snapshot_catalogue(database, ["public", schema]), converted) == []
    for each in planned:
        assert differences(app, past(each.name, each.schema), live(each.name, each.schema), set(each.columns)) == []


NAMED = (
    "CREATE TABLE {t} ({c} text DEFAULT gen_random_uuid()::text PRIMARY KEY, {i} serial,"
    ' "Number" int GENERATED BY DEFAULT AS IDENTITY, "Up" text REFERENCES {t}, CHECK ({i} > 0), UNIQUE ({c}, {i}))',
    "CREATE INDEX {i} ON {t} ({i}, {c}) WHERE {i} > 5",
    "CREATE INDEX ON {t} ((abs({i})))",
    "CREATE TRIGGER {i} BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION f()",
    "COMMENT ON COLUMN {t}.{c} IS 'it''s 100% \"right\" {{}} %s'",
    "INSERT INTO {t} SELECT FROM generate_series(1, 9)",
    'UPDATE {t} SET "Up" = {c}',
)


DRESSED = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE watched (id int PRIMARY KEY);
CREATE TABLE t (id text CONSTRAINT t_key PRIMARY KEY, serial_no serial, big bigserial UNIQUE,
  always int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5 MINVALUE 10 MAXVALUE 100000 CACHE 3 CYCLE),
  by_default bigint GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME odd_sequence_name),
  small smallint GENERATED ALWAYS AS IDENTITY (INCREMENT -1),
  note text COLLATE "C" DEFAULT 'none', doc jsonb,
  virtual int GENERATED ALWAYS AS (serial_no + 1) VIRTUAL, -- 18
  stored int GENERATED ALWAYS AS (serial_no + 2) STORED)
  WITH (fillfactor = 77, autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_threshold = 99);
CREATE SEQUENCE lone_sequence OWNED BY t.note;
ALTER TABLE t ALTER COLUMN note SET STATISTICS 333, ALTER COLUMN doc SET STORAGE EXTERNAL,
  ALTER COLUMN doc SET COMPRESSION pglz, ALTER COLUMN serial_no SET (n_distinct = -0.5);
INSERT INTO t (id, note) SELECT gen_random_uuid()::text, 'row ' || g FROM generate_series(1, 40) AS g;
ALTER TABLE t ADD CONSTRAINT late CHECK (serial_no > 20) NOT VALID;
COMMENT ON CONSTRAINT late ON t IS 'old rows may break it';
CREATE UNIQUE INDEX t_identity ON t (serial_no);
CLUSTER t USING t_identity;
ALTER TABLE t REPLICA IDENTITY USING INDEX t_identity;
CREATE TRIGGER plain BEFORE INSERT OR UPDATE OF note ON t FOR EACH ROW WHEN (NEW.note <> 'x')
  EXECUTE FUNCTION f('a', 'it''s');
CREATE TRIGGER off AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE TRIGGER on_replica AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION f();
CREATE TRIGGER always_on AFTER UPDATE ON t REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT
  EXECUTE FUNCTION f();
CREATE TRIGGER on_truncate BEFORE TRUNCATE ON t EXECUTE FUNCTION f();
CREATE CONSTRAINT TRIGGER "Constraint" AFTER INSERT OR UPDATE ON t FROM watched DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t DISABLE TRIGGER off;
ALTER TABLE t ENABLE REPLICA TRIGGER on_replica;
ALTER TABLE t ENABLE ALWAYS TRIGGER always_on;
COMMENT ON TRIGGER off ON t IS 'it''s off';
COMMENT ON TABLE t IS 'a table''s "comment" 100 %s';
COMMENT ON COLUMN t.id IS 'the key';
GRANT SELECT ON t TO reader WITH GRANT OPTION;
GRANT INSERT (id, note), UPDATE (note) ON t TO clerk;
GRANT REFERENCES (id) ON t TO PUBLIC;
GRANT USAGE ON SEQUENCE t_serial_no_seq TO clerk;
GRANT USAGE, SELECT ON SEQUENCE t_always_seq TO clerk WITH GRANT OPTION;
COMMENT ON SEQUENCE t_always_seq IS 'an identity''s 100 %';
COMMENT ON SEQUENCE t_serial_no_seq IS 'a serial''s';
GRANT CREATE ON SCHEMA public TO "the Owner";
ALTER TABLE t OWNER TO "the Owner";
CREATE TABLE full_identity (id text PRIMARY KEY, n int);
ALTER TABLE full_identity REPLICA IDENTITY FULL;
REVOKE ALL ON full_identity FROM CURRENT_USER;
CREATE TABLE no_identity (id text PRIMARY KEY, n int) WITH (autovacuum_enabled = false);
ALTER TABLE no_identity REPLICA IDENTITY NOTHING;
SELECT nextval('t_always_seq'), nextval('odd_sequence_name'), nextval('lone_sequence');
"""


@pytest.mark.usefixtures("roles")
def test_gotcha_32_dress_triggers_sequences_grants_and_marks_are_as_before(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    for statement in _for_server(app, DRESSED).split(";\n"):
        app.execute(statement.encode())
    before = snapshot_catalogue(database, ["public"])
    begin(table("t", "id"), table("full_identity", "id"), table("no_identity", "id")).finish()
    after = snapshot_catalogue(database, ["public"])
    converted = {f"public.{name}.id": "text" for name in ("t", "full_identity", "no_identity")}
    assert _unexplained(before, after, converted) == []
    assert differences(app, past("t"), live("t"), {"id"}) == []
    lasts = app.execute("SELECT max(serial_no), max(big), max(always), max(by_default) FROM t").fetchone()
    found = app.execute(
        "INSERT INTO t (id) VALUES (gen_random_uuid()) RETURNING serial_no, big, always, by_default"
    ).fetchone()
    assert lasts is not None
    assert found is not None
    assert all(new > old for new, old in zip(found, lasts, strict=True)), (found, lasts)
    with pytest.raises(errors.CheckViolation):
        app.execute("INSERT INTO t (id, serial_no) VALUES (gen_random_uuid(), -1)")


def test_gotcha_28_not_null_keeps_names_and_rows(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    """Rows of contype n, from 18 on: named, unnamed, NOT VALID, NO INHERIT, behind a primary key."""
    if app.info.server_version < 180_000:
        app.execute("CREATE TABLE t (id text PRIMARY KEY, a int NOT NULL, e text NOT NULL)")
    else:
        app.execute(
            "CREATE TABLE t (id text CONSTRAINT key_is_there NOT NULL PRIMARY KEY, a int CONSTRAINT a_named NOT NULL,"
            " b int NOT NULL, c int, d text CONSTRAINT d_alone NOT NULL NO INHERIT, e text NOT NULL)"
        )
        app.execute("ALTER TABLE t RENAME CONSTRAINT t_b_not_null TO renamed")
        app.execute("INSERT INTO t VALUES (gen_random_uuid()::text, 1, 2, NULL, 'd', gen_random_uuid()::text)")
        app.execute("ALTER TABLE t ADD CONSTRAINT c_late NOT NULL c NOT VALID")
        app.execute("COMMENT ON CONSTRAINT a_named ON t IS 'by name'")
        app.execute("COMMENT ON CONSTRAINT c_late ON t IS 'late'")
    before = snapshot_catalogue(database, ["public"])
    begin(table("t", "id", "e")).finish()
    after = snapshot_catalogue(database, ["public"])
    assert _unexplained(before, after, {"public.t.id": "text", "public.t.e": "text"}) == []
