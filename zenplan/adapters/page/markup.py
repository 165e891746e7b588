"""HTML that cannot be broken out of: every text is escaped, but for what was made here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from zenplan.adapters.files.data import data_text
from zenplan.errors import printable

# A name or a reason that is longer is no name and no reason.
_LONGEST: Final = 600
# Whole numbers below it are the same as floats.
_EXACT: Final = 2**53
_VOID: Final = ("circle", "line", "link", "meta", "path", "polygon", "rect")


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


Child = str | None


def clean(text: str, longest: int = _LONGEST) -> str:
    """Somebody's text on one line: no control characters, none that turn the direction of reading, not too long."""
    line = printable(re.sub(r"\s+", " ", text))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def element(name: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element of HTML or SVG. Children that are no markup are somebody's texts, and so are attributes.

    An attribute that is None or False is left out; ``class_`` is ``class``, ``aria_label`` is ``aria-label``.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    if name in _VOID and not children:
        return Markup(f"<{name}{given}>" if name in ("link", "meta") else f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """The children one after another."""
    return Markup("".join(c if isinstance(c, Markup) else escape(clean(c)) for c in children if c is not None))


def _attribute(name: str, value: Any) -> str:
    # SVG has attributes in camel case and others with dashes.
    named = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {named}"
    if isinstance(value, float):
        value = f"{value:.1f}".removesuffix(".0")
    text = str(value) if isinstance(value, Markup) else clean(str(value))
    return f' {named}="{escape(text)}"'


def data_block(name: str, value: Any) -> Markup:
    """JSON for whoever reads the page with a program. Nothing in it can end the block or begin another."""
    text = json.dumps(_whole(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(f'<script type="application/json" id="{escape(name)}">{text}</script>')


def _whole(value: Any) -> Any:
    """The value with 8 for 8.0: JSON knows one kind of number, and a plan that was read again is the same."""
    if isinstance(value, Mapping):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def asset(name: str) -> str:
    """The text of a file in ``zenplan/data/page/``."""
    return data_text(f"page/{name}")


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with each ``{{name}}`` replaced, once and in one go: what is put in is not looked at again."""
    # Letters beyond ASCII as references: it is the same page in whatever encoding it is written.
    pieces = template.split("{{")
    text = pieces[0]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        text += parts[name] + rest
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")
