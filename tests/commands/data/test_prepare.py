"""``zenplan data prepare``: flags, request files, what is printed, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import zenplan
from zenplan.adapters.corpus import sources
from zenplan.adapters.corpus.prepared import read_data

Call = Callable[..., Any]
SCHEMA = Path(zenplan.__file__).parent / "data" / "schemas" / "data_card-1.json"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Sixty texts with two labels."""
    rows = [{"text": f"Text {n} of {n * n}: {n * 7919 % 1009} is no {n % 2}.", "even": n % 2 == 0} for n in range(60)]
    file = tmp_path / "texts.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def refused(ended: Any, code: int) -> str:
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, ""), ended
    assert [line.partition(": ")[0] for line in lines] in (["error"], ["error", "hint"])
    return str(ended.err)


def test_the_answer_is_the_card(texts: Path, called: Call) -> None:
    argv = ("data", "prepare", str(texts), "--out", "out", "--vocabulary", "300", "--near-duplicates", "ignore")
    ended = called(*argv, "--tokens", "1k", "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(told)
    assert (told["records"], told["kind"], told["needed_tokens"]) == (60, "tokens", 1000)
    train = next(part for part in told["parts"] if part["name"] == "train")
    assert told["passes"] == pytest.approx(1000 / train["tokens"])
    # The file beside the data is the same document, and 'show' prints it.
    assert json.loads(Path("out", "card.json").read_text(encoding="utf-8")) == told
    assert json.loads(called("data", "show", "out", "--format", "json").out) == told
    for form in ("table", "csv", "markdown", "html"):
        shown = called("data", "show", "out", "--format", form)
        assert (shown.code, shown.err) == (0, "")
        assert "train" in shown.out


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--tokens", "10"), "Enough: "),
        (("--params", "100"), "nearly as good"),
        (("--tokens", "20k"), "Not enough"),
        (("--tokens", "1B"), "Far from enough"),
        # The plan is judged too: by what its model wants.
        (("--tokens", "200", "--params", "7B"), "Not enough"),
        (("--tokens", "200", "--params", "10"), "Enough: "),
        (("--tokens", "1M", "--params", "7B"), "Far from enough"),
        ((), ""),
    ],
)
def test_whether_it_is_enough(flags: tuple[str, ...], word: str, texts: Path, called: Call) -> None:
    ended = called("data", "prepare", str(texts), "--out", "out", "--vocabulary", "300", *flags)
    assert ended.code == 0
    assert word in ended.out
    said = " ".join(ended.out.split())
    assert ("of the plan" in said or "the plan needs" in said) == bool(word)


def test_a_plan_that_is_small_for_its_model_is_said(texts: Path, called: Call) -> None:
    argv = ("data", "prepare", str(texts), "--out", "out", "--vocabulary", "300", "--overwrite", "--tokens")
    assert "for fine-tuning" in called(*argv, "1M", "--params", "7B").out
    assert "are few" in called(*argv, "1M", "--params", "1M").out
    assert "few" not in called(*argv, "20M", "--params", "1M").out
    told = json.loads(called(*argv, "20M", "--params", "1M", "--format", "json").out)
    assert (told["parameters"], told["needed_tokens"]) == (1e6, 20e6)


