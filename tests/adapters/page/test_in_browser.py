"""The page in a real browser without a window: Chromium, driven by Playwright, and axe-core.

These are skipped where Chromium, Playwright (``pip install -e '.[browser]'``) or axe-core (``npm install axe-core``,
then its ``axe.min.js`` in ``ZENPLAN_AXE``) is missing; with ``ZENPLAN_BROWSER=required``, as ``.ci/run`` has it, they
fail instead.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.page.page import page

from .plans import KINDS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REQUIRED = os.environ.get("ZENPLAN_BROWSER") == "required"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 375, "height": 812}
SCREENS = {"desktop": WIDE, "phone": NARROW}


def missing(what: str) -> Any:
    if REQUIRED:
        pytest.fail(f"{what}; ZENPLAN_BROWSER=required is set")
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed: pip install -e '.[browser]'")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing("there is no Chromium on the path")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def axe() -> str:
    path = os.environ.get("ZENPLAN_AXE")
    if not path:
        missing("ZENPLAN_AXE does not say where axe.min.js of axe-core is")
    return Path(str(path)).read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=KINDS)
def file(request: Any, published: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    import copy

    path = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    path.write_text(page(KINDS[request.param](copy.deepcopy(published))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def usual(published: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "usual.html"
    path.write_text(page(KINDS["ordinary"](published)), encoding="utf-8")
    return path


@contextmanager
def shown(browser: Any, file: Path, **context: Any) -> Iterator[Any]:
    """The file in a tab of its own. It must have said nothing, asked for nothing else and run nothing that is foreign."""
    said: list[str] = []
    asked: list[str] = []
    inside = browser.new_context(**context)
    tab = inside.new_page()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(dialog.message))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(file.as_uri())
    yield tab
    assert tab.evaluate("window.taken") is None
    inside.close()
    assert said == []
    assert [url for url in asked if url != file.as_uri() and not url.startswith("data:")] == []


# The texts of the drawing that is seen, and the boxes that they take.
_TEXTS = """() => [...document.querySelectorAll('svg.chart')].filter((svg) => svg.getClientRects().length)
  .flatMap((svg) => [...svg.querySelectorAll('text')]).map((text) => {
    const box = text.getBoundingClientRect();
    return [text.textContent, box.left, box.top, box.right, box.bottom];
  })"""
# What reaches beyond the right edge of the screen, but for what can be scrolled for itself.
_BEYOND = """() => [...document.querySelectorAll('body *')].filter((each) => !each.closest('.scrolled, .unseen, details'))
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1).map((each) => each.outerHTML.slice(0, 100))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_it_can_be_read_on_every_screen_by_everybody(
    screen: str, scheme: str, browser: Any, axe: str, file: Path
) -> None:
    with shown(browser, file, viewport=SCREENS[screen], color_scheme=scheme) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= SCREENS[screen]["width"]
        assert tab.evaluate(_BEYOND) == []
        assert overlapping(tab.evaluate(_TEXTS)) == []
        tab.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        tab.evaluate(axe)
        found = tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        assert found["passes"], "axe looked at nothing"
        grave = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
        assert [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in grave] == []


def overlapping(boxes: list[list[Any]]) -> list[tuple[str, str]]:
    """Texts that lie on each other by more than a pixel."""
    return [
        (a[0], b[0])
        for number, a in enumerate(boxes)
        for b in boxes[:number]
        if min(a[3], b[3]) - max(a[1], b[1]) > 1 and min(a[4], b[4]) - max(a[2], b[2]) > 1
    ]


def test_overlapping_texts_would_be_seen() -> None:
    assert overlapping([["a", 0, 0, 10, 10], ["b", 8, 8, 20, 20], ["c", 30, 0, 40, 10]]) == [("b", "a")]


