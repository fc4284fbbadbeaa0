"""What psql runs where the coordinator would decide: locks that are asked for again, loops over chunks, refusals."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.backoff import SHORT_LOCK
from replank.values.table_spec import Relation
from sql.session.named_queries import query
from sql.session.passing_errors import WHEN_LOCK_MISSED
from sql.session.plpgsql import COLUMNS_FIRST
from sql.session.statements import AT_REST, Statement, setting

LOWER, UPPER = SQL("replank_loop.replank_lower"), SQL("replank_loop.replank_upper")
"""A chunk's bounds in a loop: from this row's place on, up to that one's. The label keeps them from being columns."""

REWRITTEN = (
    "A table was rewritten between this transaction's snapshot and its first read of it, so this transaction "
    "was rolled back. Run the rollback script from its top, then begin the pass again: "
)


def dollar_quoted(body: str) -> str:
    """The text between dollar signs, with a tag that it does not hold."""
    tag = next(f"$by_hand{n}$" for n in itertools.chain([""], itertools.count(1)) if f"$by_hand{n}$" not in body)
    return f"{tag}\n{body}\n{tag}"


def with_semicolon(statement: Composable | str) -> str:
    """A statement with its semicolon."""
    text = statement if isinstance(statement, str) else statement.as_string(None)
    return text.rstrip().rstrip(";") + ";"


def lines(statements: Iterable[Composable | str]) -> str:
    return "\n".join(with_semicolon(statement) for statement in statements)


def waiting(statements: Iterable[Composable | str]) -> str:
    """Statements whose locks keep no reader or writer out: they wait as long as it takes."""
    return lines(["SET lock_timeout = 0", *statements, "SET lock_timeout = :'short'"])


def alone(statement: Statement) -> str:
    """A statement that refuses a transaction block, and waits as long as it takes; its settings end with it."""
    said_of = SQL("SET {} TO {}")
    first = lines(said_of.format(SQL(name), setting(name, value)) for name, value in statement.settings.items())
    last = lines(said_of.format(SQL(name), setting(name, AT_REST[name])) for name in statement.settings)
    return "\n".join(part for part in (first, waiting([statement.sql]), last) if part)


def transaction(*parts: str) -> str:
    """One transaction of complete statements."""
    return "\n".join(["BEGIN ISOLATION LEVEL READ COMMITTED;", *(part for part in parts if part), "COMMIT;"])


def at_one_snapshot(*parts: str) -> str:
    """One transaction of complete statements that sees one moment (`sql.session.one_snapshot`)."""
    last = refuse_rows(SQL("SELECT replank.rewritten()"), REWRITTEN)
    return "\n".join(["BEGIN ISOLATION LEVEL REPEATABLE READ;", *(part for part in parts if part), last, "COMMIT;"])


def block(body: str, *, declare: str = "", label: str = "") -> str:
    """A DO block of complete PL/pgSQL statements."""
    labelled = f"<<{label}>>\n" if label else ""
    declared = f"DECLARE\n{declare}\n" if declare else ""
    whole = f"{COLUMNS_FIRST.as_string(None)}{labelled}{declared}BEGIN\n{body}\nEND"
    return f"DO {dollar_quoted(whole)};"


def lock_patiently(lock: Composable, *, attempts: int) -> str:
    """A lock within a transaction, asked for again and again: each wait is as short as lock_timeout says.

    A missed attempt lets go of what it had been granted, so no session queues behind it for longer.
    """
    return block(
        "  LOOP\n    BEGIN\n"
        f"      {with_semicolon(lock)}\n      EXIT;\n"
        f"    EXCEPTION WHEN {WHEN_LOCK_MISSED} THEN\n"
        "      replank_attempt := replank_attempt + 1;\n"
        f"      IF replank_attempt >= {int(attempts)} THEN RAISE; END IF;\n"
        f"      PERFORM pg_sleep({SHORT_LOCK.sql('replank_attempt')});\n"
        "    END;\n  END LOOP;",
        declare="  replank_attempt int := 0;",
    )


