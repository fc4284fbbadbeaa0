"""What the page is told: every state, only what changed, within bounds, and the truth when something is missing."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from benchmarks.looking.painted_run import NAMES, paint_run
from demo.embedded import EmbeddedPostgres
from monitoring.page.cells import COUNTS, MOST
from monitoring.page.watcher import Reader, Watcher
from page.conftest import Serve
from page.serving import Served
from producer.page.actions import QUESTIONS, page_actions
from replank.settings import load_settings
from sql.session.connection import Connection

SPLIT = """
WITH failed AS (SELECT * FROM replank.job WHERE state = 'failed' AND table_no = 0),
     parent AS (UPDATE replank.job SET state = 'split' WHERE job_id = (SELECT job_id FROM failed) RETURNING job_id)
INSERT INTO replank.job (run_id, step, table_no, kind, generation, axis, lower, upper, parent, state)
SELECT run_id, step, table_no, kind, generation, axis, lower, upper, job_id, half.state FROM failed,
       (VALUES ('done'), ('failed')) AS half (state)
"""


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def change(url: str, statement: str, *values: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode(), values or None)


def test_cells_count_every_job_once_in_its_worst_state(serve: Serve, painted: str) -> None:
    change(painted, SPLIT)
    sections = serve(painted).sections()
    # By the words of SQL alone, table by table
    wanted = rows(
        painted,
        "SELECT 'cells:table:' || table_no, kind, count(*), count(*) FILTER (WHERE state = 'done'),"
        " count(*) FILTER (WHERE state = 'leased'), count(*) FILTER (WHERE state = 'failed'),"
        " count(*) FILTER (WHERE state = 'skipped'), count(*) FILTER (WHERE state = 'split')"
        " FROM replank.job GROUP BY 1, 2",
    )
    found = {
        (name, band["kind"]): band for name, bands in sections.items() if name.startswith("cells:") for band in bands
    }
    assert found.keys() == {(name, kind) for name, kind, *_ in wanted}
    for name, kind, *counts in wanted:
        band = found[name, kind]
        assert [band[c] for c in ("jobs", "done", "running", "failed", "skipped", "split")] == counts
        for place, count in enumerate(COUNTS):
            assert sum(cell[2 + place] for cell in band["cells"]) == band[count]
        assert len(band["cells"]) <= MOST
    # The halves stand behind their parent
    states = [cell[-1] for cell in found["cells:table:0", "copy"]["cells"]]
    assert states[states.index("split") :][:3] == ["split", "done", "failed"]
    assert {"done", "running", "skipped", "waiting"} <= set(states)


def test_only_what_changed_is_sent_again(serve: Serve, painted: str) -> None:
    served = serve(painted)
    first = served.ask("/run/now").document
    second = served.ask(f"/run/now?epoch={first['epoch']}&since={first['look']}").document
    # Durations and the speed of the moment go on; nothing else has changed
    assert set(second["sections"]) <= {"run", "workers", "speed", "headlines", "seen", "figures"}

    change(
        painted,
        "UPDATE replank.job SET state = 'done', rows = 7"
        " WHERE job_id = (SELECT min(job_id) FROM replank.job WHERE state = 'failed')",
    )
    third = served.ask(f"/run/now?epoch={second['epoch']}&since={second['look']}").document
    assert {"cells:table:0", "tables", "causes", "run"} <= set(third["sections"])
    assert "cells:table:1" not in third["sections"]

    # Another server's numbers mean nothing to this one
    other = served.ask(f"/run/now?epoch=0&since={third['look']}").document
    assert set(other["sections"]) == set(first["sections"])


def test_the_jobs_of_a_cell_name_what_went_wrong_first(serve: Serve, painted: str) -> None:
    served = serve(painted)
    cell = next(cell for cell in served.sections()["cells:table:0"][0]["cells"] if cell[-1] == "failed")
    found = served.ask(f"/run/cell?run=1&kind=copy&table=0&first={cell[0]}&last={cell[1]}").document["jobs"]
    assert len(found) == cell[2]
    assert (found[0]["state"], found[0]["sqlstate"], found[0]["attempt"]) == ("failed", "22P02", 1)
    assert found[0]["range"].startswith("heap [")
    assert found[0]["worker"]
    for wrong in (
        "run=1",
        "run=1&kind=copy&first=a&last=2",
        "run=1&kind=copy%27&first=1&last=2",
        f"run=1&kind=copy&first=1&last={'9' * 20}",
    ):
        assert served.ask(f"/run/cell?{wrong}").status == 400, wrong


def test_failures_are_grouped_by_cause_with_an_example_and_a_next_step(serve: Serve, painted: str) -> None:
    served = serve(painted)
    (cause,) = served.sections()["causes"]
    assert (cause["class"], cause["sqlstate"], cause["jobs"]) == ("value does not convert", "22P02", 4)
    assert {place["table"] for place in cause["places"]} == {
        "public.Booking",
        "public.Payment",
        "public.Invoice",
        "public.AuditLog",
    }
    assert "legacy-" in cause["message"]
    assert "correct or delete the row" in cause["suggestion"]
    first = served.sections()["headlines"][0]
    assert (first["weight"], first["words"]) == ("bad", "4 jobs have failed, with one cause")


def test_names_are_data_and_nothing_else(serve: Serve, painted: str) -> None:
    served = serve(painted)
    answer = served.ask("/run/now")
    assert answer.headers["content-type"].startswith("application/json")
    assert NAMES[-1] in json.dumps(answer.document, ensure_ascii=False)
    for path in (
        "/run/<script>alert(1)</script>",
        "/run?epoch=<script>",
        "/run/do/<script>",
        "/run/cell?kind=<script>",
    ):
        assert "<script>alert" not in served.ask(path.replace("<", "%3C").replace(">", "%3E")).body


def test_no_ledger_no_run_and_then_a_run(serve: Serve, database: str) -> None:
    served = serve(database)
    assert served.ask("/run").status == 200
    empty = served.ask("/run/now").document["sections"]
    assert empty.keys() == {"run", "place"}
    assert empty["run"] is None
    assert empty["place"]["database"] in database
    paint_run(database, jobs=64)
    assert served.sections()["run"]["plan"] == "painted"
    # What a rollback takes from the ledger goes from the page
    before = served.ask("/run/now").document
    change(database, "DROP SCHEMA replank CASCADE")
    after = served.ask(f"/run/now?epoch={before['epoch']}&since={before['look']}").document
    assert after["sections"]["run"] is None
    assert after["sections"]["cells:table:0"] is None
    assert after["problem"] == ""


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("done", "Done: the new tables are live"),
        ("finished", "Finished: the past tables are dropped"),
        ("rolled_back", "Rolled back"),
    ],
)
def test_a_run_that_has_ended_says_so(serve: Serve, painted: str, state: str, words: str) -> None:
    change(painted, "UPDATE replank.job SET state = 'done'")
    change(painted, "UPDATE replank.run SET finished_at = now(), state = %s", state)
    sections = serve(painted).sections()
    assert [one["words"] for one in sections["headlines"]] == [words]
    assert sections["run"]["open"] is False


def test_a_lost_database_is_said_and_what_was_seen_stays(serve: Serve) -> None:
    with EmbeddedPostgres(durable=False) as server:
        url = server.create_database("lost")
        paint_run(url, jobs=64)
        served = serve(
            url,
            actions=page_actions(load_settings(database_url=url, broker_url="redis://127.0.0.1:1/0"), database="page"),
        )
        before = served.ask("/run/now").document
        server.stop(mode="immediate")
        lost = served.ask(f"/run/now?epoch={before['epoch']}&since={before['look']}").document
        assert "does not answer" in lost["problem"]
        assert (lost["sections"], lost["read_at"]) == ({}, before["read_at"])
        assert served.ask("/run/cell?run=1&kind=copy&table=0&first=1&last=9").status == 503
        acted = served.act("pause", run=1)
        assert acted.status in (409, 503)
        for answer in (lost["problem"], acted.body):
            assert url.split(":")[2].split("@")[0] not in answer


def test_the_session_can_only_read(painted: str) -> None:
    async def try_to_write() -> None:
        reader = Reader(painted)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await reader.read(lambda connection: connection.execute("DELETE FROM replank.event"))
        reader.close()

    asyncio.run(try_to_write())


def test_each_button_is_an_event_with_who_and_how(serve: Serve, painted: str) -> None:
    settings = load_settings(database_url=painted, broker_url="redis://127.0.0.1:1/0")
    served = serve(painted, actions=page_actions(settings, database="page"))
    job = rows(painted, "SELECT min(job_id) FROM replank.job WHERE state = 'failed'")[0][0]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("pause", {"reason": "tea"}),
        ("resume", {}),
        ("pause", {"table": "public.Booking", "reason": "slow"}),
        ("resume", {"table": "public.Booking"}),
        ("throttle", {"limit": 3}),
        ("throttle", {"limit": None}),
        ("release", {"database": painted.rpartition("/")[2].partition("?")[0]}),
        ("hold", {}),
        ("retry", {"jobs": [job]}),
        ("retry", {"cause": "value does not convert"}),
    ]
    for name, fields in asked:
        answer = served.act(name, run=1, **fields)
        assert answer.status == 200, (name, answer.body)
        assert answer.document["said"].startswith("Run 1:"), name
    events = rows(painted, "SELECT actor, message FROM replank.event ORDER BY event_id DESC LIMIT 10")
    assert {actor for actor, _ in events} == {"alice"}
    assert all("through the page" in message for _, message in events)
    assert rows(painted, "SELECT count(*) FROM replank.job WHERE state = 'failed'") == [(0,)]
    assert served.sections()["run"]["jobs"]["failed"] == 0


def test_what_cannot_be_done_is_refused_with_what_to_do_instead(serve: Serve, painted: str) -> None:
    settings = load_settings(database_url=painted, broker_url="redis://127.0.0.1:1/0")
    served: Served = serve(painted, actions=page_actions(settings, database="page"))
    for name, fields, words in (
        ("pause", {"run": 2}, "Reload the page"),
        ("pause", {"run": 1, "table": "public.nothing"}, "has no table"),
        ("throttle", {"run": 1, "limit": 0}, "A limit is 1 to"),
        ("throttle", {"run": 1, "limit": "3"}, "sent an invalid request: limit"),
        ("pause", {"run": 1, "sudo": True}, "sent an invalid request: sudo"),
        ("retry", {"run": 1, "jobs": [999999]}, "has no job 999999"),
        ("release", {"run": 1}, "was entered. Nothing was changed"),
        ("release", {"run": 1, "database": "another"}, "'another' was entered. Nothing was changed"),
        ("rollback", {"run": 1, "database": "another"}, "'another' was entered. Nothing was changed"),
        ("rollback", {"run": 1}, "was entered. Nothing was changed"),
        ("skip", {"run": 1, "reason": "all"}, "Select jobs"),
        ("skip", {"run": 1, "cause": "22P02", "reason": "no time"}, "Nothing was skipped"),
    ):
        answer = served.act(name, **fields)  # type: ignore[arg-type]
        assert answer.status == 409, (name, answer.body)
        assert words in answer.document["problem"]
    assert rows(
        painted, "SELECT count(*) FROM replank.event WHERE message LIKE '%through the page%' AND actor = 'alice'"
    ) == [(4,)]
    assert served.act("pause", run="1").status == 400


def test_a_frozen_database_stops_nobody_and_many_viewers_are_one_look() -> None:
    async def watch() -> None:
        looks: list[threading.Event] = []

        def slow(_: Connection) -> dict[str, Any]:
            looks.append(threading.Event())
            assert looks[-1].wait(20)
            return {"run": None}

        class Direct(Reader):
            async def read(self, reading: Callable[[Connection], Any]) -> Any:
                return await asyncio.get_running_loop().run_in_executor(None, reading, None)

        watcher = Watcher(reader=Direct(""), prepare=lambda: slow, patience_s=0.05)
        answers = await asyncio.gather(*(watcher.news("", 0) for _ in range(20)))
        assert len(looks) == 1
        assert all("has not answered" in answer for answer in answers)
        # When it answers after all, everybody sees it
        looks[0].set()
        watcher.patience_s = 10.0
        told = json.loads(await watcher.news("", 0))
        assert (told["problem"], told["sections"], told["look"]) == ("", {"run": None}, 1)
        # Within the same second nobody looks again, unless a button was pressed
        await watcher.news(watcher.epoch, 1)
        assert len(looks) == 1

    asyncio.run(watch())


def test_questions_name_what_hangs_on_them(serve: Serve, painted: str) -> None:
    """Database, tables, rows, what is kept aside, what failed: of the cutover and of the rollback."""
    served = serve(painted, questions=QUESTIONS)
    name = painted.rpartition("/")[2].partition("?")[0]
    change(painted, "INSERT INTO replank.quarantine (run_id, table_no, joined, rows) VALUES (1, 0, true, 7)")
    for question, own in (("release", "8 tables with"), ("rollback", "public.Booking: next table, change log")):
        found = served.ask(f"/run/ask/{question}").document
        assert (found["run"], found["database"]) == (1, name)
        assert found["host"].startswith("127.0.0.1:")
        told = "\n".join(found["lines"])
        for words in (
            own,
            "8 tables with",
            "rows",
            "7 rows missing in the new tables: public.Booking 7",
            "4 jobs",
        ):
            assert words in told, (question, words, told)
    assert served.ask("/run/ask/skip").status == 404
    assert served.ask("/run/ask/release", login=None).status == 401
    change(painted, "UPDATE replank.job SET state = 'done' WHERE state = 'failed'")
    assert "Failed: no job." in served.ask("/run/ask/release").document["lines"]
    # What cannot be done is not asked for
    change(painted, "UPDATE replank.run SET state = 'finished', finished_at = now()")
    refused = served.ask("/run/ask/rollback")
    assert (refused.status, "cannot be rolled back" in refused.document["problem"]) == (409, True)
