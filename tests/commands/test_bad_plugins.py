"""Bad plugins as a user meets them: installed, and the answer comes all the same, with one line about each."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

HEAD = "from zenplan.hookspecs import hookimpl\n"
BAD = {
    "raises-at-import": "raise RuntimeError('broken\\nat import')",
    "exits-at-import": "import sys\nsys.exit(5)",
    "raises-in-a-hook": "@hookimpl\ndef zenplan_accelerators():\n    raise ValueError('no sheets today')",
    "returns-garbage": "@hookimpl\ndef zenplan_accelerators():\n    return [1, None, 'H100', object]",
    "returns-a-number": "@hookimpl\ndef zenplan_price_providers():\n    return 7",
    "prints": "print('hello')\n@hookimpl\ndef zenplan_accelerators():\n    print('hello again')\n    raise OSError(28, 'x')",
    "prices-that-fail": """
        class Shop:
            name = "shop"
            def bundled(self):
                raise KeyError("no prices today")
            def fetch(self, http):
                return None
        @hookimpl
        def zenplan_price_providers():
            return [Shop()]
        """,
}
# Python's own letter for a bad item, and one for each item.
LINES = {"returns-garbage": 4}
HANGS = """
    import pathlib, time
    @hookimpl
    def zenplan_accelerators():
        pathlib.Path("hangs").touch()
        while True:
            time.sleep(0.05)
        yield
    """


def install(folder: Path, name: str, body: str) -> dict[str, str]:
    """A distribution on PYTHONPATH, and the variables that have it loaded."""
    module = f"bad_{name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(HEAD + textwrap.dedent(body), encoding="utf-8")
    info = folder / f"dist_{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[zenplan]\n{name} = {module}\n", encoding="utf-8")
    return {"PYTHONPATH": str(folder), "ZENPLAN_PLUGINS": name}


@pytest.mark.parametrize("name", BAD)
def test_the_answer_comes_with_a_warning(name: str, zenplan: Any, tmp_path: Path) -> None:
    environ = zenplan.environment(**install(tmp_path, name, BAD[name]))
    ended = zenplan("estimate", "--params", "1e9", "--gpu", "h100", "--format", "json", environ=environ)
    assert ended.code == 0, ended.err
    assert ended.out.startswith('{\n  "schema": "zenplan.estimate/2"')
    warnings = [line for line in ended.err.splitlines() if not line.startswith("hello")]
    assert len(warnings) == LINES.get(name, 1)
    assert all(line.startswith(f"warning: plugin {name} ") for line in warnings)


def test_a_good_plugin_says_nothing(zenplan: Any, tmp_path: Path) -> None:
    environ = zenplan.environment(**install(tmp_path, "good", "@hookimpl\ndef zenplan_accelerators():\n    return []"))
    ended = zenplan("estimate", "--params", "1e9", "--gpu", "h100", environ=environ)
    assert (ended.code, ended.err) == (0, "")


FAMILY = """
class Family:
    name = "mine"
    def presets(self):
        return {presets}
    def lower(self, options):
        raise ValueError("mine cannot lower that")
@hookimpl
def zenplan_workloads():
    return [Family()]
"""


@pytest.mark.parametrize(
    "argv", [("--params", "1e9"), ("--model", "gpt2-124m"), ("--model", "GPT2 124M")], ids=" ".join
)
def test_a_family_answers_for_its_own_models_only(argv: tuple[str, str], zenplan: Any, tmp_path: Path) -> None:
    environ = zenplan.environment(**install(tmp_path, "family", FAMILY.format(presets="['mine-1b']")))
    ended = zenplan("estimate", *argv, "--gpu", "h100", environ=environ)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("presets", "command"),
    [
        ("[][1]", "estimate --model gpt2-124m"),
        ("[][1]", "workloads"),
        ("['mine-1b']", "workloads"),
        ("['mine-1b']", "estimate --model mine-1b"),
    ],
)
def test_a_family_that_raises_is_named(presets: str, command: str, zenplan: Any, tmp_path: Path) -> None:
    environ = zenplan.environment(**install(tmp_path, "family", FAMILY.format(presets=presets)))
    ended = zenplan(*command.split(), environ=environ)
    assert "a fault in zenplan" not in ended.err
    assert "plugin family " in ended.err


ODD = """
from zenplan import Accelerator, Block, MatMul, Split, Workload
class Family:
    name = "mine"
    def presets(self):
        return ["mine-1b"]
    def lower(self, options):
        product = dict(name="p", rows=8, inner=8, columns=8, split=Split.NONE)
        return {}
