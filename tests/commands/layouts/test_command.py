"""``zenplan layouts``: what it lists, what it says beside it, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

SCHEMA = Path(__file__).parents[3] / "zenplan" / "data" / "schemas" / "layouts-1.json"
DENSE = ("layouts", "--params", "70e9", "--gpu", "H100-SXM5-80GB", "--gpus", "64")
MIXTURE = ("layouts", "--model", "mixtral-8x7b", "--gpu", "h100", "--gpus", "48", "--by", "memory", "--top", "3")
ALONE = ("layouts", "--params", "125M", "--gpu", "h100", "--gpus", "1")
LORA = ("layouts", "--model", "llama3-8b", "--gpu", "a100-80gb", "--gpus", "4", "--method", "lora", "--seq-len", "2048")
EVERY = (DENSE, MIXTURE, ALONE, LORA)
words = " ".join


@pytest.fixture
def asked(answer: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """The document of a command line."""

    def document(*argv: str) -> dict[str, Any]:
        ended = answer(*argv, "--format", "json")
        assert ended.code == 0, ended.err
        parsed: dict[str, Any] = json.loads(ended.out)
        return parsed

    return document


def devices(layout: dict[str, Any]) -> int:
    return int(layout["dp"] * layout["tp"] * layout["pp"] * layout["cp"])


def sample_s(document: dict[str, Any], tried: dict[str, Any]) -> float:
    layout, batch = tried["layout"], document["plan"]["global_batch_samples"]
    return float(tried["step"]["total_s"] / min(batch, layout["dp"] * layout["micro_batch"] * layout["accumulation"]))


@pytest.mark.parametrize("argv", EVERY, ids=words)
def test_json_is_what_its_schema_says(argv: tuple[str, ...], asked: Callable[..., Any]) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    assert [e.message for e in validator.iter_errors(asked(*argv))] == []


@pytest.mark.parametrize("argv", EVERY, ids=words)
def test_the_table_fits_the_terminal(argv: tuple[str, ...], answer: Callable[..., Any]) -> None:
    ended = answer(*argv)
    assert (ended.code, ended.err) == (0, "")
    assert [line for line in ended.lines if len(line) > 80 or line != line.rstrip()] == []


@pytest.mark.parametrize("argv", [DENSE, MIXTURE], ids=words)
def test_forty_columns_are_enough(argv: tuple[str, ...], answer: Callable[..., Any]) -> None:
    ended = answer(*argv, columns=40)
    assert ended.lines
    assert [line for line in ended.lines if len(line) > 40] == []


@pytest.mark.parametrize("argv", EVERY, ids=words)
def test_every_layout_uses_the_devices_and_fits(argv: tuple[str, ...], asked: Callable[..., Any]) -> None:
    document = asked(*argv)
    cluster = document["cluster"]
    for tried in (*document["layouts"], *document["frontier"]):
        assert devices(tried["layout"]) == cluster["devices"]
        assert tried["memory"]["total_bytes"] <= 0.95 * cluster["memory_bytes"]
        for whole, total in ((tried["step"], "total_s"), (tried["memory"], "total_bytes")):
            assert sum(v for k, v in whole.items() if k != total) == pytest.approx(whole[total])


def test_the_list_is_in_order_and_no_layout_is_there_twice(asked: Callable[..., Any]) -> None:
    document = asked(*DENSE)
    times = [sample_s(document, t) for t in document["layouts"]]
    assert len(times) == 10
    assert times == sorted(times)
    assert len({json.dumps(t["layout"]) for t in document["layouts"]}) == 10
    needs = [t["memory"]["total_bytes"] for t in asked(*MIXTURE)["layouts"]]
    assert len(needs) == 3
    assert needs == sorted(needs)


@pytest.mark.parametrize("argv", EVERY, ids=words)
def test_on_the_frontier_less_memory_costs_time(argv: tuple[str, ...], asked: Callable[..., Any]) -> None:
    document = asked(*argv)
    points = [(sample_s(document, t), t["memory"]["total_bytes"]) for t in document["frontier"]]
    assert points == sorted(points)
    assert [p[1] for p in points] == sorted({p[1] for p in points}, reverse=True)
    # Nothing in the list is faster and leaner than all of the frontier.
    for tried in document["layouts"]:
        own = sample_s(document, tried), tried["memory"]["total_bytes"]
        assert any(s <= own[0] * (1 + 1e-9) and n <= own[1] * (1 + 1e-9) for s, n in points)


def test_the_runner_up_says_where_it_loses(asked: Callable[..., Any], answer: Callable[..., Any]) -> None:
    second = asked(*DENSE)["runner_up"]
    assert second["slower"] > 0
    assert sum(second["parts"].values()) == pytest.approx(second["slower"])
    first = asked(*DENSE)["layouts"][0]["layout"]
    assert any(first[name] != second["layout"][name] for name in ("dp", "tp", "pp", "cp", "ep", "zero"))
    shown = " ".join(answer(*DENSE).out.split())
    assert "Runner-up: dp" in shown
    assert " loses " in shown


def test_one_device_has_no_runner_up(asked: Callable[..., Any], answer: Callable[..., Any]) -> None:
    assert asked(*ALONE)["runner_up"] is None
    assert "No layout with other degrees fits" in answer(*ALONE).out


def test_the_cost_follows_the_price(asked: Callable[..., Any]) -> None:
    document = asked(*DENSE)
    length, price = document["workload"]["tokens_per_sample"], document["price"]["device_usd_per_h"]
    sizes = [s["devices"] for s in document["sizes"]]
    assert sizes[:2] == [64, 32]
    assert sizes == sorted(sizes, reverse=True)
    for size in document["sizes"]:
        hours = size["devices"] * size["sample_s"] / 3600
        assert size["usd_per_token"] == pytest.approx(hours * price / length)


def test_prices_of_ones_own_are_used(zenplan: Any) -> None:
    own = zenplan.cwd / "own.csv"
    own.write_text(
        "provider,instance,accelerator,devices,region,on_demand_usd_per_h\nmine,one,H100-SXM5-80GB,1,here,0.5\n",
        encoding="utf-8",
    )
    ended = zenplan(*DENSE, "--prices", str(own), "--format", "json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["price"] == {"device_usd_per_h": 0.5, "offer": "mine one", "as_of": None}


def test_the_plot_has_the_fastest_at_its_lower_right(answer: Callable[..., Any]) -> None:
    lines = answer(*DENSE).lines
    plot = [line for line in lines if "·····" in line]
    assert len(plot) == 10
    assert plot[-1].endswith("F")
    assert all("F" not in line for line in plot[:-1])
    # Further up, further left: the frontier falls.
    firsts = [min(line.find(m) for m in "oL" if m in line) for line in plot[:-1] if "o" in line or "L" in line]
    assert firsts == sorted(firsts)


def test_csv_has_the_list(answer: Callable[..., Any], asked: Callable[..., Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(answer(*DENSE, "--format", "csv").out)))
    listed = asked(*DENSE)["layouts"]
    assert [float(r["step_s"]) for r in rows] == [t["step"]["total_s"] for t in listed]
    assert [int(r["tp"]) for r in rows] == [t["layout"]["tp"] for t in listed]


def test_markdown_has_as_many_cells_in_every_row(answer: Callable[..., Any]) -> None:
    parts = answer(*DENSE, "--format", "markdown").out.split("\n\n")
    (listed,) = (t.splitlines() for t in parts if t.startswith("|"))
    header, *rows = listed
    assert len(rows) == 11
    assert {line.count("|") for line in rows} == {header.count("|")}


def test_markdown_has_the_plot_as_it_is_on_a_screen(answer: Callable[..., Any]) -> None:
    parts = answer(*DENSE, "--format", "markdown").out.split("\n\n")
    (fenced,) = (t.splitlines() for t in parts if t.startswith("```"))
    assert (fenced[0], fenced[-1]) == ("```text", "```")
    drawn = [line for line in answer(*DENSE).lines if "·····" in line]
    assert [line.split()[-1] for line in fenced[2:-1]] == [line.split()[-1] for line in drawn]
    assert len({len(line) for line in fenced[2:-1]}) == 1


def test_the_estimate_has_the_same_fastest_layout(asked: Callable[..., Any]) -> None:
    """One search, one answer, where the machine is the accelerator's usual node and network."""
    document = asked("layouts", "--model", "llama3-8b", "--gpu", "h100", "--gpus", "8")
    options = ("--gpu", "h100", "--gpus", "8", "--provider", "aws", "--top", "1")
    quote = asked("estimate", "--model", "llama3-8b", *options)["quotes"][0]
    assert quote["layout"] == document["frontier"][0]["layout"]
    assert quote["step"]["total_s"]["mid"] == pytest.approx(document["frontier"][0]["step"]["total_s"])


