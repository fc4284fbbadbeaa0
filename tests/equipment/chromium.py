"""Finding a Chromium: one on PATH, one that Playwright has, or one that an installer can get.

A CI machine may have nothing but Python: there, and as root, the system's own package is installed. Elsewhere only
Playwright's installer is tried, which puts the browser into the user's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
INSTALL_S = 180


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
            _run(attempt)
        found = os.environ.get("REPLANK_CHROMIUM") or next((p for name in NAMES if (p := shutil.which(name))), None)
        if found is not None or Path(own).exists():
            return found or own
    return None


def _installers() -> list[list[str]]:
    apt = ["apt-get", "-y", "-qq", "--no-install-recommends", "install", "chromium", "fonts-dejavu-core"]
    may = bool(os.environ.get("CI")) and os.geteuid() == 0 and shutil.which("apt-get") is not None
    system = [["apt-get", "-qq", "update"], apt] if may else []
    return [*system, [sys.executable, "-m", "playwright", "install", "chromium"]]


def _run(command: list[str]) -> None:
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=INSTALL_S, check=False)
