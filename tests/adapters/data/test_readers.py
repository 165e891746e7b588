"""Each reader on files whose records are known: in order, from the middle, and on files that are broken."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
import random
import tempfile
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.adapters.data.readers import reading
from zenplan.adapters.data.records import BadFile, Record
from zenplan.adapters.data.walk import PassedBy, Wanted, files_of
from zenplan.errors import DataError

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=60)


def read(path: Path, *spans: tuple[float, float]) -> list[Record]:
    """All records of a file, or those of each span of it one after another."""
    (file,) = files_of(path, PassedBy(), lambda: None)
    with reading(file) as reader:
        if not spans:
            return list(reader.records())
        return [record for low, high in spans for record in reader.records(low, high)]


def cut(size: float, places: list[float]) -> list[tuple[float, float]]:
    """Spans that together are all of it."""
    return list(pairwise(sorted({0.0, size, *(float(int(p * size)) for p in places)})))


def rows_of(records: list[Record]) -> list[dict[str, Any]]:
    assert [r.problem for r in records if r.problem] == []
    return [dict(r.row) for r in records]


def as_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def as_csv(path: Path, rows: list[dict[str, Any]], between: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "text"], delimiter=between)
        writer.writeheader()
        writer.writerows(rows)


def as_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=300)


def as_json(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")


WRITERS: dict[str, Callable[..., None]] = {
    "jsonl": as_jsonl,
    "csv": as_csv,
    "tsv": lambda path, rows: as_csv(path, rows, "\t"),
    "parquet": as_parquet,
    "json": as_json,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_record_is_read_in_order(suffix: str, tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": f'line {i}, "quoted"\nand the next; é 中'} for i in range(1000)]
    WRITERS[suffix](tmp_path / f"a.{suffix}", rows)
    records = read(tmp_path / f"a.{suffix}")
    read_of = [{"text": row["text"], "id": row["id"]} for row in rows_of(records)]
    assert read_of == [{"text": row["text"], "id": row["id"]} for row in rows]
    assert len({record.place for record in records}) == 1000


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "json"])
def test_gzip_is_read_through(suffix: str, tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": f"line {i},\nand more"} for i in range(500)]
    WRITERS[suffix](tmp_path / "plain", rows)
    (tmp_path / f"a.{suffix}.gz").write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    assert rows_of(read(tmp_path / f"a.{suffix}.gz")) == rows


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=40), st.lists(st.floats(0, 1), max_size=6))
def test_spans_of_json_lines_are_the_whole(texts: list[str], places: list[float]) -> None:
    with _folder() as folder:
        path = folder / "a.jsonl"
        as_jsonl(path, [{"text": text} for text in texts])
        found = rows_of(read(path, *cut(float(path.stat().st_size), places)))
        assert [row["text"] for row in found] == texts


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=40), st.lists(st.floats(0, 1), max_size=6))
def test_spans_of_text_are_the_whole(texts: list[str], places: list[float]) -> None:
    text = "x" + "\n".join(texts)
    with _folder() as folder:
        path = folder / "a.txt"
        path.write_bytes(text.encode())
        records = read(path, *cut(float(path.stat().st_size), places))
        found = "".join(record.row["text"] for record in records)
        # A character that a span ends in belongs to neither of the two.
        assert len(text) - len(places) <= len(found) <= len(text)
        assert sum(record.begins for record in records) == 1
        assert sum(record.size for record in records) == path.stat().st_size
        assert "".join(r.row["text"] for r in read(path)) == text.removeprefix("\ufeff")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """One for each example of hypothesis, which a fixture is not."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("seed", range(5))
