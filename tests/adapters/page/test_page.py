"""The page as text: it holds the plan, loads nothing, and nothing in a plan becomes markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan import units
from zenplan.adapters.page import figures, page
from zenplan.adapters.page.markup import clean, data_block, element
from zenplan.adapters.page.scale import money_ticks, scale_of, time_ticks
from zenplan.commands.estimate.document import EstimateDocument
from zenplan.documents import convert

from .plans import HOSTILE, KINDS, ordinary

Document = dict[str, Any]
# Elements that load or send something, or run in a frame of their own.
_LOADING = {
    "img",
    "iframe",
    "object",
    "embed",
    "form",
    "input",
    "base",
    "video",
    "audio",
    "source",
    "a",
    "image",
    "use",
}


class Read(HTMLParser):
    """The elements of a page with their attributes, and the texts of some."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: list[tuple[dict[str, str | None], str]] = []
        self.texts: list[str] = []
        self._raw = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._raw = tag in ("script", "style")
        if self._raw:
            self.blocks.append(({"": tag, **dict(attrs)}, ""))

    def handle_endtag(self, tag: str) -> None:
        self._raw = False

    def handle_data(self, data: str) -> None:
        if self._raw:
            kind, text = self.blocks[-1]
            self.blocks[-1] = (kind, text + data)
        else:
            self.texts.append(data)

    def block(self, **wanted: str) -> str:
        """The text of the only script or style with these attributes."""
        (found,) = [t for kind, t in self.blocks if all(kind.get(n) == v for n, v in wanted.items())]
        return found


@pytest.fixture(params=KINDS)
def plan(request: Any, document: Document) -> Document:
    return KINDS[request.param](document)


def test_the_plans_of_these_tests_are_plans(plan: Document) -> None:
    convert(plan, EstimateDocument, "a plan of the tests")


def test_a_page_is_small_and_alone(plan: Document) -> None:
    text = page.page(plan)
    assert len(text.encode()) <= 500_000
    read = Read(text)
    assert {tag for tag, _ in read.elements} & _LOADING == set()
    given = [(tag, name, value) for tag, attributes in read.elements for name, value in attributes.items()]
    assert [each for each in given if each[1].startswith("on") or each[1] in ("src", "style", "action")] == []
    assert [value for _, name, value in given if name in ("href", "xlink:href")] == ["data:,"]


