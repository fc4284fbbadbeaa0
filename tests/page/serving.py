"""The page's handlers behind the gate, in a plain Tornado application in a thread: no Flower, no broker."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from monitoring.flower.login_gate import Gate
from monitoring.flower.login_guard import LoginGuard, parse_proxies
from monitoring.flower.logins import Logins
from monitoring.page.handlers import Action, PageContext, Question
from monitoring.page.routes import rules
from monitoring.page.sections import SectionReader
from monitoring.page.watcher import Reader, Watcher

ALICE = "alice:wonderland"


def basic(login: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(kw_only=True)
class Served:
    """A server of the page over one database. Stopped by `stop`."""

    url: str
    logins: Logins = field(default_factory=lambda: Logins.parse(ALICE))
    actions: Mapping[str, Action] = field(default_factory=dict)
    guard: LoginGuard = field(init=False)
    questions: Mapping[str, Question] = field(default_factory=dict)
    proxies: Sequence[str] = ()
    port: int = 0
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.guard = LoginGuard(logins=self.logins, proxies=parse_proxies(self.proxies))

    def start(self) -> Served:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="page-server")
        self._thread.start()
        assert ready.wait(10)
        return self

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        reader, looks = Reader(self.url), SectionReader()
        threads = ThreadPoolExecutor(max_workers=2)
        context = PageContext(
            guard=self.guard,
            # Each question is a look of its own
            watcher=Watcher(
                reader=reader,
                prepare=lambda: looks.whole,
                at_most_every_s=0.0,
                share_of_time=1.0,
            ),
            reader=reader,
            actions=self.actions,
            questions=self.questions,
            threads=threads,
        )
        application = Application(rules(context), xsrf_cookies=True, compress_response=True)
        server = HTTPServer(Gate(application, self.guard))
        sockets = bind_sockets(0, address="127.0.0.1")
        server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.stop()
        await server.close_all_connections()
        reader.close()
        threads.shutdown()

    def stop(self) -> None:
        assert self._loop is not None
        assert self._stop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        login: str | None = ALICE,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> Answer:
        """One request as it is written: nothing follows redirects, nothing adds headers but `Host`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {**(basic(login) if login else {}), **(headers or {})})
            found = connection.getresponse()
            said = {name.lower(): value for name, value in found.getheaders()}
            return Answer(status=found.status, headers=said, body=found.read().decode())
        finally:
            connection.close()

    def token(self) -> dict[str, str]:
        """The headers with which the page itself asks for an action."""
        page = self.ask("/run")
        cookie = page.headers["set-cookie"].partition(";")[0]
        token = page.body.partition('name="token" content="')[2].partition('"')[0]
        return {"Cookie": cookie, "X-XSRFToken": token, "Content-Type": "application/json"}

    def act(self, name: str, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        own = {"Sec-Fetch-Site": "same-origin", **self.token()} if headers is None else headers
        return self.ask(f"/run/do/{name}", "POST", headers=own, body=json.dumps(fields))

    def sections(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("/run/now").document["sections"]
        return found
