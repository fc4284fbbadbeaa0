"""A receiver of webhooks, on a real HTTP server: each request is answered as the test says, and kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@dataclass
class Receiver:
    """`answers` are the statuses of the first requests, then 200. `held`: requests wait until it is set."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    held: threading.Event | None = None
    asked: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Id and document of each request, its signature checked by the specification's own library."""
        return [(headers["webhook-id"], Webhook(SECRET).verify(body, headers)) for headers, body in list(self.asked)]

    def kinds(self) -> list[str]:
        return [document["data"]["event"] for _, document in self.told()]


@contextmanager
def receiver(*answers: int, held: threading.Event | None = None) -> Iterator[Receiver]:
    site = Receiver(answers=list(answers), held=held)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            site.asked.append(({name.lower(): value for name, value in self.headers.items()}, body))
            if site.held is not None:
                site.held.wait(30)
            self.send_response(site.answers.pop(0) if site.answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/hook?token=secret"
    try:
        yield site
    finally:
        if held is not None:
            held.set()
        server.shutdown()
        server.server_close()
        thread.join()