def test_the_policy_lets_its_own_style_and_script_in_and_nothing_else(document: Document) -> None:
    read = Read(page.page(document))
    (policy,) = [
        a["content"] or ""
        for tag, a in read.elements
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    scripts = [text for kind, text in read.blocks if kind[""] == "script" and kind.get("type") is None]
    styles = [text for kind, text in read.blocks if kind[""] == "style"]
    for rule, (text,) in (("script-src", scripts), ("style-src", styles)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_the_page_carries_the_plan(plan: Document) -> None:
    held = json.loads(Read(page.page(plan)).block(id="plan"))
    assert held == plan or len(json.dumps(plan)) > page.MOST_BYTES / 4


def test_figures_are_there_without_a_script(document: Document) -> None:
    shown = " ".join(Read(page.page(ordinary(document))).texts)
    quote = document["quotes"][0]
    bill = next(b for b in quote["bills"] if b["billing"] == document["billing"])
    for text in (
        units.usd(bill["total_usd"]["mid"]),
        units.usd(bill["total_usd"]["high"]),
        figures.time(bill["wall_clock_s"]),
        quote["accelerator"],
        quote["provider"],
        *(fact["name"] for fact in document["inputs"]),
        *(fact["value"] for fact in document["inputs"]),
        *(price["source"] for q in document["quotes"] for price in q["prices"].values() if price),
        *(effect["input"] for effect in ordinary(document)["sensitivity"]),
    ):
        assert text in shown, text


def test_a_part_that_the_page_does_not_know_is_shown_all_the_same(document: Document) -> None:
    """What is added to a bill, a step or a memory has a row without a change of the page."""
    quote = document["quotes"][0]
    for bill in quote["bills"]:
        bill["labelling_usd"] = {"low": 111.0, "mid": 222.0, "high": 333.0}
        bill["licence_usd"] = None
    quote["step"]["waiting_s"] = quote["step"]["total_s"]["mid"]
    quote["memory"]["cache_bytes"] = 7.77e9
    shown = Read(page.page(document)).texts
    for text in ("Labelling", "$222", "Licence", "Waiting", "Cache", "7.77 GB"):
        assert text in shown


def test_amounts_are_in_the_currency_that_was_asked_for(document: Document) -> None:
    """The project, its months and what is not in its total too; the price list stays as it was seen."""
    plan = KINDS["spread"](document)
    shown = Read(page.page(plan)).texts
    bill = document["quotes"][0]["bills"][0]
    for usd in (bill["total_usd"]["mid"], 5.05e5, 5e3, 5e5 / 12):
        assert units.money(usd * 151.3, "¥") in shown
        assert units.usd(usd) not in shown
    assert shown.count("not in the total") >= 2
    assert any("$1 is 151.3" in text and "20 November 2026" in text for text in shown)
    price = next(price for price in document["quotes"][0]["prices"].values() if price)
    assert units.usd(price["usd_per_h"]) in shown
    assert all(line in shown for line in plan["judgement"])


def test_the_age_of_a_price_is_beside_the_dollars(document: Document) -> None:
    bill = document["quotes"][0]["bills"][0]
    for as_of, told, old in (
        ("2026-11-20", "10 days ago", False),
        ("2026-06-03", "180 days ago", False),
        ("2026-06-02", "181 days ago", True),
        (None, "no date", True),
        ("2027-01-01", "today", False),
    ):
        price = document["quotes"][0]["prices"][bill["billing"]]
        price["as_of"] = as_of
        text = page.page(document | {"today": "2026-11-30"})
        verdict = text.partition("<main>")[2].partition("</section>")[0]
        assert told in verdict
        assert ('class="old"' in verdict) is old


def test_no_text_becomes_markup(document: Document) -> None:
    """The same elements with harmless texts and with hostile ones; nothing that is not shown is let through."""
    plan = KINDS["hostile"](document)
    text = page.page(plan)
    assert [tag for tag, _ in Read(text).elements] == [tag for tag, _ in Read(page.page(_harmless(plan))).elements]
    assert "window.taken" in " ".join(Read(text).texts)
    for letter in ("\u2028", "\u202e", "\x00"):
        assert letter not in text
        assert f"&#{ord(letter)};" not in text


def _harmless(value: Any) -> Any:
    if isinstance(value, dict):
        return {n: _harmless(v) for n, v in value.items()}
    if isinstance(value, list):
        return [_harmless(each) for each in value]
    # As long, so that as much of it is shown.
    return re.sub(r"[^\w:/. -]", "_", value) if isinstance(value, str) and _spoiled(value) else value


def _spoiled(text: str) -> bool:
    return any(each in text for each in HOSTILE)


@given(st.text())
def test_any_text_is_escaped(text: str) -> None:
    read = Read(element("p", text, title=text))
    assert [tag for tag, _ in read.elements] == ["p"]
    assert "".join(read.texts) == clean(text)
    assert read.elements[0][1]["title"] == clean(text)


@given(st.recursive(st.text() | st.floats(allow_nan=False, allow_infinity=False), st.lists))
def test_any_json_stays_in_its_block(value: Any) -> None:
    block = data_block("plan", value)
    body = block.partition(">")[2].removesuffix("</script>")
    assert not re.search(r"[<>&\u2028\u2029]", body)
    assert body.isascii()
    assert json.loads(body) == value


# --- axes

_AMOUNTS = st.lists(st.floats(min_value=0, max_value=1e30), min_size=1, max_size=20)


@pytest.mark.parametrize("ticks", [money_ticks, time_ticks])
@given(values=_AMOUNTS, most=st.integers(2, 9))
def test_ticks_lie_on_the_axis_and_are_few(ticks: Callable[..., Any], values: list[float], most: int) -> None:
    scale = scale_of(values, 40.0, 900.0)
    found = ticks(scale, most)
    assert len(found) <= most
    at = [scale.at(value) for value, _ in found]
    assert at == sorted(at)
    assert all(40.0 <= each <= 900.0 for each in at)
    assert len({text for _, text in found}) == len(found)
    for value in values:
        assert 40.0 <= scale.at(value) <= 900.0


@given(values=_AMOUNTS)
def test_a_larger_figure_lies_no_nearer_to_the_start(values: list[float]) -> None:
    scale = scale_of(values, 0.0, 100.0)
    places = [scale.at(value) for value in sorted(values)]
    assert places == sorted(places)


# --- other answers


def test_a_page_of_tables_is_alone_too() -> None:
    read = Read(page.plain_page("zenplan.prices/1", element("p", HOSTILE[0])))
    assert [tag for tag, _ in read.elements if tag in (*_LOADING, "script")] == []
    assert HOSTILE[0] in read.texts
