"""Request files: the same answer as the flags, and the line of whatever is wrong."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zenplan
from zenplan.commands.shared.options import FLAGS, GROUPS

PAGE = Path(__file__).parents[3] / "docs" / "plans.md"
Call = Callable[..., Any]
REQUEST = """\
budget = 50_000

[model]
params = 7e9
[data]
tokens = "10B"
[step]
seq-len = 2048
[hardware]
gpu = "H100"
[train]
whatever = { it = "likes" }
"""


@pytest.fixture
def request_file(called: Call) -> Callable[[str], Path]:
    """A request in a file of the current folder."""

    def written(text: str) -> Path:
        Path("request.toml").write_text(text, encoding="utf-8")
        return Path("request.toml")

    return written


def refused(ended: Any, code: int = 2) -> tuple[str, str]:
    """The error and the hint, once nothing else was said."""
    assert ended.code == code, ended
    assert ended.out == ""
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    return error.removeprefix("error: "), hint.removeprefix("hint: ")


def test_a_file_answers_as_its_flags(called: Call, request_file: Callable[[str], Path]) -> None:
    request_file(REQUEST)
    by_file = json.loads(called("estimate", "--request", "request.toml", "--format", "json").out)
    flags = "--budget 50000 --params 7e9 --tokens 10B --seq-len 2048 --gpu H100"
    by_flags = json.loads(called("estimate", *flags.split(), "--format", "json").out)
    assert {**by_file, "request": None} == {**by_flags, "request": None}
    assert by_file["request"].keys() == by_flags["request"].keys() == {"budget", "params", "tokens", "seq_len", "gpu"}
    assert by_flags["request"]["tokens"] == "10B"
    assert zenplan.estimate(request="request.toml").to_dict() == by_file


def test_flags_come_before_the_file_and_the_file_before_settings(
    called: Call, request_file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    request_file('params = 1e9\ngpu = "H100"\nbilling = "on-demand"\n')
    monkeypatch.setenv("ZENPLAN_BILLING", "spot")
    monkeypatch.setenv("ZENPLAN_TOP", "1")
    told = json.loads(
        called("estimate", "--request", "request.toml", "--gpu", "A100-SXM4-80GB", "--format", "json").out
    )
    assert {quote["accelerator"] for quote in told["quotes"]} == {"A100-SXM4-80GB"}
    assert told["billing"] == "on-demand"
    assert len(told["quotes"]) == 1
    # What was set elsewhere decides the answer too, and is recorded.
    assert told["request"] == {
        "params": "1e+09",
        "gpu": "A100-SXM4-80GB",
        "billing": "on-demand",
        "top": "1",
    }
    assert zenplan.estimate(
        request="request.toml", gpu="A100-SXM4-80GB"
    ).recommended.quote.offer.instance.accelerator == ("A100-SXM4-80GB")


def test_every_flag_has_a_table_and_stands_at_the_top_too() -> None:
    names = [flag.name for group in GROUPS.values() for flag in group]
    assert names == list(FLAGS)
    # A flag of a table's name is told from it by its value.
    assert {"model", "prices"} <= GROUPS.keys() & FLAGS.keys()


def test_a_key_may_stand_in_any_table_once(called: Call, request_file: Callable[[str], Path]) -> None:
    request_file('[model]\nparams = 1e9\nmethod = "full"\n[wishes]\ngpus = 8\n[hardware]\ngpu = "H100"\nmax-gpus = 8\n')
    told = json.loads(called("estimate", "--request", "request.toml", "--format", "json").out)
    assert told["request"] == {"params": "1e+09", "method": "full", "gpu": "H100", "gpus": "8", "max_gpus": "8"}


def test_the_page_has_every_key_in_its_table() -> None:
    """``ZENPLAN_REGENERATE=1`` writes it."""
    rows = "".join(f"| `[{name}]` | {', '.join(f'`{f.name}`' for f in group)} |\n" for name, group in GROUPS.items())
    marked = re.compile(r"(?<=<!-- tables -->\n).*(?=<!-- /tables -->)", re.DOTALL)
    page = PAGE.read_text(encoding="utf-8")
    made = marked.sub(lambda _: f"\n| table | its keys |\n|---|---|\n{rows}\n", page)
    if os.environ.get("ZENPLAN_REGENERATE"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made
    assert "| `[data]` | `tokens`" in made


def test_paths_are_from_the_folder_of_the_file(called: Call) -> None:
    folder = Path("plans")
    folder.mkdir()
    (folder / "own.csv").write_text(
        "provider,instance,accelerator,devices,on_demand_usd_per_h\nmine,box,H100,8,8.0\n", encoding="utf-8"
    )
    (folder / "r.toml").write_text('params = "1B"\nprovider = "mine"\n[prices]\nprices = "own.csv"\n', encoding="utf-8")
    told = json.loads(called("estimate", "--request", "plans/r.toml", "--format", "json").out)
    assert told["quotes"][0]["provider"] == "mine"
    assert told["request"]["prices"] == os.path.join("plans", "own.csv")  # noqa: PTH118 - a text is compared


@pytest.mark.parametrize(
    ("text", "line", "error", "hint"),
    [
        ("params = 1e9\n\nparms = 2\n", 3, "unknown key 'parms'", "did you mean params"),
        ("[model]\nparams = 1e9\n[data]\ntokenz = 2\n", 4, "unknown key 'tokenz'", "did you mean tokens"),
        ("[modl]\nparams = 1e9\n", 1, "unknown table 'modl'", "did you mean model"),
        ("[model]\nparams = 1e9\nbudgget = 1e9\n", 3, "unknown key 'budgget'", "did you mean budget"),
        ("[data]\nxyzzy = 1e9\n", 2, "unknown key 'xyzzy'", "known: tokens"),
        ('params = 1e9\n[step]\n"seq-len" = "long"\n', 3, "seq-len", "write it as in"),
        ("params = 1e9\nxyzzy = 3\n\n[wishes]\ndeadline = 7\n", 2, "unknown key 'xyzzy'", "known: "),
        ("params = 1e9\n[wishes]\ndeadline = 7\n", 3, "deadline needs a unit", "7d"),
        ("params = 1e9\n[hardware]\ngpus = 1.5\n", 3, "gpus must be a whole number", "gpus: "),
        ("params = true\n", 1, "params must be a text or a number, not true", "params: "),
        ("params = [1e9, 2e9]\n", 1, "params must be a text or a number, not a list", "params: "),
        ("params = inf\n", 1, "params is not a number", "1e9"),
        ('params = ""\n', 1, "params is empty", "params: "),
        ("params.of = 3\n", 1, "params cannot be a table", "params = "),
        ("params = 1e9\nseq-len = 1\n[step]\nseq_len = 2\n", 4, "seq_len is there already, in line 2", "keep one"),
        ('model = "gpt2"\nconfig = 3\n', 2, "config must be a path in quotes, not 3", "config: "),
        ('params = 1e9\n[offers]\nbilling = "free"\n', 3, "billing must be one of", "billing: "),
        # What is found out later.
        ('params = 1e9\n[hardware]\ngpu = "H1000"\n', 3, "unknown accelerator 'H1000'", "did you mean"),
        ('# x\nmodel = "llama9-8b"\n', 2, "unknown model 'llama9-8b'", "did you mean"),
        ('params = 1e9\n[model]\nmethod = "magic"\n', 3, "unknown method 'magic'", "known: "),
        ('params = 1e9\nprovider = "awss"\n', 2, "unknown provider 'awss'", "did you mean"),
        ('params = 1e9\n\nprices = "none.csv"\n', 3, "", "CSV"),
        ('config = "none.json"\n', 1, "", ""),
        ('params = 1e9\ncurrency = "EUR"\nrate = "much"\n', 3, "--rate", "0.92"),
        ("params = 1e9\ntokens = 1e9\ndataset_size = '1GB'\n", 2, "", ""),
        ("params = 1e9\ngpus = 8\nmax_gpus = 4\n", 2, "--gpus", ""),
    ],
    ids=str,
)
def test_what_is_wrong_has_its_line(
    text: str, line: int, error: str, hint: str, called: Call, request_file: Callable[[str], Path]
) -> None:
    request_file(text)
    said, helped = refused(called("estimate", "--request", "request.toml"))
    assert said.startswith(f"request.toml, line {line}: {error}")
    assert hint in helped
    with pytest.raises(zenplan.UsageError, match=f"line {line}: "):
        zenplan.estimate(request="request.toml")


def test_a_file_that_is_none(called: Call, tmp_path: Path) -> None:
    Path("latin.toml").write_bytes(b"model = '\xe4'")
    Path("no.toml").write_text("params = \n", encoding="utf-8")
    Path("huge.toml").write_text("#" * 2_000_000, encoding="utf-8")
    Path("empty.toml").write_text("# nothing\n", encoding="utf-8")
    os.mkfifo("pipe.toml")
    for name in ("latin.toml", "no.toml", "huge.toml", "empty.toml", "pipe.toml", "missing.toml", str(tmp_path)):
        error, _ = refused(called("estimate", "--request", name), 2 if name == "empty.toml" else 1)
        assert error.startswith(name)


@pytest.mark.parametrize("text", ['gpu = ["h100", "zzzz"]', "gpu = 5", 'provider = ["aws", "zzzz"]', "region = 7"])
def test_a_name_in_a_list_has_its_line_too(text: str, called: Call) -> None:
    Path("r.toml").write_text(f"params = 1e9\n{text}\n", encoding="utf-8")
    ended = called("estimate", "--request", "r.toml")
    assert (ended.code, ended.out) == (2, "")
    assert "r.toml, line 2: " in ended.err


def test_other_questions_are_asked_of_a_file_too(called: Call) -> None:
    flags = ("--params", "1e9", "--tokens", "2e9", "--provider", "aws")
    text = 'params = 1e9\ntokens = 2e9\nprovider = "aws"\n'
    Path("r.toml").write_text(text, encoding="utf-8")
    for command, more in (
        ("compare", ("--gpu", "h100", "--gpu", "a100")),
        ("compare", ("--tokens", "1e9", "--tokens", "3e9")),
        ("what-if", ("--tokens", "+50%")),
        ("what-if", ("--price", "-10%", "--tokens", "1e9")),
        ("what-if", ()),
    ):
        own = flags if "1e9" not in more else ("--params", "1e9", "--provider", "aws")
        ended = called(command, "--request", "r.toml", *more)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out == called(command, *own, *more).out
        Path("bad.toml").write_text(f'{text}gpu = "zzzz"\n', encoding="utf-8")
        if "--gpu" not in more:
            assert "bad.toml, line 4: " in called(command, "--request", "bad.toml", *more).err
