"""How much there is: exact where it is little, within its own range where it is a sample, in little memory."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.data import drawing
from zenplan.adapters.data.count import Asked, count
from zenplan.domain.training.data_set import DataKind, DataSet
from zenplan.errors import DataError, UsageError
from zenplan.families.transformer.bytes_per_token import BYTES_PER_TOKEN
from zenplan.families.transformer.tokens import kinds_of, tokens_of_bytes, tokens_per_byte

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 50


def counted(path: Path, **asked: Any) -> DataSet:
    return count(Asked(path=path, **asked), lambda share: None)


def lines(path: Path, rows: Sequence[Any]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), 1))
    else:
        path.write_text(text, encoding="utf-8")


CHAT = {"messages": [{"role": "user", "content": "How are you?"}, {"role": "assistant", "content": "Well, and you?"}]}
SHARE_GPT = {"conversations": [{"from": "human", "value": "How are you?"}, {"from": "gpt", "value": "Well, and you?"}]}
PARTS = {"messages": [{"role": "user", "content": [{"type": "text", "text": "How are"}, {"type": "image"}]}]}


@pytest.mark.parametrize(
    ("row", "kind", "read", "text"),
    [
        (CHAT, DataKind.CHAT, ("messages",), "How are you?\nWell, and you?"),
        (SHARE_GPT, DataKind.CHAT, ("conversations",), "How are you?\nWell, and you?"),
        (PARTS, DataKind.CHAT, ("messages",), "How are"),
        ({"text": "a document", "url": "https://example.com/a"}, DataKind.TEXT, ("text",), "a document"),
        ({"prompt": "2+2?", "completion": "4"}, DataKind.INSTRUCTIONS, ("prompt", "completion"), "2+2?\n4"),
        (
            {"instruction": "Add", "input": "2, 2", "output": "4"},
            DataKind.INSTRUCTIONS,
            ("instruction", "output", "input"),
            "Add\n4\n2, 2",
        ),
        ({"content": "a file", "path": "a.py"}, DataKind.TEXT, ("content",), "a file"),
        ({"body": "some longer text than others here", "title": "short"}, DataKind.TEXT, ("body",), None),
    ],
)
def test_the_text_of_a_record_is_found(
    row: dict[str, Any], kind: DataKind, read: tuple[str, ...], text: str | None, tmp_path: Path
) -> None:
    lines(tmp_path / "a.jsonl", [row] * 10)
    found = counted(tmp_path / "a.jsonl")
    assert (found.kind, found.text_columns, found.records.mid, found.whole) == (kind, read, 10.0, True)
    assert set(found.columns) == row.keys()
    size = len((text or row["body"]).encode())
    assert found.text_bytes is not None
    assert (found.text_bytes.low, found.text_bytes.high) == (10.0 * size, 10.0 * size)


def test_small_files_of_every_format_have_the_same_count(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"id": i, "text": f"document number {i}, of some length " * (1 + i % 7)} for i in range(500)]
    size = sum(len(row["text"]) for row in rows)
    lines(tmp_path / "a.jsonl", rows)
    lines(tmp_path / "b.jsonl.gz", rows)
    (tmp_path / "c.json").write_text(json.dumps(rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet", compression="zstd")
    (tmp_path / "e.csv").write_text("id,text\n" + "".join(f'{r["id"]},"{r["text"]}"\n' for r in rows), encoding="utf-8")
    for file in sorted(tmp_path.iterdir()):
        found = counted(file)
        assert found.text_bytes is not None
        assert (found.records.low, found.records.high, found.text_bytes.mid) == (500, 500, size), file
        assert found.size_bytes == file.stat().st_size
    together = counted(tmp_path)
    assert (together.files, together.records.mid, together.whole) == (5, 2500, True)


def test_a_folder_of_texts_has_a_document_in_each_file(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i}.txt").write_text("word " * (i + 1), encoding="utf-8")
    (tmp_path / "bad.txt").write_bytes("кафе ".encode("koi8-r") * 10)
    found = counted(tmp_path)
    assert (found.kind, found.files, found.records.mid, found.size_bytes) == (DataKind.TEXT, 40, 40, 5 * 820)
    assert [(each.count, Path(each.example.partition(",")[0]).name) for each in found.left_out] == [(1, "bad.txt")]
    assert found.tokens is not None
    assert found.median_tokens == pytest.approx(100 * found.tokens.mid / 4100)


def test_records_that_are_broken_are_counted_and_named(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", [{"text": "good"}] * 50)
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"text": 5}\n{"nothing": 1}\n{broken\n')
    found = counted(tmp_path / "a.jsonl")
    assert found.records.mid == 50
    assert sum(each.count for each in found.left_out if each.what == "records") == 3
    assert any("line 53" in each.example for each in found.left_out)


def test_images_are_counted_by_class(tmp_path: Path) -> None:
    for name, number in (("cats", 30), ("dogs", 20)):
        (tmp_path / name).mkdir()
        for i in range(number):
            (tmp_path / name / f"{i}.{'png' if i % 2 else 'jpg'}").write_bytes(PNG if i % 2 else JPEG)
    (tmp_path / "labels.csv").write_text("file,label\n", encoding="utf-8")
    (tmp_path / "cats" / "text.png").write_text("no image", encoding="utf-8")
    found = counted(tmp_path)
    assert (found.kind, found.records.mid, found.classes, found.tokens) == (DataKind.IMAGES, 50, 2, None)
    assert {Path(each.example).name for each in found.left_out} == {"labels.csv", "text.png"}


def test_a_table_without_text_has_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\n" + "1,22,4.5\n" * 300, encoding="utf-8")
    found = counted(tmp_path / "a.csv")
    assert (found.kind, found.records.mid, found.tokens) == (DataKind.ROWS, 300, None)


def test_a_column_can_be_named(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", [{"text": "x" * 100, "summary": "y" * 10}] * 5)
    found = counted(tmp_path / "a.jsonl", text_column="summary")
    assert found.text_bytes is not None
    assert found.text_bytes.mid == 50
    with pytest.raises(UsageError, match="no column 'nothing'"):
        counted(tmp_path / "a.jsonl", text_column="nothing")


def test_a_tokenizer_counts_exactly_what_is_little(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", [{"text": "one two three"}] * 10)
    found = counted(tmp_path / "a.jsonl", tokenize=lambda texts: [len(t.split()) for t in texts], tokenizer="words")
    assert found.tokens is not None
    assert (found.tokens.low, found.tokens.mid, found.tokens.high) == pytest.approx((30, 30, 30))


@pytest.mark.parametrize("content", [b"{broken\n" * 5, b"\n\n", b"[1]\n", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_file_without_a_usable_record(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DataError) as error:
        counted(tmp_path / "a.jsonl")
    assert "a.jsonl" in error.value.message
    assert error.value.hint


# --- samples

WORDS = ("word", "and", "another", "of", "that", "longer-one", "é")


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a megabyte are large: as a sample is taken of ones that are a thousand times as large."""
    monkeypatch.setattr(drawing, "_WHOLE", {False: 1e5, True: 1e4})
    monkeypatch.setattr(drawing, "_PART", 4096.0)
    monkeypatch.setattr(drawing, "_DRAWS", 96)
    monkeypatch.setattr(drawing, "_DRAWN_BYTES", 4096.0 * 96)


