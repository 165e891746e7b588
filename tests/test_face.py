"""The public face, ``import zenplan``: what is in it, that it is light and typed, and that it answers as the command."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import math
import pickle
import re
import subprocess
import sys
import textwrap
import tomllib
import warnings
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from fractions import Fraction
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import zenplan
from zenplan.commands.main import run

ROOT = Path(__file__).parents[1]
FACE = ast.parse((ROOT / "zenplan" / "__init__.py").read_text(encoding="utf-8"))
# Arguments of a command that say how its answer is shown, or where it goes.
SHOWING = {"every", "output", "explain", "details", "worst", "save", "manifest", "picture"}
FUNCTIONS = (
    "accelerators",
    "backtest",
    "buy",
    "calibrate",
    "compress",
    "count_flop",
    "estimate",
    "explain",
    "export",
    "launch",
    "layouts",
    "prepare_data",
    "prices",
    "profile",
    "register_layer",
    "retrain_plan",
    "serve_cost",
    "serve_run_cost",
    "stop",
    "train",
    "watch",
)
ROWS = """model,params,layers,width,heads,seq_len,accelerator,devices,tokens_per_s_per_device,precision,framework
gpt,1.3e9,24,2048,16,2048,A100-SXM4-80GB,8,13000,bf16,Megatron-LM
gpt,6.7e9,32,4096,32,2048,A100-SXM4-80GB,8,2900,bf16,Megatron-LM
"""
MINE = """
from keras import Input, Model, layers

def build(depth=12):
    x = inputs = Input((32,))
    for _ in range(depth):
        x = layers.Dense(32, activation="relu")(x)
    return Model(inputs, layers.Dense(10)(x))
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a folder of its own, and no plugin but zenplan's own."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("ZENPLAN_PLUGINS", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints."""

    def call(*argv: str) -> str:
        capsys.readouterr()
        run(argv)
        return capsys.readouterr().out

    return call


# --- what is in it


def test_every_public_name_is_there_and_in_order() -> None:
    assert zenplan.__all__ == sorted(zenplan.__all__)
    assert set(dir(zenplan)) == set(zenplan.__all__)
    assert [name for name in zenplan.__all__ if getattr(zenplan, name) is None] == []
    assert {name for name in zenplan.__all__ if name.islower() and name[0] != "_"} == {
        *FUNCTIONS,
        "bundled_prices",
        "hookimpl",
        "price_table",
        "read_price_folder",
        "today",
    }


