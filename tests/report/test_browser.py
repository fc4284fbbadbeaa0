"""The page in a real browser, at the width of a desk and of a phone, in light and dark, and on paper."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support.servers.chromium import open_browser

from producer.cli.report import report
from report.documents import Document

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "report"

SCREENS = (
    ("desktop", 1280, 900, "light"),
    ("desktop", 1280, 900, "dark"),
    ("phone", 390, 844, "light"),
    ("narrow", 320, 640, "dark"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser | None]:
    with open_browser() as found:
        yield found


def test_nothing_leaves_the_page_and_everything_can_be_read(
    browser: Browser | None, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page_file = ARTIFACTS / "report.html"
    report(out=page_file, database_url=database)
    document = Document(page_file.read_text())
    assert "Zero data loss" in document.words
    if browser is None:
        with capsys.disabled():
            print(
                "\nNO BROWSER: the report was read by an HTML parser only; layout, console and requests were not "
                "looked at. Install Chromium (apt-get install chromium, or playwright install chromium), or name one "
                "in REPLANK_CHROMIUM."
            )
        return
    for screen in SCREENS:
        _look(browser, page_file, *screen)


def _look(browser: Browser, page_file: Path, name: str, width: int, height: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith("data:") else None)
    page.goto(page_file.as_uri())
    assert said == [page_file.as_uri()], "something was asked for, or went wrong"
    # Every criterion is there, in sight, and its details open
    for number in range(1, 7):
        assert page.locator(".criterion").nth(number - 1).locator("h3").is_visible()
    page.locator(".criterion summary").first.click()
    assert page.locator(".criterion details p").first.is_visible()
    # Nothing is wider than the screen, no word of a picture outside of it
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"{name}: {over} pixels too wide"
    outside = page.evaluate(
        "[...document.querySelectorAll('svg text')].filter(t => t.getBoundingClientRect().right > innerWidth + 1)"
        ".map(t => t.textContent)"
    )
    assert outside == [], name
    # The words can be told from the paper
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert _contrast(ink, paper) > 7
    page.screenshot(path=ARTIFACTS / f"{name}-{scheme}.png", full_page=True)
    if name == "desktop" and scheme == "light":
        page.pdf(path=ARTIFACTS / "report.pdf", format="A4")
    page.close()


def _contrast(one: str, other: str) -> float:
    """As the WCAG define it, from 1 to 21."""
    lights = sorted((_light(one), _light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
