"""`python -m benchmarks.looking.page`: how long the run page's answers take where the ledger holds 100,000 jobs.

Each answer is asked for over HTTP of the page's own server, on a ledger that is painted, not run. `page` is what
a viewer gets, once a second, with the server's own settings: one read serves all, and reads take a
twentieth of the time. `look at everything` and `look at changes` are answers that are a look of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import statistics
import sys
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import psycopg
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from benchmarks.looking.painted_run import paint_run
from demo.embedded import EmbeddedPostgres
from monitoring.flower.login_gate import Gate
from monitoring.flower.login_guard import LoginGuard
from monitoring.flower.logins import Logins
from monitoring.page.handlers import PageContext
from monitoring.page.routes import rules
from monitoring.page.sections import SectionReader
from monitoring.page.watcher import Reader, Watcher
from monitoring.status.read_status import read_status
from producer.waiting.leader import try_to_lead
from sql.session.connection import connect

MOST_MS = 200.0
WATCHED_S = 20
FEW_JOBS = 1_000
MOST_APART_S = {"whole": 5.0, "any": 2.0}
"""Between two reads, where there are few jobs; the viewer asks twice a second."""
JUDGED = ("page", "cell")
"""`status` is judged by `benchmarks.looking.status`; here it has more tables to tell of."""
LOGIN = "bench:benchmark"
TOUCH = (
    "UPDATE replank.job SET state = 'done', rows = 1, finished_at = clock_timestamp()"
    " WHERE job_id = (SELECT min(job_id) FROM replank.job WHERE state = 'waiting')"
)

Ask = Callable[[str], Awaitable[tuple[float, int, str]]]


async def watch(url: str, *, seconds: int) -> tuple[list[float], dict[str, float]]:
    """Milliseconds of each answer to two who watch for so long, while jobs end; the longest seconds between two looks.

    Of these, `whole` looks are those that see every figure, `any` those that see at least what is cheap.
    """
    seen: dict[str, list[float]] = {"whole": [], "any": []}
    before: dict[str, str] = {}
    reader, looks, guard = Reader(url), SectionReader(), LoginGuard(logins=Logins.parse(LOGIN))
    watcher = Watcher(reader=reader, prepare=lambda: looks.whole, prepare_quick=lambda: looks.quick)
    context = PageContext(guard=guard, watcher=watcher, reader=reader, actions={}, threads=ThreadPoolExecutor(1))
    server = HTTPServer(Gate(Application(rules(context), xsrf_cookies=True, compress_response=True), guard))
    sockets = bind_sockets(0, address="127.0.0.1")
    server.add_sockets(sockets)
    headers = {"Authorization": f"Basic {b64encode(LOGIN.encode()).decode()}", "Accept-Encoding": "gzip"}
    client, found = AsyncHTTPClient(), []
    address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/run/now"
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(2 * seconds):
            connection.execute(TOUCH)
            began = time.perf_counter()
            answer = json.loads((await client.fetch(HTTPRequest(address, headers=headers))).body)
            found.append((time.perf_counter() - began) * 1000)
            for kind, mark in (("whole", answer["sections"]["figures"]["at"]), ("any", answer["read_at"])):
                if before.get(kind) != mark:
                    before[kind] = mark
                    seen[kind].append(time.perf_counter())
            await asyncio.sleep(0.5)
    server.stop()
    reader.close()
    apart = {kind: max(b - a for a, b in pairwise(times)) for kind, times in seen.items()}
    return found, apart


async def measure(url: str, *, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each kind of answer, and the kilobytes on the wire."""
    reader, looks, guard = Reader(url), SectionReader(), LoginGuard(logins=Logins.parse(LOGIN))
    watcher = Watcher(reader=reader, prepare=lambda: looks.whole, at_most_every_s=0.0, share_of_time=1.0)
    context = PageContext(guard=guard, watcher=watcher, reader=reader, actions={}, threads=ThreadPoolExecutor(1))
    server = HTTPServer(Gate(Application(rules(context), xsrf_cookies=True, compress_response=True), guard))
    sockets = bind_sockets(0, address="127.0.0.1")
    server.add_sockets(sockets)
    root = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    found: dict[str, list[float]] = {
        name: []
        for name in ("look at everything", "look at changes", "cell", "look at everything_kb", "look at changes_kb")
    }
    client = AsyncHTTPClient()

    async def ask(path: str) -> tuple[float, int, str]:
        headers = {"Authorization": f"Basic {b64encode(LOGIN.encode()).decode()}", "Accept-Encoding": "gzip"}
        began = time.perf_counter()
        answer = await client.fetch(HTTPRequest(root + path, headers=headers, decompress_response=False))
        took = (time.perf_counter() - began) * 1000
        body = answer.body
        text = gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body
        return took, len(body), text.decode()

    news = json.loads((await ask("/run/now"))[2])
    cell = news["sections"]["cells:table:0"][0]["cells"][7]
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(rounds):
            took, size, _ = await ask("/run/now")
            found["look at everything"].append(took)
            found["look at everything_kb"].append(size / 1024)
            connection.execute(TOUCH)
            took, size, text = await ask(f"/run/now?epoch={news['epoch']}&since={news['look']}")
            news = json.loads(text)
            found["look at changes"].append(took)
            found["look at changes_kb"].append(size / 1024)
            took, _, _ = await ask(f"/run/cell?run=1&kind=copy&table=0&first={cell[0]}&last={cell[1]}")
            found["cell"].append(took)
    server.stop()
    reader.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tables", type=int, default=71)
    asked = parser.parse_args()
    with EmbeddedPostgres() as server:
        url = server.create_database("page")
        paint_run(url, jobs=asked.jobs, names=[f"Table{n}" for n in range(asked.tables)])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE replank.job")
        with connect(url, name="coordinator") as leading:
            # Otherwise no time that is left would be estimated.
            try_to_lead(leading)
            found = asyncio.run(measure(url, rounds=asked.rounds))
            found["page"], apart = asyncio.run(watch(url, seconds=WATCHED_S))
        with connect(url, name="status") as session:
            found["status"] = []
            for _ in range(asked.rounds):
                began = time.perf_counter()
                read_status(session)
                found["status"].append((time.perf_counter() - began) * 1000)
    told = {name: {"median": round(statistics.median(v), 1), "most": round(max(v), 1)} for name, v in found.items()}
    late = [name for name in JUDGED if told[name]["median"] > MOST_MS]
    for name, v in told.items():
        unit = "KB" if name.endswith("_kb") else "ms"
        print(
            f"{name.removesuffix('_kb'):>18}  median {v['median']:8.1f} {unit}  most {v['most']:8.1f} {unit}",
            file=sys.stderr,
        )
    for kind, longest in apart.items():
        print(f"{'between ' + kind:>18}  most {longest:5.1f} s", file=sys.stderr)
        if asked.jobs <= FEW_JOBS and longest > MOST_APART_S[kind]:
            late.append(f"between {kind}")
    print(
        json.dumps(
            {
                "jobs": asked.jobs,
                "tables": asked.tables,
                "answers": told,
                "within_ms": MOST_MS,
                "apart_s": {kind: round(longest, 1) for kind, longest in apart.items()},
                "late": late,
            }
        )
    )
    raise SystemExit(1 if late else 0)


if __name__ == "__main__":
    main()
