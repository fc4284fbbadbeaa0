"""What stands before every page of the server, Flower's own as well as ours: login, same origin, headers.

It is one router around the application, so that no handler can be forgotten: static files and what is not there
at all ask for the login like everything else. `/healthcheck` alone is open; it says OK. So may `/metrics` be, where
the operator says so: it has names of workers and kinds of jobs.
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlsplit

import structlog
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import Router
from tornado.web import Application, OutputTransform, RequestHandler

from monitoring.flower.login_guard import LoginGuard

log = structlog.get_logger()

READING = ("GET", "HEAD")
LOOPBACK = ("localhost", "127.0.0.1", "::1")

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

POLICY_OF_FLOWER = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Flower has a script and styles within its pages. Ours have none, and their handlers set a stricter policy."""

CROSS_ORIGIN = ("Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods")


class Refusal(RequestHandler):
    """Says no, with a reason that tells nothing."""

    def initialize(self, *, status: int, words: str, wait_s: float) -> None:
        self.status, self.words, self.wait_s = status, words, wait_s

    def check_xsrf_cookie(self) -> None:
        """Nothing is done here that would have to be protected."""

    def prepare(self) -> None:
        self.set_status(self.status)
        if self.status == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="Replank", charset="UTF-8"')
        if self.wait_s > 0:
            self.set_header("Retry-After", str(math.ceil(self.wait_s)))
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.words + "\n")


class SecurityHeaders(OutputTransform):
    """Puts the headers on every answer."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        for name, value in HEADERS.items():
            headers[name] = value
        if "Content-Security-Policy" not in headers:
            headers["Content-Security-Policy"] = POLICY_OF_FLOWER
        for name in (*CROSS_ORIGIN, "Server"):
            if name in headers:
                del headers[name]
        return super().transform_first_chunk(status_code, headers, chunk, finishing)


class Gate(Router):
    """Lets a request through to the application, or refuses it."""

    def __init__(
        self, application: Application, guard: LoginGuard, *, prefix: str = "", open_metrics: bool = False
    ) -> None:
        self._application = application
        self._guard = guard
        self._open = {f"{prefix}/healthcheck"} | ({f"{prefix}/metrics"} if open_metrics else set())
        application.add_transform(SecurityHeaders)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        refused = self._refused(request)
        if refused is not None:
            status, words, wait_s = refused
            said = {"status": status, "words": words, "wait_s": wait_s}
            return self._application.get_handler_delegate(request, Refusal, said)
        return self._application.find_handler(request, **kwargs)

    def _refused(self, request: HTTPServerRequest) -> tuple[int, str, float] | None:
        """Status, words, and the seconds after which it may be tried again (0 where that is not the reason)."""
        if self._guard.logins.open and host_of(request.host) not in LOOPBACK:
            # Another site's name that leads to this machine would make its pages same-origin with ours.
            return 403, "This server answers to the names of its own machine only.", 0.0
        if request.method == "GET" and request.path in self._open:
            return None
        judged = self._guard.judge(
            request.headers.get("Authorization"),
            peer=request.remote_ip or "",
            forwarded=",".join(request.headers.get_list("X-Forwarded-For")),
            cookies=request.headers.get("Cookie", ""),
        )
        if judged.wait_s > 0:
            return 429, f"Too many wrong logins. Try again in {math.ceil(judged.wait_s)} s.", judged.wait_s
        who = judged.who
        if who is None:
            return 401, "Log in.", 0.0
        if request.method not in READING:
            if not same_origin(request):
                log.warning("refused: from another site", who=who, method=request.method, path=request.path)
                return 403, "This was asked for by another site.", 0.0
            log.info("asked for", who=who, method=request.method, path=request.path)
        return None


def host_of(host: str) -> str:
    """The name in a `Host` header, without port and brackets; empty where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def same_origin(request: HTTPServerRequest) -> bool:
    """Whether a page of this server asked, or no browser at all.

    Browsers say where a request comes from, in `Sec-Fetch-Site` or, older ones, in `Origin`; pages cannot change
    either. A program that sends neither has no login but the one that it was given.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
