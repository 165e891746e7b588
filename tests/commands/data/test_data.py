"""``zenplan data show`` and ``--data``: what is counted, what becomes of it, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zenplan

Call = Callable[..., Any]
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 50


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with data of each kind."""
    chat = {"messages": [{"role": "user", "content": "word " * 100}, {"role": "assistant", "content": "word " * 100}]}
    files = {
        "chats.jsonl": json.dumps(chat) + "\n",
        "texts.jsonl": json.dumps({"text": "word " * 200}) + "\n",
        "rows.csv": "1,2,3\n",
    }
    for name, line in files.items():
        (tmp_path / name).write_text(("a,b,c\n" if name == "rows.csv" else "") + line * 400, encoding="utf-8")
    (tmp_path / "photos").mkdir()
    for number in range(640):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(JPEG)
    return tmp_path


def refused(ended: Any, code: int) -> str:
    lines = ended.err.splitlines()
    assert ended.code == code, ended
    assert ended.out == ""
    assert [line.partition(": ")[0] for line in lines] in (["error"], ["error", "hint"])
    return str(ended.err)


def test_the_document_has_the_figures(data: Path, called: Call) -> None:
    found = json.loads(called("data", "show", str(data / "chats.jsonl"), "--format", "json").out)
    assert (found["schema"], found["kind"], found["files"], found["whole"]) == ("zenplan.data/1", "chat", 1, True)
    assert found["records"] == {"low": 400, "mid": 400, "high": 400}
    assert found["tokens"]["low"] < found["tokens"]["mid"] < found["tokens"]["high"]
    assert found["text_columns"] == ["messages"]
    for name in ("csv", "markdown", "table"):
        ended = called("data", "show", str(data / "chats.jsonl"), "--format", name)
        assert (ended.code, ended.err) == (0, "")
        assert "chat" in ended.out


def test_text_is_as_many_tokens(data: Path) -> None:
    pointed = zenplan.estimate(params="1B", data=data / "texts.jsonl", epochs=2, batch=8, gpu="H100", gpus=8)
    assert pointed.request.data is not None
    assert pointed.request.data.tokens is not None
    given = zenplan.estimate(params="1B", tokens=pointed.request.data.tokens.mid, epochs=2, batch=8, gpu="H100", gpus=8)
    assert pointed.recommended.total_usd.mid == pytest.approx(given.recommended.total_usd.mid)
    fact = next(f for f in pointed.plan.facts if f.name == "tokens of the data")
    assert "–" in fact.value
    assert "all of it was read" in fact.why


def test_conversations_are_samples_of_their_length(data: Path) -> None:
    found = zenplan.estimate(model="llama3-8b", method="lora", data=str(data / "chats.jsonl"), gpu="H100", gpus=8)
    assert any(f.name == "samples" and "400 conversations" in f.value for f in found.plan.facts)


@pytest.mark.parametrize("model", ["resnet50", "stable-diffusion"])
def test_images_are_samples(model: str, data: Path) -> None:
    pointed = zenplan.estimate(model=model, data=data / "photos", epochs=3, gpu="H100", gpus=8)
    given = zenplan.estimate(model=model, samples=640, epochs=3, gpu="H100", gpus=8)
    assert pointed.recommended.bill.run == given.recommended.bill.run
    assert pointed.recommended.bill.compute_usd == given.recommended.bill.compute_usd
    # The images that are there are smaller than usual ones, so less is paid to bring and to keep them.
    assert pointed.recommended.total_usd.mid < given.recommended.total_usd.mid


def test_rows_are_samples_of_a_recommender(data: Path) -> None:
    found = zenplan.estimate(model="dlrm", data=data / "rows.csv", epochs=1, gpu="H100", gpus=8)
    assert any(f.name == "samples" and f.value.startswith("400 rows") for f in found.plan.facts)


@pytest.mark.parametrize(
    ("model", "name", "what"),
    [
        ("llama3-8b", "photos", "images"),
        ("resnet50", "texts.jsonl", "text"),
        ("stable-diffusion", "chats.jsonl", "text"),
        ("llama3-8b", "rows.csv", "text"),
    ],
)
def test_data_of_another_kind_are_refused(model: str, name: str, what: str, data: Path, called: Call) -> None:
    said = refused(called("estimate", "--model", model, "--data", str(data / name)), 2)
    assert what in said
    assert "hint: " in said


@pytest.mark.parametrize("flag", ["--tokens", "--samples", "--dataset-size"])
def test_data_and_an_amount_contradict(flag: str, data: Path, called: Call) -> None:
    said = refused(called("estimate", "--params", "1B", "--data", str(data / "texts.jsonl"), flag, "1M"), 2)
    assert flag in said


@pytest.mark.parametrize("flags", [("--text-column", "text"), ("--tokenizer", "tokenizer.json")])
def test_what_is_for_data_needs_them(flags: tuple[str, str], called: Call) -> None:
    assert "--data" in refused(called("estimate", "--params", "1B", *flags), 2)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n\0", b"<html></html>", b"{broken", b"PK\x03\x04\0\0", b"\x80\x04pickle"]
)
def test_a_file_that_cannot_be_used(content: bytes, tmp_path: Path, called: Call) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    for command in (("data", "show"), ("estimate", "--params", "1B", "--data")):
        assert "a.jsonl" in refused(called(*command, str(tmp_path / "a.jsonl")), 1)
    refused(called("data", "show", str(tmp_path / "nowhere")), 1)
    refused(called("data", "show", "/dev/zero"), 1)


def test_a_tokenizer_of_ones_own_counts(data: Path, tmp_path: Path, called: Call) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"word": 0, "?": 1}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]  # its stubs have no setter
    made.save(str(tmp_path / "tokenizer.json"))
    argv = ("data", "show", str(data / "texts.jsonl"), "--format", "json", "--tokenizer")
    found = json.loads(called(*argv, str(tmp_path / "tokenizer.json")).out)
    assert found["tokens"]["low"] == found["tokens"]["high"] == pytest.approx(400 * 200)
    assert (found["median_tokens"], found["p95_tokens"]) == pytest.approx((200, 200))
    (tmp_path / "bad.json").write_text('{"not": "a tokenizer"}', encoding="utf-8")
    assert "bad.json" in refused(called(*argv, str(tmp_path / "bad.json")), 1)
    refused(called(*argv, str(tmp_path / "nowhere.json")), 1)


@pytest.mark.parametrize(("module", "name"), [("pyarrow", "a.parquet"), ("tokenizers", "texts.jsonl")])
def test_what_is_not_installed_is_said(
    module: str, name: str, data: Path, called: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "a.parquet").write_bytes(b"PAR1" + b"\0" * 20 + b"PAR1")
    (data / "tokenizer.json").write_text("{}", encoding="utf-8")
    monkeypatch.setitem(sys.modules, module, None)
    more = ("--tokenizer", str(data / "tokenizer.json")) if module == "tokenizers" else ()
    said = refused(called("data", "show", str(data / name), *more), 2)
    assert module in said
    assert "pip install 'zenplan[data]'" in said


def test_text_that_is_not_counted_is_told_first(data: Path) -> None:
    rows = ["ticket,reply", *('"it does not work at all","try it again, and then once more"' for _ in range(50))]
    (data / "tickets.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    answer = zenplan.estimate(model="llama3-8b", method="lora", data=data / "tickets.csv", gpu="H100", gpus=8)
    (told,) = answer.notices
    assert "reply" in told
    assert "not ticket" in told
    assert "not ticket" in " ".join(str(answer).split())