SNAPSHOTS = "  replank_snapshots text[];\n  replank_left text;\n  replank_looks int := 0;"
"""What `until_snapshots_end` declares."""

_HELD = (
    "FROM pg_stat_activity AS a WHERE a.datname = current_database() AND a.backend_xmin IS NOT NULL"
    " AND a.pid <> pg_backend_pid() AND a.application_name NOT LIKE 'replank %'"
    " AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'walsender', 'parallel worker')"
    " AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum AS v WHERE v.pid = a.pid)"
)
_SNAPSHOT = "concat_ws(' ', a.pid, a.xact_start, a.backend_xmin)"


def until_snapshots_end(*, attempts: int) -> str:
    """Statements that wait, without a lock, until every snapshot has ended that is held now.

    As `sql.swap.lock_attempt` does. What was drained before is then seen by all. Ends the script after so many
    attempts, naming the sessions.
    """
    words = "sessions hold snapshots that would not see the newest rows of the new tables; end them or wait for them: "
    return (
        f"  PERFORM pg_stat_clear_snapshot();\n  SELECT array_agg({_SNAPSHOT}) INTO replank_snapshots {_HELD};\n"
        "  LOOP\n    PERFORM pg_stat_clear_snapshot();\n"
        f"    SELECT string_agg('pid ' || a.pid, ', ') INTO replank_left {_HELD}\n"
        f"       AND {_SNAPSHOT} = ANY (replank_snapshots);\n"
        "    EXIT WHEN replank_left IS NULL;\n    replank_looks := replank_looks + 1;\n"
        "    IF replank_looks = 1 THEN RAISE NOTICE 'waiting for snapshots of %', replank_left; END IF;\n"
        f"    IF replank_looks >= {int(attempts)} THEN\n"
        f"      RAISE EXCEPTION USING MESSAGE = '{words}' || replank_left;\n    END IF;\n"
        f"    PERFORM pg_sleep({SHORT_LOCK.sql('replank_looks')});\n  END LOOP;"
    )


def refuse_if(condition: Composable, words: str) -> str:
    """Ends the script with these words where the condition holds."""
    message = Literal(words).as_string(None)
    return block(f"  IF {condition.as_string(None)} THEN\n    RAISE EXCEPTION USING MESSAGE = {message};\n  END IF;")


FOUND = "  replank_found text;"
"""What `refused_rows` declares."""


def refuse_rows(found: Composable, words: str) -> str:
    """Ends the script where the query finds a row; its first column, a text, follows the words."""
    return block(refused_rows(found, words), declare=FOUND)


def refused_rows(found: Composable, words: str) -> str:
    """The same for the inside of a DO block that declares FOUND."""
    message = Literal(words).as_string(None)
    return (
        f"  FOR replank_found IN {with_semicolon(found).rstrip(';')} LOOP\n"
        f"    RAISE EXCEPTION USING MESSAGE = {message} || replank_found;\n  END LOOP;"
    )


COUNT = "  replank_count bigint;"
"""What `counted_none` declares."""


def counted_none(counted: Composable, words: str) -> str:
    """For the inside of a DO block that declares COUNT: an error where the query does not count 0."""
    message = Literal(words).as_string(None)
    return (
        f"  {with_semicolon(counted).rstrip(';')} INTO replank_count;\n"
        f"  IF replank_count <> 0 THEN\n    RAISE EXCEPTION USING MESSAGE = replank_count || {message};\n  END IF;"
    )


def refuse_count(counted: Composable, words: str) -> str:
    """Ends the script where the query does not count 0."""
    return block(counted_none(counted, words), declare=COUNT)


