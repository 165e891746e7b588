"""The published schemas are made of the documents, and hold what they say. ``ZENPLAN_REGENERATE=1`` writes them."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from zenplan.commands.accelerators.document import ProductDocument
from zenplan.commands.calibrate.document import FingerprintDocument
from zenplan.commands.calibrations.document import FingerprintDocument as StoredFingerprintDocument
from zenplan.commands.calibrations.document import (
    MeasuredDocument,
    PointDocument,
    SampleDocument,
    SharedCalibrationDocument,
)
from zenplan.commands.estimate.quote_document import PriceDocument
from zenplan.commands.main import run
from zenplan.commands.prices.document import OfferDocument
from zenplan.commands.shared.document import FactDocument, LayoutDocument
from zenplan.documents import Document, file_of, schema
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.offer import Instance, Price
from zenplan.domain.measured.calibration import SWEEP, Calibration, Fingerprint, Measured, Point, Sample
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.layout import Layout
from zenplan.errors import DataError

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "zenplan" / "data" / "schemas"


def published() -> dict[str, type[Document]]:
    """File of the schema to the outermost object of its document."""
    found = {}
    for file in sorted((ROOT / "zenplan" / "commands").glob("*/document.py")):
        module = import_module(f"zenplan.commands.{file.parent.name}.document")
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Document) and kind.__struct_config__.tag:
                found[file_of(str(kind.__struct_config__.tag))] = kind
    return found


KINDS = published()


def validator(file: str) -> Draft202012Validator:
    return Draft202012Validator(
        json.loads((SCHEMAS / file).read_text(encoding="utf-8")), format_checker=FormatChecker()
    )


@pytest.mark.parametrize("file", KINDS)
def test_a_schema_is_what_its_document_says(file: str) -> None:
    text = json.dumps(schema(KINDS[file]), ensure_ascii=False, indent=2) + "\n"
    if os.environ.get("ZENPLAN_REGENERATE"):
        (SCHEMAS / file).write_text(text, encoding="utf-8")
    assert (SCHEMAS / file).read_text(encoding="utf-8") == text, (
        "stale: ZENPLAN_REGENERATE=1 pytest tests/test_schemas.py"
    )


def test_no_schema_lies_there_without_a_document() -> None:
    assert {file.name for file in SCHEMAS.iterdir()} == KINDS.keys()


# --- what they refuse: each field of a document taken away, renamed, of another type, out of its bounds


@pytest.fixture(
    scope="module",
    params=[
        ("estimate", "--params", "1e9", "--explain", "--top", "2"),
        ("estimate", "--model", "resnet50", "--provider", "aws"),
        ("layouts", "--params", "7e9", "--gpu", "A100-SXM4-80GB", "--gpus", "8"),
        ("accelerators", "show", "h100"),
        ("prices", "--gpu", "h100", "--provider", "aws"),
        ("prices", "doctor"),
        ("prices", "history", "p5.48xlarge"),
        ("workloads", "show", "gpt2-124m"),
        ("data", "show", str(ROOT / "docs")),
        ("plugins",),
        ("config",),
        ("profile",),
        ("backtest", str(ROOT / "benchmarks" / "published" / "full_runs.csv")),
    ],
    ids=lambda argv: " ".join(argv[:2]),
)
def document(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A published document, and what checks it."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as here, contextlib.redirect_stdout(out):
        folder = tmp_path_factory.mktemp("home")
        here.chdir(folder)
        here.setenv("ZENPLAN_PLUGINS", "")
        for name in ("CONFIG", "DATA", "CACHE", "STATE"):
            here.setenv(f"XDG_{name}_HOME", str(folder / name))
        run([*request.param, "--format", "json"])
    found = json.loads(out.getvalue())
    return shortened(found), validator(file_of(found["schema"]))


def shortened(value: Any) -> Any:
    """The same with the first of each list alone: the others have the same fields."""
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    return [shortened(each) for each in value[:1]] if isinstance(value, list) else value


def objects(node: Any, kind: Any, root: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every object of a document that has fixed fields, with the part of the schema that says which."""
    if "$ref" in kind:
        kind = root["$defs"][kind["$ref"].rpartition("/")[2]]
    for branch in kind.get("anyOf", ()):
        yield from objects(node, branch, root)
    if isinstance(node, dict) and "properties" in kind:
        yield node, kind
        for name, each in node.items():
            yield from objects(each, kind["properties"][name], root)
    elif isinstance(node, dict) and isinstance(kind.get("additionalProperties"), dict):
        for each in node.values():
            yield from objects(each, kind["additionalProperties"], root)
    elif isinstance(node, list) and "items" in kind:
        for each in node:
            yield from objects(each, kind["items"], root)


