"""What every output has: it fits the terminal, it parses, and its JSON is what the published schema says."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from zenplan.commands.app import ROOMS

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "zenplan" / "data" / "schemas"
FAKE_NVML = ROOT / "tests" / "adapters" / "machine" / "fake_nvml.c"

ESTIMATES = (
    ("estimate", "--params", "1e9"),
    ("estimate", "--model", "llama3-8b", "--gpu", "H100", "--gpus", "64", "--provider", "aws", "--explain"),
    ("estimate", "--model", "mixtral-8x7b", "--billing", "spot", "--explain", "--top", "100"),
    ("estimate", "--params", "7B", "--method", "qlora", "--tokens", "40M", "--deadline", "30d", "--budget", "$1,000"),
    ("estimate", "--params", "7B", "--gpu", "a100-80gb", "--budget", "1"),
    ("estimate", "--model", "resnet50", "--provider", "aws", "--explain"),
    ("estimate", "--params", "25.6M", "--flops-per-sample", "8.2e9", "--samples", "1.2M", "--epochs", "90"),
    # Machines that nobody has a price of, and one's own.
    ("estimate", "--params", "1e9", "--gpu", "gaudi2", "--explain"),
    ("estimate", "--params", "1e9", "--gpu", "h100", "--usd-per-hour", "0", "--currency", "CHF", "--rate", "0.8"),
)
LISTS = (
    ("compare", "--params", "1e9", "--gpu", "h100", "--gpu", "gaudi2", "--params", "1e14"),
    ("what-if", "--params", "1e9"),
    ("what-if", "--params", "1e9", "--gpu", "gaudi2", "--tokens", "+50%", "--mfu", "30%"),
    ("accelerators",),
    ("accelerators", "--vendor", "AMD"),
    ("accelerators", "show", "h100"),
    ("accelerators", "show", "tpu-v5e"),
    ("prices",),
    ("prices", "--gpu", "h100", "--spot"),
    ("workloads",),
    ("workloads", "show", "gpt2-124m"),
    ("workloads", "show", "mixtral-8x7b"),
    ("workloads", "--family", "convnet"),
    ("workloads", "show", "resnet50", "--image-size", "288"),
    ("workloads", "show", "gnmt"),
    ("plugins",),
    ("config",),
    ("profile",),
    ("layouts", "--params", "70e9", "--gpu", "H100-SXM5-80GB", "--gpus", "64"),
)
EVERY = (*ESTIMATES, *LISTS)
# One of each report.
FEW = (
    ESTIMATES[1],
    *ESTIMATES[-2:],
    *LISTS[:3],
    LISTS[-1],
    *(argv for argv in LISTS if len(argv) == 1),
    *(argv for argv in LISTS if "show" in argv),
)
words = " ".join


# --- on a screen


def wide(line: str) -> int:
    """Columns that a line takes: the bar over the s of a formula takes none of its own."""
    return sum(not unicodedata.combining(letter) for letter in line)


@pytest.mark.parametrize("argv", EVERY, ids=words)
def test_no_line_is_wider_than_the_terminal(argv: tuple[str, ...], answer: Callable[..., Any]) -> None:
    ended = answer(*argv)
    assert ended.lines
    assert [line for line in ended.lines if wide(line) > 80] == []
    assert [line for line in ended.lines if line != line.rstrip()] == []
    assert ended.err == ""


@pytest.mark.parametrize("argv", [ESTIMATES[0], ESTIMATES[1], ("prices", "--gpu", "h100")], ids=words)
def test_forty_columns_are_enough(argv: tuple[str, ...], answer: Callable[..., Any]) -> None:
    ended = answer(*argv, columns=40)
    assert ended.lines
    assert [line for line in ended.lines if wide(line) > 40] == []


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_nothing_is_lost_where_it_is_narrow(columns: int, answer: Callable[..., Any]) -> None:
    quotes = json.loads(answer(*ESTIMATES[0], "--format", "json").out)["quotes"]
    shown = answer(*ESTIMATES[0], "--details", columns=columns).out
    for quote in quotes:
        # Neither is broken in the middle.
        assert quote["accelerator"] in shown
        assert quote["provider"] in shown
    assert "on-demand" in shown
    assert "spot" in shown


@pytest.mark.parametrize("argv", [("--help",), *((name, "--help") for name in ROOMS)], ids=words)
def test_help_fits_too(argv: tuple[str, ...], answer: Callable[..., Any]) -> None:
    ended = answer(*argv)
    assert [line for line in ended.lines if wide(line) > 80] == []
    assert "..." not in ended.out.partition("Commands:")[2], "a command's short help is cut off"


# --- for programs


@pytest.mark.parametrize("argv", FEW, ids=words)
def test_csv_has_as_many_cells_in_every_row(argv: tuple[str, ...], answer: Callable[..., Any]) -> None:
    ended = answer(*argv, "--format", "csv")
    header, *rows = csv.reader(io.StringIO(ended.out), strict=True) if ended.out else ([],)
    assert len(set(header)) == len(header)
    assert {len(row) for row in rows} <= {len(header)}
    # A list or an object of Python's is no cell.
    assert not [cell for row in rows for cell in row if cell.startswith(("(", "[", "{"))]
    # A machine without a GPU has no row to show.
    assert rows or argv == ("profile",)


@pytest.mark.parametrize("argv", FEW, ids=words)
def test_markdown_has_as_many_cells_in_every_row(argv: tuple[str, ...], answer: Callable[..., Any]) -> None:
    ended = answer(*argv, "--format", "markdown")
    assert ended.out.endswith("\n")
    tables = [t.splitlines() for t in ended.out.replace("\\|", "/").split("\n\n") if t.startswith("|")]
    assert tables
    for header, rule, *rows in tables:
        assert set(rule) <= set("|-:")
        assert {line.count("|") for line in (header, rule, *rows)} == {header.count("|")}


@pytest.mark.parametrize("argv", FEW, ids=words)
def test_html_is_a_page_of_its_own(argv: tuple[str, ...], answer: Callable[..., Any]) -> None:
    """What a browser would make of it is tested with the page; here, that each answer has one."""
    ended = answer(*argv, "--format", "html")
    assert ended.code == answer(*argv).code
    assert ended.out.startswith("<!doctype html>\n")
    assert ended.out.endswith("</html>\n")
    assert ended.out.count("<h1>") == 1
    assert "<table" in ended.out
    assert "default-src 'none'" in ended.out
    assert re.findall(r"(?:src|href)=\"(?!data:,\")[^\"]*", ended.out) == []


def test_the_formats_tell_the_same(answer: Callable[..., Any]) -> None:
    document = json.loads(answer(*ESTIMATES[0], "--format", "json").out)
    records = list(csv.DictReader(io.StringIO(answer(*ESTIMATES[0], "--format", "csv").out)))
    assert [q["instance"] for q in document["quotes"]] == [r["instance"] for r in records]
    for quote, row in zip(document["quotes"], records, strict=True):
        totals = {bill["billing"]: bill["total_usd"]["mid"] for bill in quote["bills"]}
        shown = {"on-demand": row["on_demand_usd"], "spot": row["spot_usd"]}
        assert {kind: float(usd) for kind, usd in shown.items() if usd} == totals
        assert float(row["mfu"]) == quote["mfu"]


# --- the schemas


def validator(name: str, version: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}-{version}.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema, format_checker=FormatChecker())


def wrong(document: Any) -> list[str]:
    """What the schema that the document names has against it."""
    name, version = document["schema"].removeprefix("zenplan.").split("/")
    return [f"{list(e.absolute_path)}: {e.message}" for e in validator(name, version).iter_errors(document)]


@pytest.mark.parametrize("argv", EVERY, ids=words)
def test_json_is_what_its_schema_says(argv: tuple[str, ...], answer: Callable[..., Any]) -> None:
    assert wrong(json.loads(answer(*argv, "--format", "json").out)) == []


def test_a_profile_of_gpus_is_what_its_schema_says(zenplan: Any, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the fake NVML library")
    library = tmp_path / "libnvidia-ml.so.1"
    build = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", str(library), str(FAKE_NVML)]
    subprocess.run(build, check=True, capture_output=True)
    environ = zenplan.environment(LD_LIBRARY_PATH=str(tmp_path))
    ended = zenplan("profile", "--format", "json", environ=environ)
    document = json.loads(ended.out)
    assert document["devices"]
    assert wrong(document) == []


def test_plugins_that_fail_are_what_the_schema_says(zenplan: Any) -> None:
    ended = zenplan("plugins", "--format", "json", environ=zenplan.environment(ZENPLAN_PLUGINS="nobody"))
    document = json.loads(ended.out)
    assert document["failures"]
    assert wrong(document) == []


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place in a schema that describes a value."""
    if isinstance(schema, dict):
        yield path, schema
        for key in ("properties", "$defs"):
            for name, each in schema.get(key, {}).items():
                yield from nodes(each, f"{path}/{name}")
        for key in ("items", "additionalProperties"):
            yield from nodes(schema.get(key), f"{path}/{key}")
        for key in ("anyOf", "oneOf"):
            for each in schema.get(key, ()):
                yield from nodes(each, f"{path}/{key}")


