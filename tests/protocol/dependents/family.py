"""A family of classic inheritance with one of everything, and the plan that converts it."""

from collections.abc import Collection, Mapping, Sequence

import psycopg
from support.runs.harness import Table, table

FAMILY = """
CREATE TABLE being (id text PRIMARY KEY, n int NOT NULL DEFAULT 7, note text COLLATE "C" DEFAULT 'none',
  CONSTRAINT n_sane CHECK (n < 1000000), CONSTRAINT alone CHECK (n <> 13) NO INHERIT);
COMMENT ON COLUMN being.note IS 'of anybody';
CREATE INDEX being_n ON being (n);
CREATE TABLE owned (owner_id text, since date NOT NULL DEFAULT '2020-01-01');
ALTER TABLE owned ADD COLUMN own_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CREATE TABLE animal (legs int DEFAULT 4, PRIMARY KEY (id), CONSTRAINT few_legs CHECK (legs < 100)) INHERITS (being);
CREATE TABLE plant (height numeric, n int, twice int GENERATED ALWAYS AS (n * 2) STORED, UNIQUE (id),
  CONSTRAINT n_sane CHECK (n < 1000000)) INHERITS (being);
ALTER TABLE plant ADD PRIMARY KEY (id);
CREATE TABLE pet (name text UNIQUE, PRIMARY KEY (id)) INHERITS (animal, owned);
COMMENT ON COLUMN pet.note IS 'of a pet';
CREATE INDEX pet_name ON pet (lower(name));
ALTER TABLE being ADD COLUMN late text DEFAULT 'late';
CREATE TABLE stray (late text DEFAULT 'x', n int NOT NULL, id text PRIMARY KEY, note text COLLATE "C", own text,
  CONSTRAINT n_sane CHECK (n < 1000000));
ALTER TABLE stray INHERIT being;
ALTER TABLE being ADD CONSTRAINT old_ones CHECK (n > -5) NOT VALID;
ALTER TABLE plant ALTER note SET STORAGE EXTERNAL, ALTER note SET COMPRESSION pglz, ALTER note SET STATISTICS 99;
ALTER TABLE pet ALTER name SET STORAGE MAIN, ALTER name SET (n_distinct = -0.5), ALTER note SET DEFAULT 'of pets';
ALTER TABLE stray ADD COLUMN thrice int GENERATED ALWAYS AS (n * 3) VIRTUAL;
GRANT UPDATE (note) ON pet TO PUBLIC;
CREATE TABLE visit (id text PRIMARY KEY, pet_id text REFERENCES pet ON DELETE CASCADE, at date);
ALTER TABLE plant ADD COLUMN eaten_by text REFERENCES animal;
ALTER TABLE owned ADD FOREIGN KEY (owner_id) REFERENCES visit ON DELETE SET NULL;
"""

ROWS = """
INSERT INTO being (id, n) SELECT gen_random_uuid(), g FROM generate_series(1, 12) AS g;
INSERT INTO animal (id, n) SELECT gen_random_uuid(), g FROM generate_series(101, 180) AS g;
INSERT INTO plant (id, n, eaten_by) SELECT gen_random_uuid(), g, (SELECT id FROM ONLY animal WHERE n = 101 + g % 5)
  FROM generate_series(201, 280) AS g;
INSERT INTO pet (id, n, name, own_key) SELECT gen_random_uuid(), g, 'pet ' || g, g FROM generate_series(301, 380) AS g;
INSERT INTO stray (id, n, own) SELECT gen_random_uuid(), g, 'own' FROM generate_series(401, 430) AS g;
INSERT INTO visit SELECT gen_random_uuid(), id, '2024-01-01' FROM ONLY pet WHERE n < 320;
INSERT INTO owned (owner_id) SELECT id FROM visit;
"""

MEMBERS: Mapping[str, Collection[str]] = {
    "being": {"id"},
    "owned": {"owner_id"},
    "animal": {"id"},
    "plant": {"id", "eaten_by"},
    "pet": {"id", "owner_id"},
    "stray": {"id"},
    "visit": {"id", "pet_id"},
}

PLANNED: Sequence[Table] = [table(name, *sorted(columns)) for name, columns in MEMBERS.items()]


def script(app: psycopg.Connection, text: str) -> None:
    """Execute statements that end in `;` at a line's end."""
    if app.info.server_version < 180_000:
        text = text.replace("VIRTUAL", "STORED")
    for statement in text.split(";\n"):
        if statement.strip():
            app.execute(statement.encode())
