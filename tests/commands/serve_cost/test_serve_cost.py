"""What serving costs: its bill by hand, its laws, what is refused and how."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

DAY = "2026-11-29"
BASE = ("serve-cost", "--model", "llama3-8b", "--gpu", "L4")


@pytest.fixture
def served(answer: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    def asked(*argv: str) -> dict[str, Any]:
        ended = answer(*BASE, *argv, "--format", "json", day=DAY)
        assert ended.code == 0, ended.err
        return dict(json.loads(ended.out))

    return asked


def test_the_bill_is_recomputed_by_hand(served: Callable[..., dict[str, Any]]) -> None:
    found = served("--rate", "2/s", "--usd-per-hour", "0.5", "--tp", "1")
    (best,) = found["services"]
    usd_per_h = 0.5 * best["devices"]
    assert best["usd_per_h"]["mid"] == pytest.approx(usd_per_h)
    assert best["usd_per_month"]["mid"] == pytest.approx(usd_per_h * 8766 / 12)
    assert best["usd_per_request"]["mid"] == pytest.approx(usd_per_h / 3600 / 2)
    assert best["usd_per_request_used"]["mid"] == pytest.approx(best["usd_per_request"]["mid"] * best["utilisation"])


def test_on_reservation_a_quiet_service_pays_for_its_waiting(served: Callable[..., dict[str, Any]]) -> None:
    quiet, busy = (served("--rate", rate, "--tp", "1")["services"][0] for rate in ("0.01/s", "1/s"))
    assert quiet["devices"] == busy["devices"] == 1
    assert quiet["usd_per_request"]["mid"] == pytest.approx(100 * busy["usd_per_request"]["mid"])
    # On usage both look alike.
    assert quiet["usd_per_request_used"]["mid"] == pytest.approx(busy["usd_per_request_used"]["mid"])


def test_more_requests_take_more_devices_and_rates_are_alike(served: Callable[..., dict[str, Any]]) -> None:
    devices = [served("--rate", rate, "--tp", "1")["services"][0]["devices"] for rate in ("1/s", "10/s", "100/s")]
    assert devices == sorted(set(devices))
    assert devices[2] / devices[1] == pytest.approx(10, rel=0.15)
    assert served("--rate", "600/min") == served("--rate", "10/s")


def test_a_concurrency_is_shared_out(served: Callable[..., dict[str, Any]]) -> None:
    found = served("--concurrency", "100", "--tp", "1")["services"][0]
    assert found["batch"] * found["replicas"]["mid"] == pytest.approx(100)
    assert found["batch"] <= found["batch_limit"]


def test_limits_of_latency_are_kept(served: Callable[..., dict[str, Any]]) -> None:
    plain = served("--rate", "10/s", "--tp", "1")["services"][0]
    tight = served("--rate", "10/s", "--tp", "1", "--slo-tpot", "70ms")["services"][0]
    assert tight["tpot_s"]["mid"] <= 0.070 < plain["tpot_s"]["mid"]
    assert tight["devices"] > plain["devices"]


def test_it_breaks_even_with_an_api_where_both_cost_the_same(served: Callable[..., dict[str, Any]]) -> None:
    argv = ("--usd-per-hour", "0.5", "--tp", "1", "--api-price", "0.10/0.40")
    found = served("--rate", "1/s", *argv)
    assert found["api_usd_per_request"] == pytest.approx(800 * 0.10e-6 + 200 * 0.40e-6)
    rate = found["services"][0]["even_rate_per_s"]
    there = served("--rate", f"{rate:.9f}/s", *argv)["services"][0]
    assert there["usd_per_request"]["mid"] == pytest.approx(found["api_usd_per_request"], rel=1e-6)
    never = served("--rate", "1/s", "--usd-per-hour", "50", "--tp", "1", "--api-price", "0.01")
    assert never["services"][0]["even_rate_per_s"] is None


def test_the_cheapest_degree_comes_first(served: Callable[..., dict[str, Any]]) -> None:
    services = served("--rate", "10/s", "--usd-per-hour", "1")["services"]
    usd = [each["usd_per_h"]["mid"] for each in services]
    assert len(usd) > 1
    assert usd == sorted(usd)


def test_csv_has_plain_cells(answer: Callable[..., Any]) -> None:
    header, *rows = csv.reader(answer(*BASE, "--rate", "10/s", "--format", "csv", day=DAY).out.splitlines())
    assert {"replicas_low", "ttft_s_mid", "usd_per_month_high"} <= set(header)
    assert len(rows) > 1
    assert all(len(row) == len(header) and not any("{" in cell for cell in row) for row in rows)


def test_for_nothing_it_is_cheaper_than_any_api(served: Callable[..., dict[str, Any]]) -> None:
    found = served("--rate", "1/s", "--usd-per-hour", "0", "--api-price", "0.1", "--tp", "1")["services"][0]
    assert found["usd_per_month"]["mid"] == 0
    assert found["even_rate_per_s"] == 0


def test_what_no_fit_has_seen_is_less_sure_and_says_so(answer: Callable[..., Any]) -> None:
    def asked(gpu: str) -> dict[str, Any]:
        argv = ("serve-cost", "--model", "llama3.2-1b", "--gpu", gpu, "--rate", "0.1/s", "--format", "json")
        return dict(json.loads(answer(*argv, day=DAY).out))

    seen, unseen = asked("L4"), asked("graviton4")
    ratio = [f["services"][0]["tpot_s"]["high"] / f["services"][0]["tpot_s"]["mid"] for f in (seen, unseen)]
    assert ratio[1] == pytest.approx(ratio[0] ** 2)
    assert "none is on" in unseen["basis"]
    assert "none is on" not in seen["basis"]


def test_an_old_price_is_said_with_the_cheapest_fresh_one_beside_it(
    served: Callable[..., dict[str, Any]], answer: Callable[..., Any]
) -> None:
    found = served("--rate", "1/s")
    best, fresh = found["services"][0], found["fresh"]
    assert (date.fromisoformat(DAY) - date.fromisoformat(best["price_as_of"])).days > 180
    # As in an estimate: it leads only where it is less than half as dear.
    assert best["usd_per_month"]["mid"] < fresh["usd_per_month"]["mid"] / 2
    ended = answer(*BASE, "--rate", "1/s", "--max-price-age", "180d", "--format", "json", day=DAY)
    alone = json.loads(ended.out)
    assert alone["services"][0] == fresh
    assert alone["fresh"] is None
    said = " ".join(answer(*BASE, "--rate", "1/s", day=DAY).out.split())
    assert "days old: ask first. The cheapest at a fresh price: $" in said
    assert "ask first" not in answer(*BASE, "--rate", "1/s", "--max-price-age", "180d", day=DAY).out


def test_prices_that_are_left_out_are_not_called_unknown_to_all(answer: Callable[..., Any]) -> None:
    said = answer(*BASE, "--rate", "1/s", "--max-price-age", "1d", day=DAY).out
    assert "--usd-per-hour" in said
    assert "older than --max-price-age" in said


def test_a_price_for_a_term_is_no_rent_by_the_hour(answer: Callable[..., Any], tmp_path: Path) -> None:
    asked = ("serve-cost", "--model", "llama3-8b", "--gpu", "H100", "--provider", "aws", "--rate", "10/s")
    book = tmp_path / "prices.toml"
    book.write_text('[[discount]]\nprovider = "aws"\ndiscount = "50%"\nterm = "365d"\n', encoding="utf-8")
    plain, beside = (
        json.loads(answer(*asked, *more, "--format", "json", day=DAY).out)["services"]
        for more in ((), ("--prices", str(book)))
    )
    assert beside == plain


def test_of_two_that_cost_alike_the_fewer_devices_come_first(answer: Callable[..., Any]) -> None:
    argv = ("serve-cost", "--params", "8B", "--gpu", "L4", "--rate", "1/s", "--usd-per-hour", "0", "--format", "json")
    services = json.loads(answer(*argv, day=DAY).out)["services"]
    assert services[0]["devices"] == min(each["devices"] for each in services)


def test_a_shape_that_is_assumed_is_said(answer: Callable[..., Any]) -> None:
    said = answer("serve-cost", "--params", "8B", "--gpu", "L4", "--rate", "1/s", day=DAY).out
    assert "The shape is assumed" in said
    assert "is assumed" not in answer(*BASE, "--rate", "1/s", day=DAY).out


def test_ranges_claim_a_fit_only_where_there_is_one(answer: Callable[..., Any]) -> None:
    for gpu, fitted in (("M3-Ultra", False), ("epyc-9654", False), ("L4", True), ("MI300X", True)):
        said = answer("serve-cost", "--model", "llama3-8b", "--gpu", gpu, "--rate", "1/s", day=DAY).out
        assert ("left out of the fit" in said) == fitted


def test_it_fits_a_screen(answer: Callable[..., Any]) -> None:
    lines = answer(*BASE, "--rate", "10/s", day=DAY).out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("kind", ["vllm", "trtllm"])
def test_the_command_has_the_plan(answer: Callable[..., Any], kind: str) -> None:
    argv = (*BASE, "--rate", "1/s", "--tp", "2", "--kv-dtype", "fp8", "--in", "3000", "--out", "1000")
    ended = answer(*argv, "--manifest", kind, day=DAY)
    words = shlex.split(next(line for line in ended.out.splitlines() if not line.startswith("#")))
    assert words[0] in ("vllm", "trtllm-serve")
    length = words[words.index("--max-model-len" if kind == "vllm" else "--max_seq_len") + 1]
    assert 4000 <= int(length) < 4300
    assert words[words.index("--tensor-parallel-size" if kind == "vllm" else "--tp_size") + 1] == "2"
    assert kind != "vllm" or words[words.index("--kv-cache-dtype") + 1] == "fp8"


@pytest.mark.parametrize("kind", ["compose", "kubernetes"])
def test_a_manifest_is_yaml_with_the_replicas(answer: Callable[..., Any], kind: str) -> None:
    yaml = pytest.importorskip("yaml")
    ended = answer(*BASE, "--rate", "10/s", "--tp", "2", "--manifest", kind, day=DAY)
    first = next(yaml.safe_load_all(ended.out))
    if kind == "compose":
        deploy = first["services"]["llm"]["deploy"]
        assert deploy["resources"]["reservations"]["devices"][0]["count"] == 2
        replicas = deploy["replicas"]
    else:
        (container,) = first["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
        replicas = first["spec"]["replicas"]
    found = json.loads(answer(*BASE, "--rate", "10/s", "--tp", "2", "--format", "json", day=DAY).out)
    assert replicas == found["services"][0]["replicas"]["mid"]


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (("--gpu", "L4", "--rate", "1/s"), 2, "which model"),
        (("--model", "llama3-8b", "--rate", "1/s"), 2, "one --gpu"),
        (("--model", "llama3-8b", "--gpu", "L4"), 2, "how much"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "1/s", "--concurrency", "4"), 2, "contradict"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "fast"), 2, "--rate"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "1/fortnight"), 2, "--rate"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "-1/s"), 2, "--rate"),
        (("--model", "llama3-8b", "--gpu", "8xL4", "--rate", "1/s"), 2, "count"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "1/s", "--tp", "3"), 2, "heads"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "1/s", "--dtype", "int3"), 2, "int3"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "1/s", "--slo-tpot", "50"), 2, "--slo-tpot"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "1/s", "--api-price", "1/2/3"), 2, "--api-price"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "1/s", "--in", "0"), 2, "--in"),
        (("--model", "bert-base", "--gpu", "L4", "--rate", "1/s"), 2, "does not generate"),
        (("--model", "resnet50", "--gpu", "L4", "--rate", "1/s"), 2, "does not generate"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "1e12/s"), 2, "more than zenplan plans for"),
        (("--model", "llama3.1-405b", "--gpu", "L4", "--rate", "1/s"), 3, "does not fit"),
        (("--model", "llama3-70b", "--gpu", "L4", "--rate", "1/s", "--tp", "1"), 3, "does not fit"),
        (("--model", "llama3-8b", "--gpu", "L4", "--rate", "1/s", "--slo-tpot", "1ms"), 3, "1 ms"),
    ],
)
def test_what_cannot_be_is_one_line_and_a_hint(
    answer: Callable[..., Any], argv: tuple[str, ...], code: int, says: str
) -> None:
    ended = answer("serve-cost", *argv, day=DAY)
    assert ended.code == code
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert says in error
    assert hint.startswith("hint: ")
    assert ended.out == ""


def test_the_hint_of_what_does_not_fit_is_true(answer: Callable[..., Any]) -> None:
    argv = ("serve-cost", "--model", "llama3.1-405b", "--gpu", "H100", "--rate", "0.1/s")
    hint = answer(*argv, day=DAY).err.splitlines()[1].partition("with: ")[2]
    assert answer(*argv, *shlex.split(hint), day=DAY).code == 0


@pytest.mark.parametrize(
    ("model", "more", "code"),
    [
        ("llama3-8b", ("--in", "200000", "--out", "200"), 3),
        ("llama3-8b", ("--in", "8000", "--out", "192"), 0),
        ("llama3-8b", ("--in", "8000", "--out", "193"), 3),
        ("gpt2", ("--in", "1000", "--out", "100"), 3),
        ("llama3.1-8b", ("--in", "100000", "--out", "200"), 0),
    ],
)
def test_what_is_more_than_the_models_window_is_the_answer_no(
    answer: Callable[..., Any], model: str, more: tuple[str, ...], code: int
) -> None:
    ended = answer("serve-cost", "--model", model, "--gpu", "H100", "--rate", "0.01/s", *more, day=DAY)
    assert ended.code == code
    assert ("at once" in ended.err) == (code == 3)


def test_a_replica_takes_as_many_devices_as_a_machine_that_is_rented_out(answer: Callable[..., Any]) -> None:
    # The usual node of L4s has four; machines of eight are rented out, and 70B parameters in bf16 need them.
    asked = ("serve-cost", "--model", "llama3-70b", "--gpu", "L4", "--rate", "1/s")
    found = json.loads(answer(*asked, "--format", "json", day=DAY).out)
    assert found["services"][0]["tp"] == 8
    ended = answer(*asked, "--tp", "4", day=DAY)
    assert ended.code == 3
    assert "--tp 8" in ended.err


def test_every_bill_at_an_old_price_is_marked(answer: Callable[..., Any]) -> None:
    asked = ("serve-cost", "--model", "llama3-8b", "--gpu", "L4", "--rate", "10/s")
    old = answer(*asked, day="2030-01-01").out.partition("tensor-parallel")[2]
    assert old.count("*") == 4, old
    own = answer(*asked, "--usd-per-hour", "1", day="2030-01-01").out
    assert "*" not in own