def test_a_field_that_is_missing_renamed_or_of_another_type_is_refused(document: Any) -> None:
    found, check = document
    assert check.is_valid(found)
    spoiled = 0
    for node, kind in objects(found, check.schema, check.schema):
        assert kind["additionalProperties"] is False
        for name in tuple(node):
            value = node.pop(name)
            if name in kind["required"]:
                assert not check.is_valid(found), f"{name} may be missing"
            node[f"{name}_"] = value
            assert not check.is_valid(found), f"{name} may have another name"
            del node[f"{name}_"]
            node[name] = object()
            assert not check.is_valid(found), f"{name} may be anything"
            node[name] = value
            spoiled += 1
    assert spoiled > 4
    assert check.is_valid(found)


def bounds(kind: Any) -> Iterator[Any]:
    """Values that lie just beyond the bounds of a field."""
    for each in (kind, *kind.get("anyOf", ())):
        if "minimum" in each:
            yield each["minimum"] - 1
        if "exclusiveMinimum" in each:
            yield each["exclusiveMinimum"]
        if "maximum" in each:
            yield each["maximum"] + 1
        if "enum" in each or "const" in each:
            yield "no such thing"
        if "minLength" in each:
            yield ""
        if "maxLength" in each:
            yield "x" * (each["maxLength"] + 1)
        if "pattern" in each:
            yield "?"
        if "minItems" in each:
            yield []


def test_a_value_out_of_bounds_is_refused(document: Any) -> None:
    found, check = document
    tried = 0
    for node, kind in objects(found, check.schema, check.schema):
        for name, value in tuple(node.items()):
            for beyond in bounds(kind["properties"][name]):
                node[name] = beyond
                assert not check.is_valid(found), f"{name} may be {beyond!r}"
                tried += 1
            node[name] = value
    assert tried
    assert check.is_valid(found)


# --- the nouns hold the same bounds

POINT = Point(key="depth=1 batch=8", batch=8)
FINGERPRINT = Fingerprint(
    device="d", kind="cpu", threads=1, backend="torch", versions={}, precision="fp32", compiled=False
)
NOUNS = (
    (Layout(), LayoutDocument),
    (Fact(name="tokens", value="1", origin=Origin.GIVEN), FactDocument),
    (Price(usd_per_h=1.0, as_of=None, source="a list"), PriceDocument),
    (Instance(provider="p", name="i", accelerator="X1", devices=8), OfferDocument),
    (
        Accelerator(name="X1", vendor="V", architecture="A", memory_bytes=1e9, memory_bytes_per_s=1e9),
        ProductDocument,
    ),
    (Sample(round=0, wall_s=1.0, cpu_s=1.0), SampleDocument),
    (FINGERPRINT, FingerprintDocument),
    (FINGERPRINT, StoredFingerprintDocument),
    (POINT, PointDocument),
    (Measured(point=POINT), MeasuredDocument),
    (
        Calibration(
            id="abcdefgh",
            kind=SWEEP,
            subject="all",
            family="all",
            fingerprint=FINGERPRINT,
            taken_at=datetime(2026, 11, 20, tzinfo=UTC),
        ),
        SharedCalibrationDocument,
    ),
)


@pytest.mark.parametrize(("noun", "kind"), NOUNS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_noun_takes_nothing_that_the_schema_of_its_document_refuses(noun: Any, kind: type[Document]) -> None:
    # A day is a date in the noun, and cannot be another text; a kind that is not known is another; ids are the store's.
    own = {field.name for field in fields(noun)} - {"as_of", "failure_kind", "id"}
    told = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    refused = [(name, beyond) for name in told if name in own for beyond in bounds(told[name])]
    assert refused
    for name, beyond in refused:
        with pytest.raises(DataError):
            replace(noun, **{name: beyond})