def test_the_estimate_explains_its_runner_up(asked: Callable[..., Any], answer: Callable[..., Any]) -> None:
    options = ("--model", "llama3-8b", "--gpu", "h100", "--gpus", "8")
    second = asked("layouts", *options)["runner_up"]
    explained = ("estimate", *options, "--provider", "aws", "--top", "1", "--explain")
    told = [x for x in asked(*explained)["derivation"] if (x["group"], x["quantity"]) == ("layout", "runner-up")]
    assert [x["value"] for x in told] == [pytest.approx(second["slower"])]
    assert " loses " in told[0]["origin"]
    assert "runner-up" in answer(*explained).out


def test_devices_without_a_price_are_compared_all_the_same(
    answer: Callable[..., Any], asked: Callable[..., Any]
) -> None:
    argv = ("layouts", "--params", "1e9", "--gpu", "rtx-a4500", "--gpus", "4", "--precision", "fp16", "--top", "2")
    document = asked(*argv)
    assert document["price"] is None
    assert {s["usd_per_token"] for s in document["sizes"]} == {None}
    assert "No on-demand price of RTX-A4500 is known" in " ".join(answer(*argv).out.split())


def test_what_does_not_fit_says_what_is_missing(called: Callable[..., Any]) -> None:
    ended = called("layouts", "--params", "1e12", "--gpu", "t4", "--gpus", "8", "--precision", "fp16")
    assert (ended.code, ended.out) == (3, "")
    error, hint = ended.err.splitlines()
    assert error.startswith("error: does not fit: 8 × T4")
    assert error.endswith(" short")
    assert hint.startswith("hint: more --gpus")


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--gpu", "h100", "--gpus", "0"), 2, "gpus must be a whole number from 1"),
        (("--gpu", "h100", "--gpus", "many"), 2, "gpus must be a whole number from 1"),
        (("--gpu", "h100", "--gpus", "8", "--top", "0"), 2, "top must be a whole number from 1"),
        (("--gpu", "h100", "--gpus", "8", "--seq-len", "long"), 2, "--seq-len is not a number"),
        (("--gpu", "h100", "--gpus", "8", "--by", "luck"), 2, "unknown order 'luck'"),
        (("--gpu", "h1000", "--gpus", "8"), 2, "unknown accelerator 'h1000'"),
        (("--gpus", "8"), 2, "--gpu is missing"),
        (("--gpu", "h100"), 2, "--gpus is missing"),
        (("--gpu", "t4", "--gpus", "8"), 3, "has no bf16 peak"),
        (("--gpu", "h100", "--gpus", "8", "--tokens", "1B"), 2, "layouts takes no --tokens"),
        (("--gpu", "rtx-a4500", "--gpus", "4096"), 3, "no network is known"),
    ],
)
def test_what_cannot_be_answered_is_one_line_and_a_hint(
    options: tuple[str, ...], code: int, told: str, called: Callable[..., Any]
) -> None:
    ended = called("layouts", "--params", "1e9", *options)
    assert (ended.code, ended.out) == (code, "")
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert told in error
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    ("gpu", "precision", "told", "other", "has"),
    [
        ("t4", "bf16", "no bf16 peak", "fp16", "T4 has fp16, fp32"),
        (
            "h100",
            "nvfp4",
            "no nvfp4 peak",
            "fp8",
            "H100-SXM5-80GB has fp8, fp8-rowwise, fp8-block, bf16, fp16, tf32, fp32",
        ),
        (
            "h100",
            "mxfp8",
            "which mxfp8 needs",
            "fp8",
            "H100-SXM5-80GB has fp8, fp8-rowwise, fp8-block, bf16, fp16, tf32, fp32",
        ),
        ("l40s", "mxfp8", "which mxfp8 needs", "fp8", "L40S has fp8, fp8-rowwise, fp8-block, bf16, fp16, tf32, fp32"),
        ("mi300x", "mxfp8", "which mxfp8 needs", "fp8", "MI300X has fp8, fp8-rowwise, fp8-block, bf16, fp16"),
    ],
)
def test_a_precision_that_is_not_there_has_one_that_is(
    gpu: str, precision: str, told: str, other: str, has: str, called: Callable[..., Any]
) -> None:
    options = ("--params", "1e9", "--gpu", gpu, "--gpus", "8")
    ended = called("layouts", *options, "--precision", precision)
    assert ended.code == 3
    error, hint = ended.err.splitlines()
    assert told in error
    assert hint.startswith(f"hint: try --precision {other}; {has}")
    assert called("layouts", *options, "--precision", other).code == 0


