"""Sections of a page about what a model's answers come from."""

from __future__ import annotations

import base64

from zenplan import units
from zenplan.adapters.page.markup import Markup, element
from zenplan.adapters.picture.heat import BLUE, RED, bars_png, image_png, shares
from zenplan.domain.measured.explanation import Attribution, Explanation


def sections(found: Explanation) -> Markup:
    """A section for each sample, or one for the whole part; then whether all of it can be believed."""
    parts = []
    for each in found.samples:
        title = f"Sample {each.number}" + (f": {each.target}" if each.target else "")
        known = f", it is {each.label}" if each.label else ""
        score = f"score {units.significant(each.score, 4)}, baseline {units.significant(each.baseline_score, 4)}{known}"
        parts.append(element("section", element("h2", title), element("p", score), *map(picture, each.inputs)))
    if found.importance is not None:
        title = f"Loss added where a place is shuffled among {found.importance.samples:,} samples"
        parts.append(element("section", element("h2", title), *map(picture, found.importance.inputs)))
    return Markup("".join(parts))


def picture(found: Attribution) -> Markup:
    """An input under its attributions: an image, a text, or bars."""
    if found.is_image and len(found.shape) == 2:
        return _image(image_png(found), f"{found.name}: the image, and where its attributions are")
    if found.tokens:
        return _text(found)
    return element("figure", _image(bars_png(found), f"{found.name}: the largest attributions"), _listed(found))


def _listed(found: Attribution) -> Markup:
    lines = (
        element("li", f"{found.label(place)}: {units.significant(found.values[place], 3)}")
        for place in found.largest(20)
    )
    return element("ol", *lines)


def _text(found: Attribution) -> Markup:
    """Each token on a ground that is as strong as its attribution."""
    spans = []
    for label, share, value in zip(found.labels, shares(found.values), found.values, strict=True):
        red, green, blue = RED if share >= 0.0 else BLUE
        style = f"background: rgb({red} {green} {blue} / {abs(share) * 75:.0f}%)"
        # A blank or a line's end is seen where it stands.
        shown = label.replace("\n", "↵ ")
        spans.append(element("span", shown, style=style, title=units.significant(value, 3)))
    return element("p", *spans, class_="tokens")


def _image(png: bytes, what: str) -> Markup:
    data = Markup("data:image/png;base64," + base64.b64encode(png).decode())
    return element("img", src=data, alt=what)