def test_flags_of_a_request_file(texts: Path, called: Call, tmp_path: Path) -> None:
    lines = [
        'params = "1M"',
        "[data]",
        'data = "texts.jsonl"',
        'label = "even"',
        "test = 0",
        'validation = "20%"',
        "vocabulary = 280",
        "[step]",
        "seq-len = 16",
        "[train]",
        "anything = 1",
    ]
    (tmp_path / "run.toml").write_text("\n".join(lines), encoding="utf-8")
    ended = called("data", "prepare", "--request", str(tmp_path / "run.toml"), "--out", "out", "--seed", "3")
    assert (ended.code, ended.err) == (0, "")
    data = read_data(Path("out"))
    assert (list(data["parts"]), data["classes"]) == (["train", "validation"], 2)
    assert np.load(Path("out", "train-x.npy")).shape == (data["parts"]["train"]["samples"], 16)
    # What is of preparing is no flag of an estimate, which takes the rest.
    assert called("estimate", "--request", str(tmp_path / "run.toml"), "--gpu", "H100", "--epochs", "1").code == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('split_by = "page"', "line 2"),
        ("splitby = 1", "line 2"),
        ('validation = "120%"', "line 2"),
        ("vocabulary = 3", "line 2"),
        ('label = "nothing"', "no column 'nothing'"),
    ],
)
def test_a_slip_in_a_request_file(line: str, said: str, texts: Path, called: Call, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(f"[data]\n{line}\n", encoding="utf-8")
    ended = called("data", "prepare", str(texts), "--request", str(tmp_path / "run.toml"), "--out", "out")
    assert ended.code in (1, 2)
    assert said in refused(ended, ended.code)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ((), 2, "--out"),
        (("--out", "out", "--vocabulary", "100"), 2, "--vocabulary"),
        (("--out", "out", "--validation", "60%", "--test", "40%"), 2, "--validation and --test"),
        (("--out", "out", "--split-by", "page"), 2, "--split-by"),
        (("--out", "out", "--min-chars", "9", "--max-chars", "3"), 2, "--max-chars"),
        (("--out", "out", "--classes", "3"), 2, "--label"),
        (("--out", "out", "--label", "even", "--ids", "text", "--split-by", "folder"), 1, "too few"),
        (("--out", "out", "--label", "folder"), 1, "no value in the label"),
        (("--out", "out", "--label", "text", "--text-column", "even"), 1, "without text"),
        (("--out", "out", "--text-column", "nothing"), 1, "no column 'nothing'"),
        (("--out", "out", "--tokenizer", "nowhere.json"), 1, "nowhere.json"),
        (("--out", "out", "--tokenizer", "/dev/zero"), 1, "not a regular file"),
        (("--out", "out", "--min-chars", "5000"), 1, "shorter than 5,000"),
        (("--out", "out", "--features", "a"), 2, "--label"),
        (("--out", "."), 2, "--out"),
        (("--out", ""), 2, "--out"),
        (("--out", "out", "--label", "even", "--ids", "even"), 2, "name it once"),
        (("--out", "out", "--image-size", "99999"), 2, "--image-size"),
        (("--out", "out", "--label", "even", "--seq-len", "100M"), 2, "--seq-len"),
    ],
)
def test_what_cannot_be(flags: tuple[str, ...], code: int, said: str, texts: Path, called: Call) -> None:
    Path("something.txt").write_text("mine", encoding="utf-8")
    assert said in refused(called("data", "prepare", str(texts), *flags), code)
    assert [each.name for each in Path().iterdir()] == ["something.txt"]


@pytest.mark.parametrize("source", ["nowhere", "/dev/zero", "empty.jsonl", "empty", ""])
def test_sources_that_cannot_be(source: str, called: Call) -> None:
    Path("empty.jsonl").touch()
    Path("empty").mkdir()
    ended = called("data", "prepare", source, "--out", "out")
    assert "hint: " in refused(ended, ended.code)
    assert not Path("out").exists()


def test_names_and_an_encoding_of_files(called: Call) -> None:
    Path("notes").mkdir()
    for number in range(12):
        Path("notes", f"{number}.txt").write_text(
            f"Привет {number}, это {number * 7919} и {number}.", encoding="cp1251"
        )
    Path("notes", "README").write_text("Читай меня, если хочешь знать всё.", encoding="cp1251")
    Path("notes", "a.log").write_text("log", encoding="utf-8")
    show = json.loads(called("data", "show", "notes", "--encoding", "windows-1251", "--format", "json").out)
    assert (show["files"], [each["count"] for each in show["left_out"]]) == (12, [1, 1])
    assert any(".log (1)" in each["why"] for each in show["left_out"])
    flags = ("--encoding", "windows-1251", "--include", "README", "--near-duplicates", "ignore", "--vocabulary", "300")
    told = json.loads(called("data", "prepare", "notes", "--out", "out", *flags, "--format", "json").out)
    assert (told["files"], told["encodings"]) == (13, {"cp1251": 13})
    assert [each["why"] for each in told["dropped"]] == ["a suffix that is not read: .log (1)"]
    text = called("data", "show", "out").out
    assert "13 files were read as cp1251" in text
    wrong = json.loads(called("data", "show", "notes", "--include", "*", "--format", "json").out)
    assert (wrong["files"], [each["count"] for each in wrong["left_out"]]) == (1, [13])
    for name in ("nothing", "rot13", ""):
        assert "--encoding" in refused(called("data", "show", "notes", "--encoding", name), 2)


