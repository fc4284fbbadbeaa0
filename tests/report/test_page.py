"""The command, its JSON, and the page that it writes."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from producer.cli.report import report
from replank.errors import WrongUse
from replank.values.states import RunState
from report.documents import Document
from report.world import begin_run, create_world, plan_for
from sql.ledger.runs import runs
from sql.session.connection import connect

pytestmark = pytest.mark.catalogue

CRITERIA = (
    "All 7 tables of the plan have their uuid fields",
    "Zero data loss",
    "Performance improves by more than 20 %",
    "The audit trail captures all changes",
    "Cache hit rate above 90 %",
    "No application errors",
)


def _json(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert isinstance(found, list)
    return found


def test_json_has_the_six_criteria_and_the_page_says_the_same(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given what others say
    journal, errors = tmp_path / "journal.json", tmp_path / "errors.json"
    journal.write_text('{"checked": 4711, "lost": ["account 9 <b>is</b> missing"]}')
    errors.write_text('{"checked": 1234, "errors": 0, "source": "the proxy"}')
    # When the report is made
    page = tmp_path / "report.html"
    report(out=page, journal=journal, errors=errors, as_json=True, database_url=database)
    found = _json(capsys)
    # Then its JSON is what programs count on
    assert [c["criterion"] for c in found] == list(CRITERIA)
    assert all({"criterion", "measured", "target", "met", "how"} <= set(c) for c in found)
    assert [c["met"] for c in found[:2]] == [True, False]
    assert [c["met"] for c in found[3:]] == [True, None, True]
    assert found[1]["names"] == ["account 9 <b>is</b> missing"]
    # And the page says it in words, with whatever names there are
    document = Document(page.read_text())
    words = re.sub(r"\s+", " ", document.words)
    assert "The migration is done" in words
    for criterion in CRITERIA:
        assert criterion in words.replace("\N{NO-BREAK SPACE}", " ")
    assert "public.<b>note</b>" in words
    assert "<plan & world>" in words
    assert "Who may <i>log in</i>" in words
    assert "account 9 <b>is</b> missing" in words
    assert "0 errors in 1,234 requests (the proxy)" in words
    assert not {"b", "i", "script", "iframe", "object", "form"} & set(document.tags)
    assert words.count("→") >= 2, "queries before and after"


def test_the_page_is_whole_by_itself(database: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    report(out=page, compare=False, database_url=database)
    text = page.read_text()
    document = Document(text)
    assert document.open == []
    assert [r for r in document.references if not r.startswith("#")] == ["data:,"]
    assert {r[1:] for r in document.references if r.startswith("#")} <= document.ids
    assert "url(" not in text
    assert "@import" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert document.tags.count("svg") == 5, "timeline, rows, locks, queries, sizes"
    assert "not compared again" in document.words


def test_stages_stand_under_the_step_of_the_pass_alone(database: str, app: psycopg.Connection, tmp_path: Path) -> None:
    app.execute(
        "INSERT INTO replank.step (run_id, step, phase, started_at, finished_at)"
        " SELECT run_id, '10-rebuild-caches', 3, finished_at - interval '1 second', finished_at FROM replank.step"
        "  WHERE step = '08-migrate-uuid-types'"
    )
    page = tmp_path / "report.html"
    report(out=page, compare=False, database_url=database)
    words = Document(page.read_text()).words
    assert "10-rebuild-caches" in words
    assert words.count("· copy") == 1


def test_the_governors_decisions_are_shown_where_the_ledger_keeps_them(
    database: str, app: psycopg.Connection, tmp_path: Path
) -> None:
    app.execute(
        "CREATE TABLE IF NOT EXISTS replank.window_change"
        " (run_id bigint, at timestamptz, now int, maximum int, reason text)"
    )
    app.execute(
        "INSERT INTO replank.window_change (run_id, at, now, maximum, reason)"
        " SELECT run_id, created_at + n * interval '1 second', n, 16, 'replica lags <' || n FROM replank.run,"
        " generate_series(1, 3) AS n"
    )
    page = tmp_path / "report.html"
    report(out=page, compare=False, database_url=database)
    document = Document(page.read_text())
    assert "3 of 16" in document.words
    assert "replica lags <2" in document.words
    assert document.tags.count("svg") == 6


def test_a_run_that_is_under_way_decides_nothing_too_early(
    empty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_world(empty)
    with connect(empty, name="test") as connection:
        begin_run(empty, plan_for(connection.info.dbname))
        report(out=tmp_path / "report.html", as_json=True, database_url=empty)
        found = _json(capsys)
        assert [c["met"] for c in found] == [False, None, None, None, None, None]
        assert all("not yet: the run is running" in found[n]["shown"] for n in (1, 2, 3))
        document = Document((tmp_path / "report.html").read_text())
        assert "The migration is under way" in document.words
        with pytest.raises(WrongUse, match="can be measured again when it is done"):
            report(out=tmp_path / "x.html", measure=True, database_url=empty)
        # A person is called, and the page says why
        run = runs.latest_run(connection)
        assert run is not None
        runs.set_run_state(connection, run.run_id, RunState.NEEDS_OPERATOR, "a disk <is> full")
    report(out=tmp_path / "report.html", database_url=empty)
    assert "a disk <is> full" in Document((tmp_path / "report.html").read_text()).words


def test_wrong_use_says_what_is_wrong(database: str, empty: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="--out FILE"):
        report(database_url=database)
    with pytest.raises(WrongUse, match="There is no run"):
        report(as_json=True, database_url=empty)
    journal = tmp_path / "journal.json"
    for text, words in (
        ("nonsense", "Invalid JSON"),
        ('{"lost": 0}', "checked: this key is missing"),
        ('{"checked": -1, "lost": 0}', "checked: "),
        ('{"checked": 1, "lost": -1}', "lost"),
    ):
        journal.write_text(text)
        with pytest.raises(WrongUse, match=words):
            report(as_json=True, journal=journal, database_url=database)
    with pytest.raises(WrongUse, match="cannot be read"):
        report(as_json=True, journal=tmp_path / "gone.json", database_url=database)
    with pytest.raises(WrongUse, match="cannot be written"):
        report(out=tmp_path / "no" / "folder.html", compare=False, database_url=database)


def test_the_first_line_does_not_promise_a_way_back_that_is_closed(
    database: str, app: psycopg.Connection, tmp_path: Path
) -> None:
    def words(*, compare: bool = False) -> str:
        report(out=tmp_path / "report.html", compare=compare, database_url=database)
        return re.sub(r"\s+", " ", Document((tmp_path / "report.html").read_text()).words)

    assert "The migration is done; a rollback without loss is still possible: " in words()
    # Switched off for a time, as `pg_restore --disable-triggers` does: only a comparison knows
    app.execute("ALTER TABLE account DISABLE TRIGGER ALL; ALTER TABLE account ENABLE TRIGGER ALL")
    found = words()
    assert "still possible" not in found
    assert "not known until `replank rollback` has compared every row" in found
    assert "a rollback needs a comparison first: public.account: its triggers" in found
    # A write was missed, and the report's own comparison sees it
    app.execute("SET session_replication_role = replica; UPDATE account SET email = 'x' WHERE email = '7@example.org'")
    assert "a rollback is refused while past and new tables differ" in words(compare=True)
    app.execute("DROP TRIGGER replank_capture_back_insert ON tenant")
    found = words()
    assert "The migration is done; a rollback without loss is no longer possible: " in found
    assert "a rollback is not possible: public.tenant: its triggers replank_capture_back_… are gone" in found
    assert "replank rollback does it" not in found
    app.execute("UPDATE replank.run SET plan = jsonb_set(plan, '{options,reverse_capture}', 'false')")
    assert "no rollback is possible, because the plan sets" in words()


def test_the_time_in_which_the_run_waited_for_people_is_drawn(
    database: str, app: psycopg.Connection, tmp_path: Path
) -> None:
    app.execute(
        "UPDATE replank.run SET created_at = created_at - interval '10 minutes';"
        "INSERT INTO replank.event (run_id, at, actor, kind, subject, message)"
        " SELECT run_id, created_at + n * interval '1 minute', 'x', kind, '', '' FROM replank.run,"
        " (VALUES (1, 'needs_operator'), (3, 'needs_operator'), (4, 'gate'), (5, 'gates'), (6, 'done')) AS e (n, kind)"
    )
    page = tmp_path / "report.html"
    report(out=page, compare=False, database_url=database)
    assert "waited for the operator 4 min 0 s" in re.sub(r"\s+", " ", Document(page.read_text()).words)
