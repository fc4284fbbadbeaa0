"""Finding a Chromium: one on PATH, one that Playwright has, or one that an installer can get.

A fresh machine may have nothing but Python: as root, the system's own package is installed. Elsewhere only
Playwright's installer is tried, which puts the browser into the user's cache.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

from support.servers.system_packages import apt_commands, find_program, run_installer

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@contextmanager
def open_browser() -> Iterator[Browser | None]:
    """None where no Chromium is there and none can be had; the tests then say so."""
    with sync_playwright() as playwright:
        program = find_chromium(playwright)
        if program is None:
            yield None
            return
        # Root cannot have Chromium's sandbox; the pages are our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def find_chromium(playwright: Playwright) -> str | None:
    """The program, or None where there is none and none can be had."""
    own = playwright.chromium.executable_path
    for attempt in (None, *_installers()):
        if attempt is not None:
            run_installer(attempt)
        found = os.environ.get("REPLANK_CHROMIUM") or find_program(*NAMES)
        if found is not None or Path(own).exists():
            return found or own
    return None


def _installers() -> list[list[str]]:
    return [*apt_commands("chromium", "fonts-dejavu-core"), [sys.executable, "-m", "playwright", "install", "chromium"]]