@pytest.mark.parametrize("gpu", ["b200", "b300", "rtx-5090", "mi355x"])
def test_products_with_scales_of_blocks_take_mxfp8(gpu: str, called: Callable[..., Any]) -> None:
    ended = called("layouts", "--params", "1e8", "--gpu", gpu, "--gpus", "1", "--precision", "mxfp8")
    assert (ended.code, ended.err) == (0, "")


ODD = ("layouts", "--model", "llama3-8b", "--gpu", "h100", "--gpus", "1001", "--global-batch", "4M")


def test_a_number_with_few_divisors_is_held_against_whole_nodes(
    asked: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    sizes = {s["devices"]: s["sample_s"] for s in asked(*ODD)["sizes"]}
    assert sizes[1000] < 0.6 * sizes[1001]
    text = " ".join(answer(*ODD).out.split())
    times = re.search(r"1,000 devices are ([\d.]+) times as fast and cost (\d+) % less", text)
    assert times is not None
    assert float(times[1]) == pytest.approx(sizes[1001] / sizes[1000], rel=0.01)
    assert int(times[2]) == round(100 * (1 - 1000 * sizes[1000] / (1001 * sizes[1001])))
    assert "no cheaper" not in text


def test_what_nothing_was_held_against_is_not_called_cheapest(answer: Callable[..., Any]) -> None:
    text = " ".join(answer(*ALONE).out.split())
    assert "the fastest is the cheapest" in text
    assert "cheaper" not in text
    assert "smaller sizes" not in text


def test_fewer_that_are_no_cheaper_are_counted(asked: Callable[..., Any], answer: Callable[..., Any]) -> None:
    options = ("layouts", "--params", "70e9", "--gpu", "h100", "--gpus", "128")
    whole, *smaller = asked(*options)["sizes"]
    assert all(s["devices"] * s["sample_s"] > 0.99 * 128 * whole["sample_s"] for s in smaller)
    told = f"None of {len(smaller)} smaller sizes, from {smaller[-1]['devices']} to 64 devices, is cheaper."
    assert told in " ".join(answer(*options).out.split())


def test_speed_and_mfu_count_the_batch_that_was_asked_for(
    asked: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    document = asked(*ODD)
    batch, length = document["plan"]["global_batch_samples"], document["workload"]["tokens_per_sample"]
    first = document["layouts"][0]
    places = first["layout"]["dp"] * first["layout"]["micro_batch"] * first["layout"]["accumulation"]
    assert places > batch
    assert first["tokens_per_s_per_device"] == pytest.approx(batch * length / first["step"]["total_s"] / 1001)
    assert document["sizes"][0]["sample_s"] == pytest.approx(first["step"]["total_s"] / batch)
    told = f"The fastest fills {batch} of its {places} places for samples in a step;"
    assert told in " ".join(answer(*ODD).out.split())
    assert "places for samples" not in answer(*DENSE).out


def test_a_hundred_thousand_devices_are_answered(called: Callable[..., Any]) -> None:
    ended = called("layouts", "--params", "405B", "--gpu", "h100", "--gpus", "100800", "--format", "json")
    assert ended.code == 0
    assert devices(json.loads(ended.out)["layouts"][0]["layout"]) == 100_800
