"""The run page's answers to a browser: the page itself, what is new, the jobs of a cell, and actions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from monitoring.failures.explain import explain_job, newest_run
from monitoring.flower.login_guard import COOKIE, LoginGuard
from monitoring.page.watcher import Reader, Watcher
from replank.errors import ReplankError, WrongUse
from replank.values.states import JobKind
from sql.ledger.reading import page
from sql.session.connection import Connection

log = structlog.get_logger()

FOLDER = Path(str(files("monitoring.page")))
SHOWN_CHUNKS = 40

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""No script and no style but our own files, nothing from anywhere else, and no text that becomes markup."""

Action = Callable[[str, int, Mapping[str, Any]], str]
"""Called in a thread with the operator's name, the run on the page, and what was asked for; gives the answer.

Raises ReplankError with what to do instead.
"""


Question = Callable[[Connection], dict[str, Any]]
"""What hangs on an action: `run`, `database`, `host`, `lines`. Raises ReplankError where it cannot be asked for."""


@dataclass(frozen=True, kw_only=True)
class PageContext:
    """What the handlers share. `actions` by the word in their URL; the page has a button for each that is there."""

    guard: LoginGuard
    watcher: Watcher
    reader: Reader
    actions: Mapping[str, Action]
    threads: Executor
    """Where actions are done; a slow one delays no other viewer of the page."""
    prefix: str = ""
    questions: Mapping[str, Question] = field(default_factory=dict)
    """By the word of the action: what the page says before it asks whether that is meant."""


class Handler(RequestHandler):
    """Asks for the login by itself too, whatever stands before it."""

    def initialize(self, *, context: PageContext) -> None:
        self.context = context

    def prepare(self) -> None:
        if self.current_user is None:
            self.set_header("WWW-Authenticate", 'Basic realm="Replank", charset="UTF-8"')
            raise HTTPError(401)

    def get_current_user(self) -> str | None:
        return self.context.guard.logins.user_of(self.request.headers.get("Authorization"))

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ARG002
        """No traceback and none of the request's own words."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps({"problem": self._reason}))

    def number(self, name: str, default: int | None = None) -> int | None:
        """A whole number of the query, or the default where it is not there."""
        text = self.get_query_argument(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise HTTPError(400, reason=f"{name} is not a number")
        return int(text)


class Home(Handler):
    """The server's own address leads to the run; Flower's pages have theirs."""

    def get(self) -> None:
        self.redirect(f"{self.context.prefix}/run")


class RunPage(Handler):
    """The page without any figures: these come with `now`."""

    def get(self) -> None:
        self._remember_browser()
        template = _templates().get_template("page.html.j2")
        self.finish(
            template.render(who=self.current_user, token=self.xsrf_token.decode(), actions=self.context.actions)
        )

    def _remember_browser(self) -> None:
        """Wrong guesses of this name from elsewhere do not delay a browser that has logged in here."""
        if self.context.guard.logins.open:
            return
        secure = self.request.protocol == "https"
        mark = self.context.guard.cookie_for(str(self.current_user))
        self.set_cookie(COOKIE, mark, httponly=True, samesite="Strict", secure=secure, path=f"{self.context.prefix}/")


class Now(Handler):
    """What has changed since the read that the page has."""

    async def get(self) -> None:
        since = self.number("since", 0) or 0
        news = await self.context.watcher.news(self.get_query_argument("epoch", ""), since)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(news)


class Cell(Handler):
    """The jobs of one cell of a heat map."""

    async def get(self) -> None:
        run_id, first, last = self.number("run"), self.number("first"), self.number("last")
        kind = self.get_query_argument("kind", "")
        if run_id is None or first is None or last is None or kind not in list(JobKind):
            raise HTTPError(400, reason="The cell is missing")
        table_no, cache_no = self.number("table"), self.number("cache")

        def read(connection: Connection) -> list[page.CellJob]:
            return page.read_chunks(
                connection,
                run_id,
                kind=kind,
                table_no=table_no,
                cache_no=cache_no,
                first=first,
                last=last,
                limit=SHOWN_CHUNKS,
            )

        try:
            found = await self.context.reader.read(read)
        except (psycopg.Error, ReplankError):
            raise HTTPError(503, reason="The database does not answer") from None
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps({"jobs": [job.to_json() for job in found]}, default=str))


class Explain(Handler):
    """What a job is: its SQL, the server's plan for it, and every attempt that did not end well."""

    async def get(self) -> None:
        job_id = self.number("job")
        if job_id is None:
            raise HTTPError(400, reason="The job is missing")

        def read(connection: Connection) -> dict[str, Any]:
            return explain_job(connection, newest_run(connection), job_id).to_json()

        try:
            found = await self.context.reader.read(read)
        except WrongUse as error:
            self.set_status(404)
            found = {"problem": str(error)}
        except (psycopg.Error, ReplankError):
            raise HTTPError(503, reason="The database does not answer") from None
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(found, default=str))


class Ask(Handler):
    """The consequences of an action, before the operator is asked whether it is meant."""

    async def get(self, name: str) -> None:
        question = self.context.questions.get(name)
        if question is None:
            raise HTTPError(404, reason="There is no such question")
        try:
            found = await self.context.reader.read(question)
        except WrongUse as error:
            self.set_status(409)
            found = {"problem": str(error)}
        except (psycopg.Error, ReplankError):
            raise HTTPError(503, reason="The database does not answer") from None
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(found, default=str))


class Act(Handler):
    """What the operator asks for. The request must come from the page itself, and name the run it was drawn of."""

    async def post(self, name: str) -> None:
        action = self.context.actions.get(name)
        if action is None:
            raise HTTPError(404, reason="There is no such action")
        asked = self._asked()
        run_id = asked.pop("run", None)
        if not isinstance(run_id, int):
            raise HTTPError(400, reason="The run is missing")
        who = str(self.current_user)
        loop = asyncio.get_running_loop()
        try:
            said = await loop.run_in_executor(self.context.threads, action, who, run_id, asked)
        except ReplankError as error:
            self._answer(409, problem=str(error))
            return
        except psycopg.Error as error:
            log.warning("an action from the page failed", who=who, action=name, reason=str(error).strip())
            self._answer(503, problem="The database does not answer; nothing was changed, or the ledger's log says so.")
            return
        self.context.watcher.refresh()
        log.info("done from the page", who=who, action=name, run=run_id)
        self._answer(200, said=said)

    def _asked(self) -> dict[str, Any]:
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            raise HTTPError(415, reason="The body must be application/json")
        try:
            asked = json.loads(self.request.body)
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict):
            raise HTTPError(400, reason="The body must be a JSON object")
        return asked

    def _answer(self, status: int, **said: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(said))


class Static(StaticFileHandler):
    """Our scripts and styles, asked for again each time: they belong to the server that sent the page."""

    def set_extra_headers(self, _path: str) -> None:
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Security-Policy", POLICY)


def _templates() -> Environment:
    return Environment(loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined)