@hookimpl
def zenplan_workloads():
    return [Family()]
"""
BLOCK = "Block(name='b', operators=({},))"
WORKLOAD = "Workload(name='m', family='mine', blocks=({},), tokens_per_sample=8)"
ODD_MODELS = {
    "7": "it returned a int, not Workload",
    "Workload": "it returned a type, not Workload",
    WORKLOAD.format("7"): "blocks[0]: a int, not Block",
    WORKLOAD.format(BLOCK.format("None")): "blocks[0].operators[0]: a NoneType, not MatMul or Attention or ",
    WORKLOAD.format(BLOCK.format("MatMul(**product | {'split': 'rows'})")): "operators[0].split: a str, not Split",
    WORKLOAD.format(BLOCK.format("MatMul(**product | {'saved': float('nan')})")): "operators[0].saved is nan",
    WORKLOAD.format(BLOCK.format("MatMul(**product | {'saved': 'all'})")): "operators[0].saved: a str, not float",
    WORKLOAD.format(BLOCK.format("MatMul(**product | {'rows': -1})")): "rows must be above zero and finite, not -1",
    WORKLOAD.format(BLOCK.format("MatMul(**product | {'tied': 3})")): "operators[0].tied: a int, not bool",
    WORKLOAD.format(BLOCK.format("MatMul(**product)")).replace("8)", "'8')"): "must be a number, not '8'",
    WORKLOAD.format(BLOCK.format("MatMul(**product)")).replace("8)", "8, heads='2')"): "heads: a str, not int",
    WORKLOAD.format(BLOCK.format("MatMul(**product)")).replace(
        "8)", "8, facts=('given',))"
    ): "facts[0]: a str, not Fact",
}


@pytest.mark.parametrize("made", ODD_MODELS)
def test_a_family_whose_model_is_odd_is_named_and_the_others_answer(
    made: str, called: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"odd{abs(hash(made))}"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ZENPLAN_PLUGINS", name)
    install(tmp_path, name, ODD.format(made).replace("return {}", f"return {made}"))
    ended = called("estimate", "--model", "mine-1b", "--gpu", "h100")
    warning, error, hint = ended.err.splitlines()
    assert (ended.code, ended.out) == (1, "")
    assert warning.startswith(f"warning: plugin {name} (dist-{name} 1.0): mine.lower(): ")
    assert ODD_MODELS[made] in warning
    assert error.startswith(f"error: mine.lower() of plugin {name} (dist-{name} 1.0) failed: ")
    assert f"ZENPLAN_BLOCK={name} " in hint
    assert called("estimate", "--model", "gpt2-124m", "--gpu", "h100").code == 0


EXPORTERS = {
    "return None": "odd.export(): it returned a NoneType, not str",
    "return b'bytes'": "odd.export(): it returned a bytes, not str",
    "raise KeyError('no')": "odd.export(): KeyError: 'no'",
    "return report.document['nothing']": "odd.export(): KeyError: 'nothing'",
    "raise SystemExit": "odd.export(): SystemExit",
}


@pytest.mark.parametrize("body", EXPORTERS)
def test_a_format_that_fails_is_named(body: str, called: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"format{abs(hash(body))}"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ZENPLAN_PLUGINS", name)
    text = f"class Odd:\n    name = 'odd'\n    def export(self, report):\n        {body}\n"
    install(tmp_path, name, f"{text}@hookimpl\ndef zenplan_exporters():\n    return [Odd()]\n")
    ended = called("accelerators", "--format", "odd")
    assert (ended.code, ended.out) == (1, "")
    assert EXPORTERS[body] in ended.err
    said = f"of plugin {name} (dist-{name} 1.0) failed:"
    assert f"error: {EXPORTERS[body].replace(':', f' {said}', 1)}" in ended.err
    assert "hint: other formats: csv, html, json, markdown, table" in ended.err
    assert called("accelerators").code == 0


ENGINES = {
    "return None": "it returned None, not an iterable of str",
    "return 'python -m mine'": "it returned a str, not an iterable of str",
    "return []": "it returned nothing",
    "return ['python', 7]": "[1]: a int, not str",
    "raise OSError(2, 'gone')": "FileNotFoundError: [Errno 2] gone",
}


@pytest.mark.parametrize("body", ENGINES)
def test_an_engine_that_cannot_start_is_named(
    body: str, called: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"engine{abs(hash(body))}"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ZENPLAN_PLUGINS", name)
    text = f"class Odd:\n    name = 'odd'\n    extra = 'odd'\n    def worker(self):\n        {body}\n"
    install(tmp_path, name, f"{text}@hookimpl\ndef zenplan_engines():\n    return [Odd()]\n")
    ended = called("calibrate", "--model", "gpt2-124m", "--batch", "1", "--backend", "odd", "--device", "cpu")
    assert (ended.code, ended.out) == (1, "")
    assert f"odd.worker(): {ENGINES[body]}" in ended.err
    assert f"error: odd.worker() of plugin {name} (dist-{name} 1.0) failed: " in ended.err


def test_a_data_sheet_of_odd_fields_is_left_out_alone(
    called: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ZENPLAN_PLUGINS", "sheets")
    made = "Accelerator(name='{}', vendor='V', architecture='A', memory_bytes=1e9, memory_bytes_per_s=1e9, {})"
    rows = [made.format("good", ""), made.format("bad", "aliases='x1'"), made.format("worse", "power_w='300'")]
    text = f"from zenplan import Accelerator\n@hookimpl\ndef zenplan_accelerators():\n    yield {rows[0]}\n"
    install(tmp_path, "sheets", f"{text}    yield {rows[1]}\n")
    ended = called("accelerators", "show", "good")
    assert ended.code == 0
    assert ended.err.endswith("zenplan_accelerators: item 2 is left out: aliases: a str, not tuple\n")


def test_a_plugin_that_was_left_out_is_said_also_where_the_command_fails(zenplan: Any, tmp_path: Path) -> None:
    # The name that nobody knows may be one that the plugin would have given.
    environ = zenplan.environment(**install(tmp_path, "shop", BAD["raises-in-a-hook"]))
    ended = zenplan("accelerators", "show", "x1-of-that-plugin", environ=environ)
    assert ended.code == 2
    warning, error, _ = ended.err.splitlines()
    assert warning.startswith("warning: plugin shop ")
    assert error == "error: unknown accelerator 'x1-of-that-plugin'"


def test_one_that_is_not_installed(zenplan: Any) -> None:
    ended = zenplan("workloads", environ=zenplan.environment(ZENPLAN_PLUGINS="nobody"))
    assert ended.code == 0
    assert ended.err == "warning: plugin nobody: load: not installed\n"


def test_none_but_zenplans_own(zenplan: Any) -> None:
    ended = zenplan("estimate", "--params", "1e9", environ=zenplan.environment(ZENPLAN_PLUGINS=""))
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    "argv",
    [
        ("estimate", "--params", "1e9"),
        ("accelerators",),
        ("accelerators", "show", "h100"),
        ("prices",),
        ("workloads",),
        ("workloads", "show", "gpt2-124m"),
        ("plugins",),
        ("config",),
        ("profile",),
    ],
    ids=" ".join,
)
def test_without_zenplans_own_nothing_is_known(argv: tuple[str, ...], called: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("ZENPLAN_BLOCK", "builtin")
    ended = called(*argv)
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (2, "")
    assert lines[0].startswith("error: ")
    assert "a fault" not in ended.err
    assert [line.split(":")[0] for line in lines[1:]] in ([], ["hint"])
    assert not ended.err.rstrip().endswith(":")


def test_one_that_hangs_is_given_up(zenplan: Any, tmp_path: Path) -> None:
    environ = zenplan.environment(**install(tmp_path, "hangs", HANGS))
    start = time.monotonic()
    ended = zenplan("estimate", "--params", "1e9", "--gpu", "h100", environ=environ)
    assert time.monotonic() - start < 30
    assert ended.code == 0
    assert ended.out.startswith("Training 1.00B parameters")
    (line,) = ended.err.splitlines()
    assert line.startswith("warning: plugin hangs ")
    assert "no answer within" in line


@pytest.mark.parametrize("command", ["estimate --params 1e9", "accelerators"])
def test_an_interrupt_ends_it_with_one_line(command: str, zenplan: Any, tmp_path: Path) -> None:
    """While a plugin hangs there is time to press Ctrl-C in the middle of a command."""
    environ = zenplan.environment(**install(tmp_path, "hangs", HANGS))

    def not_ignored() -> None:
        # A test run in the background ignores the signal, and so would its children.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(
        [*zenplan.module, *command.split()],
        env=environ,
        cwd=zenplan.cwd,
        text=True,
        preexec_fn=not_ignored,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 30
        while not (zenplan.cwd / "hangs").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (130, "", "error: interrupted\n")