def test_what_axe_finds_grave_would_be_seen(browser: Any, axe: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<!doctype html><title>t</title><img src='data:,'><p style='color: #eee'>x", encoding="utf-8")
    with shown(browser, bad) as tab:
        tab.evaluate(axe)
        found = tab.evaluate("axe.run()")["violations"]
    assert {"serious", "critical"} <= {v["impact"] for v in found}


# --- the frontier


def picked(tab: Any) -> str:
    return str(tab.locator("#picked").inner_text())


def marks(tab: Any) -> list[Any]:
    """The marks that are seen, by row."""
    return sorted(tab.locator("svg.chart:visible .point").all(), key=lambda m: int(m.get_attribute("data-row")))


def rows(tab: Any) -> list[list[str]]:
    """The rows of the table beneath, as texts."""
    cells = "(table) => [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent))"
    return list(tab.locator("#frontier-rows").evaluate(cells))


def centre(mark: Any) -> tuple[float, float]:
    box = mark.locator(".ring").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_recommended_plan_is_shown_first(browser: Any, usual: Path) -> None:
    with shown(browser, usual, viewport=WIDE) as tab:
        (first,) = [row for row in rows(tab) if "recommended" in row[-1]]
        assert all(text in picked(tab) for text in first)
        assert len(marks(tab)) == len(rows(tab))


@pytest.mark.parametrize("screen", SCREENS)
def test_a_plan_is_shown_while_it_is_pointed_at(screen: str, browser: Any, usual: Path) -> None:
    with shown(browser, usual, viewport=SCREENS[screen]) as tab:
        before = picked(tab)
        for mark, row in zip(marks(tab), rows(tab), strict=True):
            tab.locator("svg.chart:visible").scroll_into_view_if_needed()
            tab.mouse.move(*centre(mark))
            assert all(text in picked(tab) for text in row if text)
        tab.mouse.move(2, 2)
        assert picked(tab) == before


def test_a_plan_stays_where_it_was_tapped(browser: Any, usual: Path) -> None:
    with shown(browser, usual, viewport=NARROW, has_touch=True, is_mobile=True) as tab:
        tab.locator("svg.chart:visible").scroll_into_view_if_needed()
        for place in (0, len(rows(tab)) - 1):
            tab.touchscreen.tap(*centre(marks(tab)[place]))
            assert all(text in picked(tab) for text in rows(tab)[place] if text)
            assert marks(tab)[place].get_attribute("aria-checked") == "true"


def test_the_keyboard_reaches_every_plan(browser: Any, usual: Path) -> None:
    """One stop of the Tab key; from there the arrows, Home and End."""
    focused = "document.activeElement.dataset.row"
    with shown(browser, usual, viewport=WIDE) as tab:
        told, every = rows(tab), []
        for _ in range(20):
            tab.keyboard.press("Tab")
            if tab.evaluate(focused) is not None:
                break
        tab.keyboard.press("Home")
        for row in told:
            every.append(tab.evaluate(focused))
            label = tab.evaluate("document.activeElement.getAttribute('aria-label')")
            assert all(text in picked(tab) and text in label for text in row if text)
            tab.keyboard.press("ArrowRight")
        assert every == [str(number) for number in range(len(told))]
        tab.keyboard.press("ArrowLeft")
        assert tab.evaluate(focused) == str(len(told) - 2)
        tab.keyboard.press("Tab")
        assert tab.evaluate(focused) is None


def test_the_ranges_of_what_is_shown_are_drawn(browser: Any, file: Path) -> None:
    with shown(browser, file, viewport=WIDE) as tab:
        for mark in marks(tab)[:3]:
            tab.locator("svg.chart:visible").scroll_into_view_if_needed()
            tab.mouse.move(*centre(mark))
        lines = "svg.chart.wide .point.shown .range"
        seen = tab.locator(lines).evaluate_all("(all) => all.map((each) => getComputedStyle(each).visibility)")
        assert seen == ["visible"] * 2


def test_without_a_script_all_is_there_but_what_is_pointed_at(browser: Any, usual: Path) -> None:
    with shown(browser, usual, viewport=WIDE) as tab:
        sections = tab.locator("section h2").all_inner_texts()
    inside = browser.new_context(java_script_enabled=False, viewport=WIDE)
    tab = inside.new_page()
    tab.goto(usual.as_uri())
    assert tab.locator("section h2").all_inner_texts() == sections
    assert tab.locator("svg.chart.wide .label").count() >= 2
    assert not tab.locator("#picked").is_visible()
    inside.close()


# --- on paper


def test_it_prints(browser: Any, file: Path, published: dict[str, Any]) -> None:
    try:
        from pypdf import PdfReader
    except ImportError:
        missing("pypdf is not installed: pip install -e '.[browser]'")
    with shown(browser, file, viewport=NARROW, color_scheme="dark") as tab:
        tab.emulate_media(media="print")
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        verdict = tab.locator(".numbers dd").first.inner_text()
        paper = PdfReader(io.BytesIO(tab.pdf(prefer_css_page_size=True, print_background=True)))
    first = paper.pages[0]
    assert [round(float(side) / 72 * 25.4) for side in first.mediabox[2:]] == [210, 297]
    assert re.sub(r"\s", "", verdict) in re.sub(r"\s", "", first.extract_text())