@pytest.mark.parametrize("file", sorted(SCHEMAS.iterdir()), ids=lambda file: file.stem)
def test_a_schema_is_one_and_describes_every_field(file: Path) -> None:
    schema = json.loads(file.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].endswith(f"/{file.name}")
    units = ("_s", "_bytes", "_flop", "_flop_per_s", "_bytes_per_s", "_usd", "_usd_per_h", "_w", "_hz", "_j", "_c")
    told = ("second", "byte", "flop", "operation", "dollar", "watt", "hz", "joule", "celsius")
    for path, node in nodes(schema):
        field = path.rpartition("/")[2]
        if field in ("items", "additionalProperties", "anyOf", "oneOf"):
            continue
        assert node.get("description"), f"{path} is not described"
        if node.get("type") == "object":
            assert "additionalProperties" in node, f"{path} takes anything"
        if field.endswith(units):
            assert any(unit in node["description"].lower() for unit in told), f"{path} has no unit"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(extra=1),
        lambda d: d.pop("met"),
        lambda d: d["quotes"].clear(),
        lambda d: d["quotes"][0].update(price=1),
        lambda d: d["quotes"][0]["bills"][0]["total_usd"].update(mid=-1),
        lambda d: d["quotes"][0]["bills"][0].update(total_usd=12.5),
        lambda d: d["quotes"][0].update(mfu=42),
        lambda d: d["quotes"][0]["layout"].update(zero=4),
        lambda d: d["quotes"][0]["prices"].pop("spot"),
        lambda d: d["inputs"][0].update(origin="guessed"),
        lambda d: d["plan"].update(steps="many"),
    ],
    ids=[
        "extra",
        "lacks",
        "no quote",
        "unknown",
        "negative",
        "no range",
        "percent",
        "ZeRO-4",
        "no spot",
        "origin",
        "text",
    ],
)
def test_a_wrong_document_is_refused(spoil: Callable[[Any], Any], answer: Callable[..., Any]) -> None:
    document = copy.deepcopy(json.loads(answer(*ESTIMATES[0], "--format", "json").out))
    assert wrong(document) == []
    spoil(document)
    assert wrong(document) != []


def test_the_schemas_are_in_the_package() -> None:
    """They are found where the package is, as a program that reads the documents would look for them."""
    code = (
        "import importlib.resources as r; print(r.files('zenplan').joinpath('data/schemas/estimate-2.json').is_file())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