def test_what_type_checkers_see_is_what_is_imported() -> None:
    (seen,) = (node for node in FACE.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    told = {n.module: tuple(a.name for a in n.names) for n in seen.body if isinstance(n, ast.ImportFrom)}
    assert told == zenplan._MODULES  # type: ignore[attr-defined]  # type checkers do not see it
    assert {"API", "__version__", *(name for names in told.values() for name in names)} == set(zenplan.__all__)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'estimat'"):
        _ = zenplan.estimat  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from zenplan import nothing  # type: ignore[attr-defined]  # noqa: F401


def test_the_release_is_said_once() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert whole["project"]["dynamic"] == ["version"]
    said = (ROOT / whole["tool"]["hatch"]["version"]["path"]).read_text(encoding="utf-8")
    assert f'__version__ = "{zenplan.__version__}"' in said
    assert version("zenplan") == zenplan.__version__


def test_importing_it_imports_none_of_its_modules() -> None:
    code = "import sys, zenplan; print(*sorted(m for m in sys.modules if m.startswith('zenplan')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["zenplan", "zenplan.version"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_its_arguments_are(name: str) -> None:
    function = getattr(zenplan, name)
    text = inspect.getdoc(function) or ""
    parameters = inspect.signature(function).parameters
    described = text.partition("Args:")[2].partition("Raises:")[0]
    heads = [line.strip().partition(":")[0] for line in described.splitlines() if re.match(r" {4}\S", line)]
    said = [word.strip() for head in heads for word in head.split(",")]
    if len(parameters) >= 4 or said:
        assert said == sorted(said, key=list(parameters).index)
        assert said == [*parameters]


@pytest.mark.parametrize(
    "name",
    [
        "estimate",
        "layouts",
        "calibrate",
        "backtest",
        "accelerators",
        "prices",
        "buy",
        "export",
        "compress",
        "watch",
        "stop",
    ],
)
def test_the_arguments_are_the_flags_of_the_command(name: str) -> None:
    _same_arguments(name, name, name)


def test_the_arguments_of_preparing_data_are_the_flags_of_the_command() -> None:
    _same_arguments("prepare_data", "data", "prepare")


def test_the_arguments_of_training_are_the_flags_of_the_command() -> None:
    flags = set(inspect.signature(import_module("zenplan.commands.train.command").train).parameters)
    arguments = set(inspect.signature(zenplan.train).parameters)
    assert arguments - {"request", "options", "progress"} == flags - {"what", "option", "dry_run", "demo", "output"}


def test_the_arguments_of_launching_are_the_flags_of_the_command() -> None:
    flags = set(inspect.signature(import_module("zenplan.commands.launch.command").launch).parameters)
    arguments = set(inspect.signature(zenplan.launch).parameters)
    assert arguments - {"options"} == flags - {"option", "output"}


def _same_arguments(function: str, room_name: str, name: str) -> None:
    room = import_module(f"zenplan.commands.{room_name}.command")
    command = getattr(room, f"_{name}" if name in ("accelerators", "prices") else name)
    flags = inspect.signature(command).parameters
    arguments = inspect.signature(getattr(zenplan, function)).parameters
    # --tokens of layouts is there to be refused; the context is Typer's.
    hidden = {"context"} | ({"tokens"} if name == "layouts" else set())
    assert set(arguments) - {"progress"} == set(flags) - SHOWING - hidden
    for each in set(arguments) - {"progress"}:
        default = arguments[each].default
        if default is not inspect.Parameter.empty:
            assert default == flags[each].default or str(default) == flags[each].default, each


# --- it answers as the command


def asked_alike(document: dict[str, Any]) -> dict[str, Any]:
    """The document without how the numbers of its request were spelled: 7e9 here, 7B there."""
    assert document["request"]
    return {**document, "request": None}


@pytest.mark.parametrize(
    "asked",
    [
        lambda: zenplan.estimate(params=1e9, gpu="H100", gpus=8),
        lambda: zenplan.layouts(params=1e9, gpu="H100", gpus=8),
        lambda: zenplan.accelerators(vendor="amd"),
        lambda: zenplan.prices(gpu="H100"),
        lambda: zenplan.buy(gpu="H100", price=250_000),
        zenplan.profile,
    ],
    ids=["estimate", "layouts", "accelerators", "prices", "buy", "profile"],
)
def test_an_answer_goes_to_another_process(asked: Callable[[], Any]) -> None:
    found = asked()
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):  # noqa: S301 - its own bytes
        assert (type(other), other) == (type(found), found)
        assert other.to_dict() == found.to_dict()


