"""Finding a Chromium: one on PATH, one that Playwright has, or one that its installer can get."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
INSTALL_S = 120


def find_chromium(playwright: Playwright) -> str | None:
    """The program, or None where there is none and none can be had."""
    named = os.environ.get("REPLANK_CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    own = playwright.chromium.executable_path
    if found is None and not Path(own).exists():
        command = [sys.executable, "-m", "playwright", "install", "chromium"]
        try:
            subprocess.run(command, capture_output=True, timeout=INSTALL_S, check=False)
        except subprocess.TimeoutExpired:
            return None
    return found or (own if Path(own).exists() else None)
