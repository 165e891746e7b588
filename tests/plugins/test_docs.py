"""Each page of ``docs/plugins/`` shows a whole plugin, as ``zenplan plugins new`` writes it and its own tests pass.

``ZENPLAN_REGENERATE=1 pytest tests/plugins/test_docs.py`` writes them into the pages.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import get_type_hints

import pytest

from zenplan import hookspecs
from zenplan.commands.plugins.new import KINDS, rendered
from zenplan.plugins.items import KINDS as ITEMS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "plugins").glob("*.md"))
_MARKED = re.compile(r"(<!-- plugin (\w+) (\w+) -->\n).*?(<!-- /plugin -->)", re.DOTALL)
# Blocks of Python in the documents are run one by one; these are files of a distribution.
_LANGUAGES = {".py": "py", ".toml": "ini", ".csv": "text"}
_MOST_LINES = 150


def shown(kind: str, name: str) -> str:
    """Its files, less those that all have or that are long."""
    text = ""
    for path, content in rendered(kind, name):
        suffix = Path(path).suffix
        if suffix in _LANGUAGES and content.count("\n") < _MOST_LINES:
            text += f"`{path}`\n\n```{_LANGUAGES[suffix]}\n{content.rstrip()}\n```\n\n"
    return text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_plugin_of_a_page_is_the_one_that_is_written(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    made = _MARKED.sub(lambda found: f"{found[1]}{shown(found[2], found[3])}{found[4]}", text)
    if os.environ.get("ZENPLAN_REGENERATE"):
        page.write_text(made, encoding="utf-8")
        text = made
    assert text == made, "stale: ZENPLAN_REGENERATE=1 pytest tests/plugins/test_docs.py"
    assert len(_MARKED.findall(text)) == 1


def test_every_kind_and_hook_has_a_page() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert sorted(found[1] for text in texts for found in _MARKED.findall(text)) == sorted(KINDS)
    index = (DOCS / "plugins.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"(plugins/{page.name})" not in index] == []
    for hook, (_, kind) in ITEMS.items():
        # The signature, as the specification has it; and every member.
        returns = get_type_hints(getattr(hookspecs, hook))["return"]
        signature = f"def {hook}() -> {returns.__origin__.__name__}[{kind.__name__}]"
        (page,) = (text for text in texts if signature in text)
        if hook != "zenplan_accelerators":
            members = [name for name in vars(kind) if name[0] != "_"]
            assert [name for name in members if f"| `{name}" not in page] == []


def test_a_price_table_has_the_lines_it_says() -> None:
    page = (DOCS / "plugins" / "prices.md").read_text(encoding="utf-8")
    block = page.partition("```python\n")[2].partition("```")[0]
    lines = len([line for line in block.splitlines() if line.strip()])
    assert f"## A price table in {lines} lines\n" in page
    assert lines <= 12
