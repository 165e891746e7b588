"""The page: a published estimate as one HTML file that loads nothing, runs nothing but its own script, and prints."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from zenplan import units
from zenplan.adapters.page import sections
from zenplan.adapters.page.figures import Object, day
from zenplan.adapters.page.markup import asset, clean, data_block, element, filled, joined
from zenplan.adapters.page.tornado import sensitivity
from zenplan.version import __version__

# The schema of what has a page of its own, in any version.
ESTIMATE: Final = "zenplan.estimate/"
# A page that goes by mail.
MOST_BYTES: Final = 500_000


def page(document: Object) -> str:
    """The page of an estimate, as ``zenplan estimate --format json`` publishes it.

    Args:
        document: in JSON types, valid for its schema.

    Returns:
        HTML of at most 500 kB; the plan itself is in it too, as JSON, where there is room.
    """
    main = joined(
        (
            sections.verdict(document),
            sections.choice(document),
            sections.plans(document),
            element(
                "div",
                element("div", sections.money(document), sections.memory(document)),
                element("div", sections.hours(document), sections.project(document)),
                class_="columns",
            ),
            sensitivity(document),
            sections.assumptions(document),
            sections.prices(document),
            sections.notes(document),
            sections.derivation(document),
        )
    )
    whole = _whole(document, main, data_block("plan", document))
    if len(whole.encode()) > MOST_BYTES:
        whole = _whole(document, main, data_block("plan", None))
    return whole


def plain_page(schema: str, tables: str) -> str:
    """A page of tables that are HTML already, as ``formats.html`` makes them: they style themselves.

    Args:
        schema: of the document that the tables show.
        tables: HTML.
    """
    # The alignment of a cell is an attribute of its own there.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    name = schema.removeprefix("zenplan.").partition("/")[0]
    return filled(
        asset("tables.html"),
        {
            "policy": policy,
            "title": element("title", f"zenplan {name}"),
            "style": asset("tables.css"),
            "heading": joined((f"zenplan {name}",)),
            "main": tables,
            "made": joined((f"zenplan {__version__}, {schema}",)),
        },
    )


def _whole(document: Object, main: str, plan: str) -> str:
    style, script = asset("page.css"), asset("page.js")
    load = document["workload"]
    made = f"zenplan {__version__}, {document['schema']}"
    return filled(
        asset("page.html"),
        {
            "policy": _policy(style, script),
            "title": element("title", sections.title(document)),
            "style": style,
            "heading": joined((sections.title(document),)),
            "about": joined((_about(document, load),)),
            "main": main,
            "made": joined((made,)),
            "plan": plan,
            "script": script,
        },
    )


def _about(document: Object, load: Object) -> str:
    plan = document["plan"]
    return clean(
        f"{units.count(load['parameters'])} parameters, {units.count(plan['steps'])} steps in {plan['precision']}, "
        f"{plan['optimizer']}, estimated on {day(document['today'])}"
    )


def _policy(style: str, script: str) -> str:
    """The content security policy: this style and this script, and nothing from anywhere."""
    return (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
