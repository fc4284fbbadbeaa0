"""Asking an address: no redirect is followed, for a page that says 200 behind one says nothing about what was asked."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.parse import urlsplit

DEADLINE_S = 10.0
MOST_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; `status` is 0 where nothing did, and `text` says why."""

    status: int
    text: str

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """A redirect is an answer like any other, and not a good one."""


def ask(url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """GET, or POST where there is a body."""
    request = urllib.request.Request(url, data=body, headers={"User-Agent": "replank", **(headers or {})})
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=DEADLINE_S) as answer:
            return Answer(status=answer.status, text=answer.read(MOST_BYTES).decode("utf-8", errors="replace"))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(status=error.code, text=error.reason)
    except urllib.error.URLError as error:
        return Answer(status=0, text=str(error.reason))
    except (OSError, HTTPException, ValueError) as error:
        return Answer(status=0, text=str(error) or type(error).__name__)


def place_of(url: str) -> str:
    """Scheme and host: path, query and login may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
