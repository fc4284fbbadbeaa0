"""What stands before every page of the server, Flower's own as well as ours: login, same origin, headers.

It is one router around the application, so that no handler can be forgotten: static files and what is not there
at all ask for the login like everything else. `/healthcheck` alone is open; it says OK. So may `/metrics` be, where
the operator says so: it has names of workers and kinds of jobs.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import structlog
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import Router
from tornado.web import Application, OutputTransform, RequestHandler

from monitoring.flower_logins import Logins

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

    def initialize(self, *, status: int, words: str) -> None:
        self.status, self.words = status, words

    def check_xsrf_cookie(self) -> None:
        """Nothing is done here that would have to be protected."""

    def prepare(self) -> None:
        self.set_status(self.status)
        if self.status == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="Replank", charset="UTF-8"')
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.words + "\n")


class SecurityHeaders(OutputTransform):
    """Puts the headers on every answer, whoever wrote it."""

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
        self, application: Application, logins: Logins, *, prefix: str = "", open_metrics: bool = False
    ) -> None:
        self._application = application
        self._logins = logins
        self._open = {f"{prefix}/healthcheck"} | ({f"{prefix}/metrics"} if open_metrics else set())
        application.add_transform(SecurityHeaders)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        refused = self._refused(request)
        if refused is not None:
            status, words = refused
            said = {"status": status, "words": words}
            return self._application.get_handler_delegate(request, Refusal, said)
        return self._application.find_handler(request, **kwargs)

    def _refused(self, request: HTTPServerRequest) -> tuple[int, str] | None:
        if self._logins.open and host_of(request.host) not in LOOPBACK:
            # Another site's name that leads to this machine would make its pages same-origin with ours.
            return 403, "This server answers to the names of its own machine only."
        if request.method == "GET" and request.path in self._open:
            return None
        who = self._logins.who(request.headers.get("Authorization"))
        if who is None:
            return 401, "Log in."
        if request.method not in READING:
            if not same_origin(request):
                log.warning("refused: from another site", who=who, method=request.method, path=request.path)
                return 403, "This was asked for by another site."
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