def written(folder: Path, suffix: str, lengths: Sequence[int], files: int) -> tuple[int, int]:
    """Records of that many words, in files of very different sizes: how many, and bytes of their text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = random.Random(7)  # noqa: S311 (a sample, no secret)
    texts = [" ".join(chance.choices(WORDS, k=n)) for n in lengths]
    places = [int(len(texts) * (1 - 0.5**i)) for i in range(files)] + [len(texts)]
    for i, (low, high) in enumerate(pairwise(places)):
        rows = [{"id": str(n), "text": text} for n, text in enumerate(texts[low:high])]
        if suffix == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{i}.parquet", row_group_size=1000)
        elif suffix == "csv":
            cells = "".join(f'{r["id"]},"{r["text"]}\n""so"", and on"\n' for r in rows)
            (folder / f"{i}.csv").write_text("id,text\n" + cells, encoding="utf-8")
        elif suffix == "txt":
            for row in rows:
                (folder / f"{i}-{row['id']}.txt").write_text(row["text"], encoding="utf-8")
        else:
            lines(folder / f"{i}.{suffix}", rows)
    more = len('\n"so", and on') * len(texts) if suffix == "csv" else 0
    return len(texts), sum(len(text.encode()) for text in texts) + more


LENGTHS: dict[str, Callable[[random.Random], list[int]]] = {
    "alike": lambda chance: [60] * 4000,
    "long tail": lambda chance: [1 + int(chance.lognormvariate(3.3, 1.2)) for _ in range(4000)],
    "sorted": lambda chance: sorted(1 + int(chance.expovariate(1 / 60)) for _ in range(4000)),
}


@pytest.mark.usefixtures("sampled")
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(
    ("suffix", "files"), [("jsonl", 1), ("jsonl", 6), ("csv", 3), ("jsonl.gz", 1), ("parquet", 3), ("txt", 3)]
)
def test_the_range_of_a_sample_holds_the_truth(suffix: str, files: int, lengths: str, tmp_path: Path) -> None:
    """At least four of five times, as an 80 % interval has to; with two less for chance."""
    records, size = written(tmp_path, suffix, LENGTHS[lengths](random.Random(3)), files)  # noqa: S311 (a sample, no secret)
    tries, held, held_text = 12, 0, 0
    for seed in range(tries):
        found = counted(tmp_path, seed=seed, tokenize=lambda texts: [len(t.encode()) for t in texts])
        assert not found.whole
        assert found.text_bytes is not None
        assert found.tokens is not None
        held += found.records.low <= records <= found.records.high
        held_text += found.text_bytes.low <= size <= found.text_bytes.high
        # A tokenizer that has a token for each byte.
        assert found.tokens.mid == pytest.approx(found.text_bytes.mid)
        assert found.text_bytes.high < 1.3 * found.text_bytes.mid
    assert min(held, held_text) >= 0.8 * tries - 2


@pytest.mark.usefixtures("sampled")
def test_a_sample_counts_the_share_that_is_broken(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", [{"text": "word " * 40} if i % 4 else {"other": "word " * 40} for i in range(4000)])
    found = counted(tmp_path / "a.jsonl")
    assert found.records.low <= 3000 <= found.records.high
    assert any(each.what == "records" for each in found.left_out)


def test_the_same_data_have_the_same_count(tmp_path: Path) -> None:
    written(tmp_path, "jsonl", [50] * 300, 1)
    assert counted(tmp_path) == counted(tmp_path)


@pytest.mark.slow
def test_three_hundred_megabytes_take_little_memory(tmp_path: Path) -> None:
    line = json.dumps({"text": "some words that say little, " * 40}) + "\n"
    with (tmp_path / "large.jsonl").open("w") as file:
        for _ in range(300):
            file.write(line * (1_000_000 // len(line)))
    code = """
    import resource, sys
    from pathlib import Path
    from zenplan.adapters.data.count import Asked, count
    resource.setrlimit(resource.RLIMIT_AS, (200_000_000, 200_000_000))
    found = count(Asked(path=Path(sys.argv[1])), lambda share: None)
    print(found.records.low, found.records.high)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "large.jsonl")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    low, high = map(float, done.stdout.split())
    assert low <= 300 * (1_000_000 // len(line)) <= high


# --- the rule without a tokenizer


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The quick brown fox, as they say, jumps over the lazy dog. " * 5, "English"),
        ("for (int i = 0; i < n; i++) { a[i] = f(b[i], c->d); }\n" * 5, "code"),
        ("def f(x):\n    return {k: v for k, v in g(x).items() if v[0] > 1}\n" * 5, "code"),
        ("我们训练了一个语言模型。" * 20, "Chinese, Japanese or Korean"),
        ("Мы обучили языковую модель. " * 10, "other scripts"),
        ("Le modèle a été entraîné à l'époque où l'été était déjà passé. " * 5, "other Latin"),
    ],
)
def test_the_kind_of_a_text(text: str, kind: str) -> None:
    kinds = kinds_of(text)
    assert sum(kinds.values()) == pytest.approx(len(text.encode()))
    assert max(kinds, key=lambda each: kinds[each]) == kind


def test_the_rule_is_one() -> None:
    mixed = tokens_per_byte({"mixed": 1.0})
    assert tokens_of_bytes(1e9)[0] == pytest.approx(1e9 * mixed.mid)
    assert tokens_per_byte({}) == mixed
    half = tokens_per_byte({"English": 5.0, "code": 5.0})
    assert half.mid == pytest.approx(0.5 / BYTES_PER_TOKEN["English"].mid + 0.5 / BYTES_PER_TOKEN["code"].mid)