def test_spans_of_csv_are_the_whole_though_cells_go_over_lines(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311 (a sample, no secret)
    words = ("word", "a, comma", '"said"', "new\nline", "1,2\n3,4", "")
    rows = [
        {"id": str(i), "text": " ".join(chance.choice(words) for _ in range(chance.randint(1, 60)))} for i in range(800)
    ]
    as_csv(tmp_path / "a.csv", rows)
    size = float((tmp_path / "a.csv").stat().st_size)
    found = read(tmp_path / "a.csv", *cut(size, [chance.random() for _ in range(12)]))
    assert rows_of(found) == rows


def test_spans_of_parquet_are_the_whole(tmp_path: Path) -> None:
    rows = [{"text": f"row {i}"} for i in range(1000)]
    as_parquet(tmp_path / "a.parquet", rows)
    (file,) = files_of(tmp_path / "a.parquet", PassedBy(), lambda: None)
    with reading(file) as reader:
        assert reader.count == 1000
        size = reader.size or 0.0
        found = [r for low, high in cut(size + 1, [0.1, 0.33, 0.7]) for r in reader.records(low, high)]
    assert rows_of(found) == rows


def test_a_broken_record_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    lines = [b'{"text": "one"}', b"{broken", b"", b"[1]", b'{"text": "\xff"}', b'{"text": "six"}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    records = read(tmp_path / "a.jsonl")
    assert [r.place for r in records] == ["line 1", "line 2", "line 4", "line 5", "line 6"]
    assert [bool(r.problem) for r in records] == [False, True, True, True, False]
    (tmp_path / "a.csv").write_text("id,text\n1,one\n2\n3,three,4\n5,five\n", encoding="utf-8")
    assert [(r.place, bool(r.problem)) for r in read(tmp_path / "a.csv")] == [
        ("row 1", False),
        ("row 2", True),
        ("row 3", True),
        ("row 4", False),
    ]


def test_a_record_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("source", "json_lines"):
        monkeypatch.setattr(f"zenplan.adapters.data.{module}.MOST_RECORD_BYTES", 1000)
    as_jsonl(tmp_path / "a.jsonl", [{"text": "a"}, {"text": "b" * 5000}, {"text": "c"}])
    assert [bool(r.problem) for r in read(tmp_path / "a.jsonl")] == [False, True, False]


BAD = {
    "a.jsonl": b"\xff\xd8\xff\xe0" + b"\0" * 100,
    "html.csv": b"<!DOCTYPE html><html><body>not found</body></html>",
    "b.txt": "Привет, мир, и все".encode("cp1251"),
    "c.txt": b"text\0with a zero",
    "utf16.csv": "id,text\n1,x".encode("utf-16")[:-1],
    "d.jsonl.gz": gzip.compress(b'{"text": "one"}\n' * 1000)[:-20],
    "e.jsonl.gz": b'{"text": "never compressed"}\n',
    "f.json": b'[{"text": "one"}, {"text": ',
    "g.json": b"not json at all",
    "h.parquet": b"PAR1 and then nothing",
    "i.parquet": b'{"text": "jsonl"}\n',
    "j.jsonl": b"\x80\x04\x95 a pickle",
    "k.jsonl": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_not_what_it_says(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(BAD[name])
    with pytest.raises(BadFile) as error:
        read(tmp_path / name)
    assert len(str(error.value)) > 5
    assert "\n" not in str(error.value)


def test_broken_gzip_in_the_middle(tmp_path: Path) -> None:
    good = bytearray(
        gzip.compress(b"".join(json.dumps({"text": zlib.crc32(b"%d" % i)}).encode() + b"\n" for i in range(9000)))
    )
    good[len(good) // 2] ^= 0xFF
    (tmp_path / "a.jsonl.gz").write_bytes(bytes(good))
    with pytest.raises(BadFile):
        list(read(tmp_path / "a.jsonl.gz"))


def test_files_below_a_folder(tmp_path: Path) -> None:
    for name in (
        "b/two.jsonl",
        "one.jsonl",
        ".hidden.jsonl",
        ".git/config.jsonl",
        "README.md",
        "a.bin",
        "dataset_info.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"text": "x"}\n', encoding="utf-8")
    (tmp_path / "one.jsonl").write_text('{"text": "x"}\n' * 9, encoding="utf-8")
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    os.mkfifo(tmp_path / "pipe.jsonl")
    passed_by = PassedBy()
    files = files_of(tmp_path, passed_by, lambda: None)
    assert [Path(file.path).relative_to(tmp_path).as_posix() for file in files] == ["b/two.jsonl", "one.jsonl"]
    left_out = {line.example: line.why for line in passed_by.lines}
    assert left_out["empty.jsonl"] == "empty"
    assert left_out["pipe.jsonl"] == "not a regular file"
    assert {"README.md", "a.bin", "b/loop", "itself"} <= left_out.keys()
    assert not any(".git" in name or "hidden" in name for name in left_out)


def test_what_no_suffix_says_is_counted_by_it(tmp_path: Path) -> None:
    names = [
        *(f"{n}.log" for n in range(7)),
        *(f"{n}.BIN" for n in range(3)),
        "a.x1",
        "a.x2",
        "a.x3",
        "a.x4.gz",
        "a.tar.gz",
    ]
    for name in (*names, "README", "Makefile", "a.txt", "trailing."):
        (tmp_path / name).write_text("all: some text\n", encoding="utf-8")
    passed_by = PassedBy()
    assert [Path(each.path).name for each in files_of(tmp_path, passed_by, lambda: None)] == ["a.txt"]
    unread, bare = sorted(passed_by.lines, key=lambda line: -line.count)
    assert (unread.count, bare.count, bare.why) == (len(names), 3, "without a suffix")
    assert ".log (7), .bin (3)" in unread.why
    assert sum(each in unread.why for each in (".x1", ".x2", ".x3", ".x4.gz", ".tar.gz")) == 3
    wanted = Wanted(include=("readme", "Make*", "*.log"))
    found = [Path(each.path).name for each in files_of(tmp_path, PassedBy(), lambda: None, wanted)]
    assert set(found) == {"a.txt", "README", "Makefile", *names[:7]}
    assert {each.format for each in files_of(tmp_path, PassedBy(), lambda: None, wanted)} == {"text"}
    # What the user names is data, also beside tables.
    (tmp_path / "many.csv").write_text("x,y\n" * 50_000, encoding="utf-8")
    assert "README" in {Path(each.path).name for each in files_of(tmp_path, PassedBy(), lambda: None, wanted)}


def test_suffixes_without_end_take_no_memory() -> None:
    passed_by = PassedBy()
    for number in range(20_000):
        passed_by.add_unread(f"a.{number:05}")
    (line,) = passed_by.lines
    assert line.count == 20_000
    assert len(line.why) < 200
    assert len(passed_by._suffixes) <= 1_000


def test_code_is_data_where_it_is_most_of_a_folder(tmp_path: Path) -> None:
    for name, size in (("a.py", 5000), ("README.md", 100), ("few.csv", 50)):
        (tmp_path / name).write_text("x,y\n" * size, encoding="utf-8")
    assert len(files_of(tmp_path, PassedBy(), lambda: None)) == 3
    (tmp_path / "many.csv").write_text("x,y\n" * 50_000, encoding="utf-8")
    files = files_of(tmp_path, PassedBy(), lambda: None)
    assert [Path(file.path).name for file in files] == ["few.csv", "many.csv"]


def test_names_that_no_terminal_shows_are_made_plain(tmp_path: Path) -> None:
    for name in (b"a\nb.bin", b"\xff.bin", b"c\x1b[31m.bin", b"good.jsonl"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text('{"text": "x"}\n', encoding="utf-8")
    passed_by = PassedBy()
    assert len(files_of(tmp_path, passed_by, lambda: None)) == 1
    (line,) = passed_by.lines
    assert line.count == 3
    assert line.example.isprintable()


def test_a_reason_is_one_wherever_in_a_file_it_is() -> None:
    passed_by = PassedBy()
    for place in (5, 17):
        passed_by.add(f"{place}.txt", f"not text in UTF-8 (byte {place})")
    assert [(line.why, line.count, line.example) for line in passed_by.lines] == [
        ("not text in UTF-8", 2, "5.txt, byte 5")
    ]


def test_nothing_to_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    for name in ("pipe.jsonl", "empty.csv", "loop", "folder", "nowhere", "/dev/zero"):
        with pytest.raises(DataError) as error:
            files_of(tmp_path / name, PassedBy(), lambda: None)
        assert error.value.hint
