"""What a builder returns is printed by `compile` and executed by a run, whatever its first word is."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL

from producer.cli import compile_and_indexes
from producer.planning.resolution import PlanFile
from producer.starting.compile_all import compile_all
from producer.steps.compiled import CompiledStep
from replank.values.table_spec import TableSpec
from sql.catalogue.dependents import looking_in
from sql.rows import capture
from sql.session.connection import Connection, connect
from sql.session.statements import READ_ONLY, Statement, execute, only_reading, printed, scratch, sketched
from steps.hand_shop import UUIDS, compile_by_hand, name_of, plan_of

pytestmark = pytest.mark.catalogue

HIDDEN = "WITH made AS (INSERT INTO public.entry VALUES ('hidden', 'in a WITH') RETURNING 1) SELECT count(*) FROM made"


def _rows(url: str) -> int:
    with psycopg.connect(url) as session:
        found = session.execute("SELECT count(*) FROM entry WHERE row_id = 'hidden'").fetchone()
    assert found is not None
    return int(found[0])


def _said(_spec: TableSpec) -> Iterator[Statement]:
    yield Statement(sql=SQL(HIDDEN))


def test_compile_prints_an_insert_in_a_with_and_does_not_execute_it(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "remove", _said)
    steps = compile_by_hand(shop, plan_of(name_of(shop), UUIDS))
    assert f"{HIDDEN};" in steps[0].forward.text
    assert f"{HIDDEN};" in steps[0].back.text
    assert _rows(shop) == 0


def test_a_builder_that_executes_by_itself_ends_compile(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the session is no read-only one, as when a run begins; PostgreSQL calls it by its first word."""
    install = capture.install

    def installed(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
        connection.execute(HIDDEN.encode())
        return install(connection, spec)

    monkeypatch.setattr(capture, "install", installed)
    with pytest.raises(errors.ReadOnlySqlTransaction, match="cannot execute SELECT in a read-only transaction"):
        compile_by_hand(shop, plan_of(name_of(shop), UUIDS))
    with psycopg.connect(shop) as session:
        assert session.execute("SELECT to_regnamespace('replank_next')").fetchone() == (None,)
    assert _rows(shop) == 0


def test_a_session_that_prints_changes_something_in_scratches_alone(shop: str) -> None:
    statements = [Statement(sql=SQL(HIDDEN))]
    with connect(shop, name="compile", settings=READ_ONLY) as connection:
        assert [each.as_string(None) for each in printed(statements)] == [HIDDEN]
        with pytest.raises(errors.ReadOnlySqlTransaction):
            execute(connection, statements)
        with scratch(connection):
            assert sketched(connection, statements) == statements
            assert connection.execute("SELECT count(*) FROM public.entry WHERE row_id = 'hidden'").fetchone() == (1,)
            with only_reading(connection), pytest.raises(errors.ReadOnlySqlTransaction), connection.transaction():
                execute(connection, statements)

            def composed_by_writing() -> Iterator[Statement]:
                connection.execute(HIDDEN.encode())
                yield statements[0]

            with pytest.raises(errors.ReadOnlySqlTransaction), connection.transaction():
                sketched(connection, composed_by_writing())
    assert _rows(shop) == 0


def test_settings_end_with_the_statements_that_hang_on_them(shop: str) -> None:
    """Within a transaction, outside of one, and where one of them fails."""
    where = {"search_path": '"public"'}
    asks = Statement(sql=SQL("INSERT INTO entry VALUES (current_setting('search_path'), 'x')"), settings=where)
    with connect(shop, name="test") as connection:

        def path() -> str:
            found = connection.execute("SELECT current_setting('search_path')").fetchone()
            assert found is not None
            return str(found[0])

        execute(connection, [asks])
        assert path() == "pg_catalog"
        with connection.transaction():
            execute(connection, [asks])
            assert path() == "pg_catalog"
        with pytest.raises(errors.UndefinedTable):
            execute(connection, [asks, Statement(sql=SQL("SELECT FROM nothing"), settings=where)])
        assert path() == "pg_catalog"
        kept = connection.execute("SELECT count(*) FROM public.entry WHERE row_id = '\"public\"'").fetchone()
        assert kept == (3,)

        def looks_between() -> Iterator[Statement]:
            for _ in range(2):
                assert path() == "pg_catalog"
                with looking_in(connection, '"hidden"'):
                    assert path() == '"hidden"'
                yield asks

        with connection.transaction(force_rollback=True):
            execute(connection, looks_between())
            assert path() == "pg_catalog"
    said = [each.as_string(None) for each in printed([asks, asks])]
    assert said[0] == 'SET LOCAL "search_path" TO "public"'
    assert [said.count(each) for each in said] == [1, 2, 2]


def test_the_command_compiles_in_a_session_that_may_change_nothing(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def compiled(connection: Connection, file: PlanFile) -> list[CompiledStep]:
        seen.append(connection.execute("SHOW transaction_read_only").fetchone())
        return compile_all(connection, file)

    monkeypatch.setattr(compile_and_indexes, "compile_all", compiled)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'[database]\nname = "{name_of(shop)}"\n'
        '[[tables]]\nname = "note"\nadd = [{ name = "code", type = "text", value = "\'n\' || live.id" }]\n'
    )
    compile_and_indexes.compile_plan(plan, tmp_path / "out", database_url=shop)
    assert seen == [("on",)]
    assert "CREATE FUNCTION" in (tmp_path / "out" / "09-populate-audit-fields.sql").read_text()