def refuse_unequal(one: Composable, other: Composable, words: str) -> str:
    """Ends the script where two queries for (count, sum) do not say the same. One statement is one snapshot."""
    body = SQL(
        "  SELECT a.n, a.total, b.n, b.total INTO replank_n, replank_total, replank_m, replank_sum\n"
        "    FROM ({one}) AS a (n, total),\n         ({other}) AS b (n, total);\n"
        "  IF (replank_n, replank_total) IS DISTINCT FROM (replank_m, replank_sum) THEN\n"
        "    RAISE EXCEPTION USING MESSAGE = {words} || replank_n || ' and ' || replank_m || ' rows';\n"
        "  END IF;\n"
        "  RAISE NOTICE '% rows, counts and sums are equal', replank_n;"
    ).format(one=one, other=other, words=words)
    return block(
        body.as_string(None),
        declare="  replank_n bigint;\n  replank_m bigint;\n  replank_total text;\n  replank_sum text;",
    )


def regclass(table: Identifier) -> str:
    """`'"public"."orders"'::regclass`"""
    return Literal(table.as_string(None)).as_string(None) + "::regclass"


def over_blocks(heaps: Sequence[Relation], pinned: str, body: str, *, blocks: int, declare: str = "") -> str:
    """A loop over the blocks of these heaps, a transaction for each `blocks` of them.

    `body` is complete PL/pgSQL over `replank_lower` and `replank_upper`; `pinned` holds the heaps' files. A table
    that is rewritten meanwhile ends the script: its rows have other places then.
    """
    names = [regclass(Identifier(heap.schema, heap.name)) for heap in heaps]
    files = " || ' ' || ".join(f"pg_relation_filenode({name})" for name in names)
    longest = f"greatest({', '.join(f'pg_relation_size({name})' for name in names)})"
    return block(
        f"  FOR replank_block IN 0 .. {longest} / current_setting('block_size')::int BY {int(blocks)} LOOP\n"
        "    replank_lower := format('(%s,0)', replank_block)::tid;\n"
        f"    replank_upper := format('(%s,0)', replank_block + {int(blocks)})::tid;\n"
        f"    {pinned}\n"
        f"    IF concat({files}) <> replank_files THEN\n"
        "      RAISE EXCEPTION 'the table was rewritten (VACUUM FULL, CLUSTER, TRUNCATE): roll back and begin again';\n"
        "    END IF;\n"
        f"{body}\n    COMMIT;\n  END LOOP;",
        declare=f"  replank_files text := concat({files});\n  replank_lower tid;\n  replank_upper tid;{declare}",
        label="replank_loop",
    )


def in_loop(alias: str = "live") -> Composable:
    """The condition that a row lies in the loop's chunk."""
    ctid = Identifier(alias, "ctid")
    return SQL("{} >= {} AND {} < {}").format(ctid, LOWER, ctid, UPPER)


def dropped_if_empty(schemas: Iterable[str]) -> str:
    """Schemas that were made for the pass; one that holds something stays."""
    return "\n".join(
        block(
            f"  DROP SCHEMA IF EXISTS {Identifier(schema).as_string(None)};\n"
            "EXCEPTION WHEN dependent_objects_still_exist THEN NULL;"
        )
        for schema in schemas
    )


def comment(text: str) -> str:
    """Every line behind `-- `."""
    return "\n".join(f"-- {line}".rstrip() for line in text.splitlines())


def functions() -> str:
    """How a table is defined, and which tables were rewritten beside a snapshot: the product's own queries."""
    defined = query("catalogue.shape").as_string(None).replace("%(oid)s::oid", "$1").replace("%%", "%")
    return "\n".join(
        f"CREATE OR REPLACE FUNCTION replank.{head} LANGUAGE sql STABLE\n"
        f"SET search_path = pg_catalog AS {dollar_quoted(text)};"
        for head, text in (
            ("defined(regclass) RETURNS text", defined),
            ("rewritten() RETURNS SETOF text", query("rewritten.tables").as_string(None)),
        )
    )


FUNCTIONS_GONE = "DROP FUNCTION IF EXISTS replank.defined(regclass), replank.rewritten();\n"