def test_a_tokenizer_that_is_none(texts: Path, called: Call) -> None:
    for content in ("{}", "[", "\0"):
        Path("tokenizer.json").write_text(content, encoding="utf-8")
        said = refused(called("data", "prepare", str(texts), "--out", "out", "--tokenizer", "tokenizer.json"), 1)
        assert "is no tokenizer" in said


@pytest.mark.parametrize("package", ["rensa", "tokenizers", "PIL"])
def test_what_is_not_installed_is_said(
    package: str, texts: Path, called: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    source = texts
    if package == "PIL":
        source = tmp_path / "photos"
        (source / "cats").mkdir(parents=True)
        (source / "cats" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said = refused(called("data", "prepare", str(source), "--out", "out"), 2)
    assert "pip install 'zenplan[" in said


def test_from_python_it_is_the_same(texts: Path, called: Call, tmp_path: Path) -> None:
    argv = ("data", "prepare", str(texts), "--label", "even", "--seq-len", "20", "--validation", "10%", "--test", "0")
    told = json.loads(called(*argv, "--vocabulary", "300", "--out", "out", "--format", "json").out)
    seen: list[str] = []
    card = zenplan.prepare_data(
        texts,
        out=tmp_path / "python",
        label="even",
        seq_len=20,
        validation=0.1,
        test=0,
        vocabulary=300,
        progress=lambda share, stage: seen.append(stage),
    )
    assert card.fingerprint == told["fingerprint"]
    assert {"reading", "looking for near duplicates", "writing"} <= set(seen)
    assert "even" not in str(card)
    assert "True" in str(card)
    assert card.to_dict()["parts"] == told["parts"]
    with pytest.raises(zenplan.UsageError, match="--split-by"):
        zenplan.prepare_data(texts, out=tmp_path / "other", split_by="page")
    with pytest.raises(zenplan.UsageError, match="--out cannot be a int"):
        zenplan.prepare_data(texts, out=3)  # type: ignore[arg-type]  # what is wrong is the point


def test_the_library_of_python(called: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A few packages of it, for it is large."""
    for package in ("json", "email", "asyncio", "site-packages/other", "wsgiref"):
        folder = tmp_path / "library" / package
        folder.mkdir(parents=True)
        real = Path(json.__file__).parents[1] / package
        for file in sorted(real.glob("*.py"))[:6]:
            (folder / file.name).write_bytes(file.read_bytes())
    (tmp_path / "library" / "site-packages" / "other" / "a.py").write_text("print('of somebody else')\n")
    (tmp_path / "library" / "notes.txt").write_text("no source\n")
    monkeypatch.setattr(sources.sysconfig, "get_path", lambda name: str(tmp_path / "library"))
    argv = ("data", "prepare", "python-library", "--vocabulary", "300", "--validation", "20%", "--test", "20%")
    told = json.loads(called(*argv, "--out", "out", "--format", "json").out)
    assert (told["source"], told["split_by"], told["what"]) == ("python-library", "folder", "text")
    assert told["files"] == len(list((tmp_path / "library").glob("[!s]*/*.py")))
    labelled = json.loads(called(*argv, "--out", "labelled", "--label", "folder", "--format", "json").out)
    assert (labelled["split_by"], labelled["classes"]) == ("file", ["asyncio", "email", "json", "wsgiref"])


def test_what_is_printed_goes_to_stdout_alone(texts: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "zenplan", "data", "prepare", str(texts), "--out", "out", "--vocabulary", "300"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    again = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (again.returncode, again.stdout) == (2, "")
    assert "holds prepared data already" in again.stderr