def test_estimate(printed: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    answer = zenplan.estimate(params=1e9, gpu="H100", gpus=64)
    assert capsys.readouterr() == ("", "")
    told = json.loads(printed("estimate", "--params", "1e9", "--gpu", "H100", "--gpus", "64", "--format", "json"))
    document = answer.to_dict()
    assert asked_alike(document) == asked_alike(told)
    assert told["request"] == {"params": "1e9", "gpu": "H100", "gpus": "64"}
    assert next(iter(document)) == "schema"
    best, bill = answer.recommended, told["quotes"][0]["bills"][0]
    assert isinstance(answer, zenplan.Answer)
    assert isinstance(best, zenplan.Ranked)
    assert best is answer.ranked[0]
    assert best.quote.devices == 64
    assert (best.total_usd.mid, best.wall_clock_s.mid) == (bill["total_usd"]["mid"], bill["wall_clock_s"]["mid"])
    assert best.gpu_hours.mid == bill["gpu_hours"]["mid"]


@pytest.mark.parametrize(
    ("arguments", "argv"),
    [
        ({"params": "7B", "active_params": 2_000_000_000}, "--params 7B --active-params 2e9"),
        ({"model": "resnet50", "samples": 1.2e6, "epochs": 9.5}, "--model resnet50 --samples 1.2M --epochs 9.5"),
        ({"params": 1e9, "deadline": timedelta(days=7, hours=1)}, "--params 1e9 --deadline 7d1h"),
        (
            {"params": 1e9, "deadline": "36h", "budget": 5000, "top": 2},
            "--params 1e9 --deadline 36h --budget 5k --top 2",
        ),
        ({"params": 3e9, "billing": "spot", "max_gpus": 64}, "--params 3e9 --billing spot --max-gpus 64"),
        ({"params": 1e9, "dataset_size": "1TB", "method": "lora"}, "--params 1e9 --dataset-size 1TB --method lora"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_numbers_and_texts(arguments: dict[str, Any], argv: str, printed: Callable[..., str]) -> None:
    found = zenplan.estimate(gpu="h100", **arguments)
    told = json.loads(printed("estimate", "--gpu", "h100", *argv.split(), "--format", "json"))
    assert asked_alike(found.to_dict()) == asked_alike(told)
    assert found.to_dict()["request"].keys() == told["request"].keys() == {"gpu", *arguments}
    assert told["quotes"]


def test_explained(printed: Callable[..., str]) -> None:
    answer = zenplan.estimate(params=1e9, gpu="H100", provider="aws")
    argv = ("estimate", "--params", "1e9", "--gpu", "H100", "--provider", "aws", "--explain", "--format", "json")
    assert asked_alike(answer.to_dict(explain=True)) == asked_alike(json.loads(printed(*argv)))
    assert "derivation" not in answer.to_dict()


def test_a_configuration_from_a_file_and_as_it_is(alone: Path, printed: Callable[..., str]) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 1024,
        "intermediate_size": 2816,
        "num_hidden_layers": 12,
        "num_attention_heads": 16,
        "vocab_size": 32000,
    }
    file = alone / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    told = json.loads(printed("estimate", "--config", str(file), "--gpu", "L4", "--format", "json"))
    for given in (config, file, str(file)):
        found = zenplan.estimate(config=given, gpu="L4").to_dict()
        assert asked_alike(found) == asked_alike(told)
        assert found["request"]["config"] == (config if given is config else str(file))


def test_own_prices(alone: Path, printed: Callable[..., str]) -> None:
    file = alone / "own.csv"
    file.write_text(
        "provider,instance,accelerator,devices,on_demand_usd_per_h\nmine,box,H100,8,8.0\n", encoding="utf-8"
    )
    found = zenplan.estimate(params=1e9, provider="mine", prices=file)
    assert {r.quote.offer.instance.provider for r in found.ranked} == {"mine"}
    told = json.loads(
        printed("estimate", "--params", "1e9", "--provider", "mine", "--prices", str(file), "--format", "json")
    )
    assert asked_alike(found.to_dict()) == asked_alike(told)


def test_layouts(printed: Callable[..., str]) -> None:
    found = zenplan.layouts(params="70e9", gpu="H100", gpus=64, by="memory", top=3)
    argv = "layouts --params 70e9 --gpu H100 --gpus 64 --by memory --top 3 --format json"
    assert found.to_dict() == json.loads(printed(*argv.split()))
    assert found.fastest.step.total_s <= found.leanest.step.total_s


def test_backtest(alone: Path, printed: Callable[..., str]) -> None:
    (alone / "runs.csv").write_text(ROWS, encoding="utf-8")
    shares: list[float] = []
    found = zenplan.backtest("runs.csv", by=("accelerator", "size"), progress=shares.append)
    assert found.to_dict() == json.loads(
        printed("backtest", "runs.csv", "--by", "accelerator,size", "--format", "json")
    )
    assert len(found.rows) == 2
    assert shares[-1] == 1.0


def test_accelerators(printed: Callable[..., str]) -> None:
    found = zenplan.accelerators(vendor="nvidia", architecture="Hopper")
    argv = "accelerators --vendor nvidia --architecture Hopper --format json"
    assert found.to_dict() == json.loads(printed(*argv.split()))
    assert found.by_name("h100").memory_bytes > 79e9
    assert {sheet.architecture for sheet in found} == {"Hopper"}


def test_a_maker_that_is_no_text() -> None:
    with pytest.raises(zenplan.UsageError, match="--vendor cannot be a bool"):
        zenplan.accelerators(vendor=True)  # type: ignore[arg-type]  # what is wrong is the point


def test_prices(printed: Callable[..., str]) -> None:
    found = zenplan.prices(gpu="h100", spot=True)
    assert found.to_dict() == json.loads(printed("prices", "--gpu", "h100", "--spot", "--format", "json"))
    assert {offer.instance.accelerator for offer in found.offers} == {"H100-SXM5-80GB"}
    assert all(offer.spot for offer in found.offers)


@pytest.mark.parametrize(
    ("arguments", "argv"),
    [
        ({"gpu": "h100", "gpus": 8, "price": 250_000}, "--gpu h100 --gpus 8 --price 250000"),
        ({"gpu": "8xH100", "utilisation": 0.8, "power": "9kW"}, "--gpu 8xH100 --utilisation 80% --power 9kW"),
        (
            {"gpu": "H200", "price": "300k", "staff": 0, "operations": {"pue": 1.5}, "provider_class": "hyperscaler"},
            "--gpu H200 --price 300k --staff 0 --operations pue=1.5 --provider-class hyperscaler",
        ),
    ],
    ids=["price", "worth", "operations"],
)
def test_buy(
    arguments: dict[str, Any], argv: str, printed: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = zenplan.buy(**arguments)
    assert capsys.readouterr() == ("", "")
    assert found.to_dict() == json.loads(printed("buy", *argv.split(), "--format", "json"))
    assert str(found) == printed("buy", *argv.split()).rstrip("\n")
    assert found.best is found.rents[0]
    told = {each.input: each for each in found.assumptions}
    assert (told["pue"].value, str(told["pue"].origin)) == (
        ("1.5", "given") if "operations" in arguments else ("1.2", "assumed")
    )
    with pytest.raises(zenplan.UsageError, match="--years"):
        zenplan.buy(**arguments, years=0)


def test_profile(printed: Callable[..., str]) -> None:
    found, told = zenplan.profile().to_dict(), json.loads(printed("profile", "--format", "json"))
    assert found.keys() == told.keys()
    assert found["driver"] == told["driver"]
    assert found["host"].keys() == told["host"].keys()


def test_calibrate(alone: Path) -> None:
    pytest.importorskip("jax", reason="the engine that is measured")
    (alone / "mine.py").write_text(MINE, encoding="utf-8")
    seen: list[tuple[float, str]] = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = zenplan.calibrate(
            keras="mine:build",
            vary="depth=1,2",
            depth=4,
            batch=8,
            backend="jax",
            device="cpu",
            minutes=0.5,
            samples=1e6,
            progress=lambda share, stage: seen.append((share, stage)),
        )
    # What speaks against measuring now depends on the machine.
    assert {w.category for w in told} <= {zenplan.ZenplanWarning}
    (taken,) = found.taken
    assert found.to_dict()["schema"] == "zenplan.calibrate/1"
    assert (taken.calibration.fingerprint.backend, taken.run.samples) == ("jax", 1e6)
    assert any(stage.startswith("jax: ") for _, stage in seen)
    with pytest.raises(zenplan.UsageError, match="--depth is for --keras"):
        zenplan.calibrate(depth=3)


def test_a_keras_model_as_it_is() -> None:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Conv2D(16, 3), keras.layers.Flatten()])
    answer = zenplan.estimate(keras=model, samples="1M", epochs=2, gpu="L4")
    count = zenplan.count_flop(model)
    assert answer.plan.workload.parameters == 3 * 3 * 3 * 16 + 16
    assert answer.plan.workload.flop_per_sample == pytest.approx(count.forward_flop)
    assert answer.plan.samples == 2e6


def test_what_is_no_keras_model_is_refused_before_keras_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(zenplan.UsageError, match="str is no Keras model"):
        zenplan.count_flop("mine:build")
    assert "keras" not in sys.modules


# --- as a table


@pytest.mark.parametrize("which", ["estimate", "layouts", "accelerators", "prices", "profile"])
def test_print_writes_the_table_of_the_command(which: str, printed: Callable[..., str]) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "estimate": {"params": "1e9", "gpu": "H100", "gpus": "8"},
        "layouts": {"params": "1e9", "gpu": "H100", "gpus": "8"},
    }
    given = arguments.get(which, {})
    argv = [part for name, value in given.items() for part in (f"--{name}", value)]
    told = re.sub(r"\d", "0", str(getattr(zenplan, which)(**given)))
    assert told == re.sub(r"\d", "0", printed(which, *argv)).rstrip("\n")


def test_a_notebook_shows_it_escaped(alone: Path) -> None:
    file = alone / "own.csv"
    row = '"<b>mine</b>",a&b,H100,8,8.0'
    file.write_text(f"provider,instance,accelerator,devices,on_demand_usd_per_h\n{row}\n", encoding="utf-8")
    text = zenplan.estimate(params=1e9, provider="<b>mine</b>", prices=file)._repr_html_()
    assert "&lt;b&gt;mine&lt;/b&gt; a&amp;b" in text
    assert "<b>" not in text
    assert text.count("<table>") == text.count("</table>") >= 2
    assert 'style="text-align: right"' in text
    drawn = zenplan.layouts(params=1e9, gpu="H100", gpus=8)._repr_html_()
    assert "white-space: pre" in drawn


# --- what it does not read, and what it says when it cannot answer


def test_settings_of_the_user_are_not_read(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (alone / "zenplan.toml").write_text('gpu = "no such thing"\n', encoding="utf-8")
    monkeypatch.setenv("ZENPLAN_GPUS", "none")
    assert zenplan.estimate(params=1e9, gpus=8).recommended.quote.devices == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing says what to train"),
        ({"params": -1}, "--params must be above zero and finite, not '-1'"),
        ({"params": math.inf}, "--params is not a number: 'inf'"),
        ({"params": math.nan}, "--params is not a number: 'nan'"),
        ({"params": 10**5000}, "--params is not a number: 'infinite'"),
        ({"params": True}, "--params cannot be a bool"),
        ({"params": [1e9]}, "--params cannot be a list"),
        ({"params": 1e9, "deadline": 7}, "--deadline needs a unit: '7'"),
        ({"params": 1e9, "gpus": 2.5}, "gpus must be a whole number"),
        ({"params": 1e9, "gpus": 64, "max_gpus": 8}, "--gpus 64 and --max-gpus 8 contradict"),
        ({"params": 1e9, "batch": 1.5}, "--batch must be a whole number"),
        ({"params": 1e9, "gpu": "H1000000"}, "unknown accelerator 'H1000000'"),
        ({"model": 7}, "unknown model '7'"),
        ({"keras": 7}, "--keras cannot be a int|int is no Keras model"),
        ({"params": 1e9, "model": "gpt2"}, "--params and --model contradict"),
        ({"config": "nowhere.json"}, "nowhere.json"),
        ({"params": Fraction(10**5000, 3)}, "--params is not a number: 'infinite'"),
        ({"params": Path("1e9")}, f"--params cannot be a {type(Path()).__name__}"),
        ({"model": Path("gpt2")}, f"--model cannot be a {type(Path()).__name__}"),
        ({"params": 1e9, "deadline": Path("7d")}, f"--deadline cannot be a {type(Path()).__name__}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_slip_is_a_usage_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(zenplan.UsageError, match=message if "|" in message else re.escape(message)):
        zenplan.estimate(**arguments)


def test_the_answer_is_no() -> None:
    with pytest.raises(zenplan.NoFit, match="does not fit"):
        zenplan.estimate(params="2000B", gpu="H100", gpus=8)
    late = zenplan.estimate(params="70B", gpu="H100", gpus=64, deadline="1h")
    assert (late.met, "misses the deadline" in late.verdict) == (False, True)


def test_a_bad_plugin_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENPLAN_PLUGINS", "nobody")
    with pytest.warns(zenplan.ZenplanWarning, match="plugin nobody: load: not installed") as told:
        assert zenplan.estimate(params=1e9, gpu="H100").recommended
    # It is said at the line that asked.
    assert [w.filename for w in told] == [__file__]


# --- the page


def blocks() -> Iterator[str]:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    yield from re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_page_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras")
    names: dict[str, Any] = {}
    for block in blocks():
        exec(block, names)  # noqa: S102 - the examples of our own page, one after another
        assert capsys.readouterr().out
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in FUNCTIONS if f"`{name}(" not in page and f"`@{name}(" not in page] == []


# --- plugins


# What the page says that engines share, and what they are tested with.
PAGE = ROOT / "docs" / "plugins" / "engines.md"
SHARED = {*re.findall(r"`(zenplan[.][a-z_.]+)`", PAGE.read_text("utf-8")), "zenplan.testing"}


def test_plugins_import_from_the_face_alone() -> None:
    roots = (ROOT / "plugins", ROOT / "zenplan" / "templates")
    files = [f for root in roots for f in root.rglob("*.py") if not {"build", "dist", ".venv"} & set(f.parts)]
    assert files
    deeper = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            deeper += [f"{file.name}: {n}" for n in names if n.startswith("zenplan.") and n not in SHARED]
            if isinstance(node, ast.ImportFrom) and node.module == "zenplan":
                deeper += [f"{file.name}: {a.name}" for a in node.names if a.name not in zenplan.__all__]
    assert deeper == []


# --- types

USER = """
import zenplan
from zenplan import Offer, hookimpl

answer = zenplan.estimate(params=1e9, gpu="H100", gpus=64)
reveal_type(answer)
reveal_type(answer.recommended.total_usd)
reveal_type(zenplan.prices(gpu="h100").offers)
zenplan.estimate(parms=1e9)
zenplan.estimat(params=1e9)
"""


def test_a_users_own_file_finds_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "mine.py").write_text(USER, encoding="utf-8")
    # What mypy has found out of zenplan's own files, where it was run on them, is so here too.
    cache = str(ROOT / ".mypy_cache")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--cache-dir", cache, "mine.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    told = [re.sub(r"^mine\.py:(\d+): ", r"\1 ", line) for line in done.stdout.splitlines() if "defined in" not in line]
    assert told[:-1] == [
        '6 note: Revealed type is "zenplan.results.Answer"',
        '7 note: Revealed type is "zenplan.domain.range.Range | None"',
        '8 note: Revealed type is "tuple[zenplan.domain.market.offer.Offer, ...]"',
        '9 error: Unexpected keyword argument "parms" for "estimate"; did you mean "params"?  [call-arg]',
        '10 error: Module has no attribute "estimat"; maybe "estimate"?  [attr-defined]',
    ], done.stdout + done.stderr


def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="builds the wheel without the network")
    code = textwrap.dedent(
        f"""
        from hatchling.builders.wheel import WheelBuilder
        print(*WheelBuilder({str(ROOT)!r}).build(directory={str(tmp_path)!r}, versions=["standard"]))
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    with zipfile.ZipFile(done.stdout.strip()) as wheel:
        names = set(wheel.namelist())
    assert {"zenplan/py.typed", "zenplan/api.py", "zenplan/data/prices.csv"} <= names
