"""What a user can give that is wrong: one line says what, one more may say what to do, and the code says it too."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
ONE = ("estimate", "--params", "1e9")
HEADER = "provider,instance,accelerator,devices,region,on_demand_usd_per_h,spot_usd_per_h"
GOOD_ROW = "mine,good,H100-SXM5-80GB,8,here,20,10"
LLAMA = {
    "model_type": "llama",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "intermediate_size": 5632,
    "vocab_size": 32000,
    "max_position_embeddings": 2048,
}


def complaint(ended: Any, code: int) -> str:
    """The error, once nothing but one error and at most one hint was said."""
    lines = ended.err.splitlines()
    assert ended.code == code, ended
    assert ended.out == ""
    assert len(lines) in (1, 2), ended.err
    assert lines[0].startswith("error: ")
    assert all(line.startswith("hint: ") for line in lines[1:])
    assert all(len(line) > len("error: ") for line in lines)
    assert "Traceback" not in ended.err
    assert "a fault in zenplan" not in ended.err
    return str(ended.err)


# --- numbers


@pytest.mark.parametrize(
    "value",
    [
        *("-1", "0", "nan", "inf", "1e40", "", " ", "abc", "1e9x", "1e-400", "1e999", "0.5", "٣"),
        *("0,5B", "1,,1B", "1,23,456", "1_000_", "50%", "1/2", "１B", "1.000.000"),
    ],
)
def test_no_number_of_parameters(value: str, called: Call) -> None:
    assert "--params" in complaint(called("estimate", "--params", value), 2)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--gpus", "0"),
        ("--gpus", "-1"),
        ("--gpus", "1.5"),
        ("--gpus", "0,5"),
        ("--max-gpus", "1,5"),
        ("--tokens", "1,5T"),
        ("--budget", "20,5"),
        ("--budget", "€500"),
        ("--budget", "500 EUR"),
        ("--deadline", "03/04/2027"),
        ("--deadline", "2020-01-01"),
        ("--deadline", "31 February"),
        ("--epochs", "1,5"),
        ("--data-kind", "poems"),
        ("--gpus", "many"),
        ("--gpus", ""),
        ("--gpus", "1e9"),
        ("--max-gpus", "0"),
        ("--usd-per-hour", "-1"),
        ("--usd-per-hour", "free"),
        ("--usd-per-hour", "inf"),
        ("--max-usd-per-hour", "0"),
        ("--max-usd-per-hour", "-1"),
        ("--max-usd-per-hour", "much"),
        ("--max-price-age", "90"),
        ("--max-price-age", "-1d"),
        ("--max-price-age", "old"),
        ("--provider-class", "clouds"),
        ("--provider-class", "cloud,,marketplace"),
        ("--provider", ""),
        ("--provider", "aws,"),
        ("--exclude-provider", ","),
        ("--top", "0"),
        ("--top", "1.5"),
        ("--top", "x"),
        ("--deadline", "7"),
        ("--deadline", "-7d"),
        ("--deadline", "0h"),
        ("--deadline", "soon"),
        ("--deadline", ""),
        ("--deadline", "1e400d"),
        ("--deadline", "nan d"),
        ("--horizon", "90"),
        ("--horizon", "-1d"),
        ("--day-is-worth", "-5"),
        ("--day-is-worth", "much"),
        ("--budget", "-5"),
        ("--budget", "0"),
        ("--budget", "$"),
        ("--budget", "much"),
        ("--budget", "1e400"),
        ("--tokens", "0"),
        ("--tokens", "-1"),
        ("--tokens", "1e19"),
        ("--dataset-size", "1XB"),
        ("--dataset-size", "-1GB"),
        ("--epochs", "0"),
        ("--seq-len", "0"),
        ("--seq-len", "1.5"),
        ("--seq-len", "1e9"),
        ("--global-batch", "1"),
        ("--global-batch", "1e13"),
        ("--active-params", "2e9"),
        ("--active-params", "0"),
    ],
)
def test_no_number_of_that_kind(flag: str, value: str, called: Call) -> None:
    complaint(called(*ONE, flag, value), 2)


# --- names


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        ((*ONE, "--gpu", "H1000"), "h100"),
        ((*ONE, "--gpu", "zzzz"), "zenplan accelerators"),
        (("estimate", "--model", "llama3-8"), "llama3-8b"),
        (("estimate", "--model", "zzzz"), "zenplan workloads"),
        (("estimate", "--model", ""), "zenplan workloads"),
        ((*ONE, "--provider", "awss"), "aws"),
        ((*ONE, "--provider", "zzzz"), "zenplan prices"),
        ((*ONE, "--provider", "aws", "--provider", "zzzz"), "zenplan prices"),
        ((*ONE, "--exclude-provider", "zzzz"), "zenplan prices"),
        ((*ONE, "--gpu", "m0"), "zenplan accelerators"),
        ((*ONE, "--gpu", "h100,m0"), "zenplan accelerators"),
        (("prices", "--gpu", "m0"), "zenplan accelerators"),
        ((*ONE, "--provider-class", "cluod"), "cloud"),
        ((*ONE, "--usd-per-hour", "2"), "one device"),
        ((*ONE, "--gpu", "h100,a100", "--usd-per-hour", "2"), "one device"),
        ((*ONE, "--gpu", "h100", "--usd-per-hour", "2", "--provider", "aws"), "stands for all offers"),
        ((*ONE, "--provider", "aws", "--exclude-provider", "aws"), "leave one out"),
        ((*ONE, "--provider", "aws,gcp", "--exclude-provider", "gcp,aws"), "leave one out"),
        (("prices", "--provider", "aws", "--exclude-provider", "aws"), "leave one out"),
        (("layouts", "--params", "1e9", "--gpu", "h100,a100", "--gpus", "8"), "zenplan estimate"),
        ((*ONE, "--region", "eu-noorth-1"), "eu-north-1"),
        ((*ONE, "--region", "zzzz"), "zenplan prices"),
        ((*ONE, "--format", "jsn"), "json"),
        ((*ONE, "--format", "zzzz"), "markdown"),
        ((*ONE, "--precision", "bf17"), "bf16"),
        ((*ONE, "--optimizer", "adam"), "adamw"),
        ((*ONE, "--method", "loora"), "lora"),
        ((*ONE, "--method", ""), "lora"),
        ((*ONE, "--billing", "spott"), "spot"),
        (("accelerators", "show", "H1000"), "h100"),
        (("accelerators", "--vendor", "Nvida"), "NVIDIA"),
        (("accelerators", "--architecture", "Hoper"), "Hopper"),
        (("workloads", "show", "gpt2-124"), "gpt2-124m"),
        (("prices", "--gpu", "H1000"), "h100"),
        (("prices", "--provider", "awss"), "aws"),
        (("prices", "--region", "eu-noorth-1"), "eu-north-1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_an_unknown_name_has_a_hint(argv: tuple[str, ...], hint: str, called: Call) -> None:
    assert hint in complaint(called(*argv), 2).partition("hint: ")[2]


@pytest.mark.parametrize("flag", ["--gpu", "--provider", "--region", "--format", "--precision", "--optimizer"])
def test_an_empty_name(flag: str, called: Call) -> None:
    complaint(called(*ONE, flag, ""), 2)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "x" * 5000, "\udc80"])
def test_a_name_that_is_no_line(name: str, called: Call) -> None:
    ended = called(*ONE, "--gpu", name)
    assert "\x1b" not in complaint(ended, 2)


# --- the command line as a whole


@pytest.mark.parametrize(
    "argv",
    [
        ("estimate",),
        (*ONE, "--model", "gpt2-124m"),
        (*ONE, "--config", "config.json"),
        ("estimate", "--model", "gpt2-124m", "--config", "config.json"),
        (*ONE, "--model", "gpt2-124m", "--config", "config.json"),
        (*ONE, "--tokens", "1e9", "--dataset-size", "1TB"),
        ("frobnicate",),
        ("estimat",),
        ("--frobnicate",),
        ("estimate", "--frobnicate"),
        ("estimate", "--params"),
        (*ONE, "more"),
        ("accelerators", "show"),
        ("accelerators", "shw", "h100"),
        ("accelerators", "show", "h100", "a100"),
        ("workloads", "show"),
        ("prices", "h100"),
    ],
    ids=" ".join,
)
def test_a_command_line_that_is_wrong(argv: tuple[str, ...], called: Call) -> None:
    Path("config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    complaint(called(*argv), 2)


@pytest.mark.parametrize(
    "argv",
    [
        (*ONE, "--provider", "aws", "--gpu", "mi300x"),
        (*ONE, "--gpu", "t4", "--precision", "bf16"),
        ("estimate", "--params", "1e14"),
        ("estimate", "--params", "1e12", "--gpus", "1"),
    ],
    ids=" ".join,
)
def test_the_answer_is_no(argv: tuple[str, ...], called: Call) -> None:
    complaint(called(*argv), 3)


@pytest.mark.parametrize("limit", [("--budget", "0.01"), ("--deadline", "1s")], ids=" ".join)
def test_a_limit_that_nothing_meets_still_has_an_answer(limit: tuple[str, ...], called: Call) -> None:
    ended = called(*ONE, *limit)
    assert ended.code == 3
    assert "Nothing meets that" in ended.out
    assert ended.err == ""


@pytest.mark.parametrize("amount", [("--tokens", "100"), ("--dataset-size", "1kB"), ("--data", "a.txt")])
def test_data_that_no_model_is_for(amount: tuple[str, ...], called: Call) -> None:
    Path("a.txt").write_text("a word or two\n", encoding="utf-8")
    for more in ((), ("--budget", "5000"), ("--deadline", "1d")):
        error = complaint(called("estimate", *amount, *more), 2)
        assert "too few" in error
        assert "--model" in error


# --- a model configuration


def no_json(path: Path) -> None:
    path.write_text("not json", encoding="utf-8")


def a_gigabyte(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**30)


def without_layers(path: Path) -> None:
    path.write_text(json.dumps({k: v for k, v in LLAMA.items() if k != "num_hidden_layers"}), encoding="utf-8")


def of_an_unknown_kind(path: Path) -> None:
    # Whose keys are no model's either: one with a decoder's keys is read by them.
    path.write_text(json.dumps({"model_type": "llamma", "sides": 3}), encoding="utf-8")


def with_a_text_for_a_number(path: Path) -> None:
    path.write_text(json.dumps(LLAMA | {"hidden_size": "wide"}), encoding="utf-8")


def with_an_absurd_number(path: Path) -> None:
    path.write_text(json.dumps(LLAMA | {"num_hidden_layers": 10**40}), encoding="utf-8")


def a_list(path: Path) -> None:
    path.write_text("[1, 2]", encoding="utf-8")


def no_utf8(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00{")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (no_json, "not JSON"),
        (a_gigabyte, "1.07 GB"),
        (Path.mkdir, "directory"),
        (lambda path: None, "does not exist"),
        (without_layers, "num_hidden_layers"),
        (of_an_unknown_kind, "model_type"),
        (a_list, "a list"),
        (with_a_text_for_a_number, "hidden_size"),
        (with_an_absurd_number, "num_hidden_layers"),
        (no_utf8, "UTF-8"),
        (Path.touch, "not JSON"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
    ids=[
        "no JSON",
        "1 GB",
        "folder",
        "missing",
        "lacks a field",
        "unknown kind",
        "list",
        "text",
        "absurd",
        "no UTF-8",
        "empty",
        "FIFO",
        "/dev/zero",
        "loop",
    ],
)
def test_a_configuration_that_is_none(make: Callable[[Path], Any], told: str, called: Call) -> None:
    make(Path("config.json"))
    assert told in complaint(called("estimate", "--config", "config.json"), 1)


def test_a_configuration_that_is_one(called: Call) -> None:
    Path("config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    ended = called("estimate", "--config", "config.json", "--gpu", "h100")
    assert (ended.code, ended.err) == (0, "")


# --- a price table


def table(*rows: str, header: str = HEADER) -> Path:
    path = Path("prices.csv")
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


BAD_ROWS = {
    "negative": ("mine,negative,H100-SXM5-80GB,8,here,-5,", "above zero"),
    "zero": ("mine,zero,H100-SXM5-80GB,8,here,0,", "above zero"),
    "nan": ("mine,nan,H100-SXM5-80GB,8,here,nan,", "finite"),
    "text": ("mine,text,H100-SXM5-80GB,8,here,cheap,", "not a number"),
    "absurdly high": ("mine,high,H100-SXM5-80GB,8,here,1e9,", "absurd"),
    "absurdly low": ("mine,low,H100-SXM5-80GB,8,here,1e-9,", "absurd"),
    "wrong GPU": ("mine,gpu,H1000,8,here,5,", "unknown accelerator 'H1000'"),
    "no GPU": ("mine,none,,8,here,5,", "unknown accelerator"),
    "no devices": ("mine,devices,H100-SXM5-80GB,0,here,5,", "devices"),
    "duplicate": (GOOD_ROW, "same instance and region as line 2"),
    "no price": ("mine,unknown,H100-SXM5-80GB,8,here,,", "no price"),
    "more cells": ("mine,long,H100-SXM5-80GB,8,here,5,4,3", "more cells"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_named_and_the_rest_answers(kind: str, called: Call) -> None:
    row, told = BAD_ROWS[kind]
    own = ("--prices", str(table(GOOD_ROW, row)), "--provider", "mine")
    listed = json.loads(called("prices", *own, "--format", "json").out)
    assert [offer["instance"] for offer in listed["offers"]] == ["good"]
    (reason,) = listed["left_out"]
    assert reason.startswith("mine: line 3: ")
    assert told in reason
    # Who only asks for an estimate is told as well, on screen and in the document.
    shown = called(*ONE, *own)
    assert (shown.code, shown.err) == (0, "")
    assert "line 3" in shown.out
    document = json.loads(called(*ONE, *own, "--format", "json").out)
    assert [q["instance"] for q in document["quotes"]] == ["good"]
    assert document["left_out"] == [f"price table of {reason.replace(':', ',', 1)}"]


def test_of_many_bad_rows_the_first_are_named(called: Call) -> None:
    own = ("--prices", str(table(GOOD_ROW, *[BAD_ROWS["zero"][0]] * 20)), "--provider", "mine")
    left_out = json.loads(called(*ONE, *own, "--format", "json").out)["left_out"]
    assert len(left_out) == 6
    assert left_out[-1] == "price table of mine: 15 rows more are left out"


@pytest.mark.parametrize("kind", [k for k in BAD_ROWS if k != "duplicate"])
def test_nothing_but_bad_rows(kind: str, called: Call) -> None:
    row, told = BAD_ROWS[kind]
    error = complaint(called(*ONE, "--prices", str(table(row))), 1)
    assert "line 2" in error
    assert told in error


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: table(GOOD_ROW, header=HEADER.replace("devices,", "")), "no column devices"),
        (Path.touch, "is empty"),
        (lambda path: table(), "no rows"),
        (Path.mkdir, "is a directory"),
        (lambda path: None, "does not exist"),
        (a_gigabyte, "1.07 GB"),
        (no_utf8, "UTF-8"),
        (no_json, "no column"),
    ],
    ids=["lacks a column", "empty", "header alone", "folder", "missing", "1 GB", "no UTF-8", "no CSV"],
)
@pytest.mark.parametrize("command", [ONE, ("prices",)], ids=["estimate", "prices"])
def test_a_price_table_that_is_none(
    make: Callable[[Path], Any], told: str, command: tuple[str, ...], called: Call
) -> None:
    make(Path("prices.csv"))
    assert told in complaint(called(*command, "--prices", "prices.csv"), 1)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["FIFO", "/dev/zero"])
def test_a_price_table_without_an_end(make: Callable[[Path], Any], zenplan: Any) -> None:
    make(zenplan.cwd / "prices.csv")

    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))

    # A FIFO that nobody writes to must not be waited for, and what has no end must not be read.
    complaint(zenplan("prices", "--prices", "prices.csv", preexec_fn=little_memory, timeout=4), 1)


# --- settings


@pytest.mark.parametrize(
    ("content", "code", "told"),
    [
        ("gpu = [", 1, "TOML"),
        ("gpu = 5", 2, "gpu must be a text"),
        ("gpuu = 'H100'", 2, "unknown setting 'gpuu'"),
        ("top = 0", 2, "top must be"),
        ("format = 'jsn'", 2, "unknown format 'jsn'"),
        ("gpu = 'H1000'", 2, "unknown accelerator"),
        ("prices = 'nothing.csv'", 1, "does not exist"),
    ],
)
@pytest.mark.parametrize("where", ["user", "project"])
def test_a_settings_file_that_is_wrong(content: str, code: int, told: str, where: str, called: Call) -> None:
    folder = Path.home() / ".config" / "zenplan" if where == "user" else Path()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("config.toml" if where == "user" else "zenplan.toml")).write_text(content, encoding="utf-8")
    assert told in complaint(called(*ONE), code)


@pytest.mark.parametrize(
    ("name", "value"), [("GPUS", "0"), ("TOP", "x"), ("BILLING", "free"), ("FORMAT", "x"), ("GPU", "H1000")]
)
def test_a_variable_that_is_wrong(name: str, value: str, called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ZENPLAN_{name}", value)
    complaint(called(*ONE), 2)
