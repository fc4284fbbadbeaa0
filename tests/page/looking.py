"""A browser that is logged in, and pictures of what it sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "page"
PATIENCE_MS = 20_000


@dataclass(kw_only=True)
class Looking:
    """Opens pages, and keeps what they complain about: a script's error, a breach of the policy, a foreign address."""

    browser: Browser
    root: str
    login: tuple[str, str]
    said: list[str] = field(default_factory=list)

    def open(
        self, path: str, *, width: int = 1280, height: int = 900, scheme: str = "light", touch: bool = False
    ) -> Page:
        """A page in a session of its own."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            has_touch=touch,
            http_credentials={"username": self.login[0], "password": self.login[1]},
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on(
            "console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(self.root) else self.said.append(request.url))
        page.goto(self.root + path)
        return page

    def keep(self, page: Page, name: str, *, whole: bool = True) -> None:
        """A picture among the test's artifacts."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=whole)


def headline(page: Page, words: str) -> None:
    """The page says so at its top, sooner or later, without being loaded again."""
    expect(page.locator("#headlines h1").filter(has_text=words)).to_be_visible(timeout=PATIENCE_MS)


def too_wide(page: Page) -> int:
    """Pixels that stand out to the right."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found
