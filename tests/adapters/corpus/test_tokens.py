"""Texts to tokens: what comes in comes out, in one part, without duplicates, in the same bytes every time."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.adapters.corpus.conftest import Prepare, contents, sentence, texts_of, tokens_of
from zenplan.adapters.corpus import clusters, duplicates, splitting
from zenplan.adapters.corpus.prepared import fingerprint, read_card, read_data
from zenplan.errors import DataError, UsageError

PARTS = ("train", "validation", "test")


def all_texts(folder: Path) -> list[str]:
    return [text for part in PARTS if (folder / f"{part}-tokens.npy").exists() for text in texts_of(folder, part)]


def test_every_text_is_in_one_part(notes: Path, out: Path, make: Prepare) -> None:
    card = make(notes)
    assert sorted(all_texts(out)) == sorted(sentence(n) for n in range(40))
    data = read_data(out)
    assert (data["kind"], data["vocabulary"], data["end"], data["tokenizer"]) == ("tokens", 300, 0, "tokenizer.json")
    assert {name: part["tokens"] for name, part in data["parts"].items()} == {p.name: p.tokens for p in card.parts}
    assert all(len(np.load(out / part["files"]["tokens"])) == part["tokens"] for part in data["parts"].values())
    assert np.load(out / "train-tokens.npy", mmap_mode="r").dtype == np.uint16
    assert card == read_card(out)
    assert (card.files, card.records, card.dropped, card.split_by) == (40, 40, (), "file")
    assert sum(part.bytes for part in card.parts) == sum(len(sentence(n)) for n in range(40))
    assert fingerprint(out, data) == data["fingerprint"] == card.fingerprint
    assert not list(out.parent.glob(".*"))


def test_a_large_vocabulary_needs_four_bytes(notes: Path, out: Path, make: Prepare, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    make(notes)
    given = Tokenizer.from_file(str(out / "tokenizer.json"))
    given.add_tokens([f"token-{n}" for n in range(70_000)])
    given.save(str(tmp_path / "given.json"))
    make(notes, out=tmp_path / "wide", tokenizer=tmp_path / "given.json")
    wide = np.load(tmp_path / "wide" / "train-tokens.npy")
    assert wide.dtype == np.uint32
    assert (wide == np.load(out / "train-tokens.npy")).all()


def written(folder: Path, form: str) -> None:
    """The same twenty texts in another form."""
    texts = [sentence(n) for n in range(20)]
    folder.mkdir()
    if form == "jsonl":
        lines = [json.dumps({"id": n, "text": text}) for n, text in enumerate(texts)]
        (folder / "a.jsonl").write_text("\n".join(lines[:7]) + "\n\n{broken\n")
        (folder / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(lines[7:]).encode()))
    elif form == "json":
        (folder / "a.json").write_text(json.dumps([{"text": text} for text in texts]))
    elif form == "csv":
        (folder / "a.csv").write_text("n,text\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(texts)))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"n": range(20), "text": texts}), folder / "a.parquet")


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "parquet"])
def test_records_of_any_format_are_the_same_texts(form: str, tmp_path: Path, out: Path, make: Prepare) -> None:
    written(tmp_path / "data", form)
    card = make(tmp_path / "data")
    assert sorted(all_texts(out)) == sorted(sentence(n) for n in range(20))
    assert card.split_by == "record"
    dropped = [(each.what, each.count, each.example) for each in card.dropped]
    assert dropped == ([("records", 1, "a.jsonl, line 9")] if form == "jsonl" else [])
    # A record's part is by what it is, not by where it lies.
    again = make(tmp_path / "data", out=tmp_path / "again", shard_bytes=10**6)
    assert again.parts == card.parts


def test_the_order_of_the_file_system_does_not_matter(
    notes: Path, out: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(notes)
    first = contents(out)
    shutil.rmtree(out)
    scan = os.scandir

    class Backwards:
        def __init__(self, path: str) -> None:
            with scan(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name[::-1])

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr("zenplan.adapters.data.walk.os.scandir", Backwards)
    make(notes)
    assert contents(out) == first


def test_the_seed_gives_other_parts_of_the_same_texts(notes: Path, out: Path, make: Prepare, tmp_path: Path) -> None:
    make(notes)
    make(notes, seed=1, out=tmp_path / "other")
    assert set(texts_of(out, "test")) != set(texts_of(tmp_path / "other", "test"))
    assert sorted(all_texts(out)) == sorted(all_texts(tmp_path / "other"))


@pytest.mark.parametrize("split_by", ["folder", "file"])
def test_what_may_not_be_parted_is_not(split_by: str, tmp_path: Path, out: Path, make: Prepare) -> None:
    for number in range(8):
        file = tmp_path / "data" / f"{number}" / "a.jsonl"
        file.parent.mkdir(parents=True)
        for name in ("a.jsonl", "b.jsonl"):
            lines = [json.dumps({"text": f"{number} {name[0]} {sentence((number, name, n))}"}) for n in range(5)]
            (file.parent / name).write_text("\n".join(lines))
    make(tmp_path / "data", split_by=split_by, validation=0.2, test=0.2)
    where: dict[str, set[str]] = {}
    for part in PARTS:
        for text in texts_of(out, part):
            where.setdefault(text[: 1 if split_by == "folder" else 3], set()).add(part)
    assert len(where) == (8 if split_by == "folder" else 16)
    assert all(len(parts) == 1 for parts in where.values())


def test_what_to_do_with_too_few_is_not_what_was_done(tmp_path: Path, make: Prepare) -> None:
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text(sentence(number))
    with pytest.raises(DataError, match="too few") as error:
        make(tmp_path)
    assert "--split-by record" in error.value.hint
    with pytest.raises(DataError, match="too few") as error:
        make(tmp_path, split_by="record")
    assert "--split-by" not in error.value.hint
    assert "--validation 0" in error.value.hint


# --- duplicates


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """Sixty texts, of which fifteen are there again, fifteen more with one word changed."""
    lines = [sentence(n, 120) for n in range(30)]
    lines += lines[:15]
    for text in lines[15:30]:
        words = text.split()
        words[60] = "otherwise"
        lines.append(" ".join(words))
    file = tmp_path / "doubled.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text in lines))
    return file


def test_duplicates_are_dropped(doubled: Path, out: Path, make: Prepare) -> None:
    card = make(doubled)
    assert sorted(all_texts(out)) == sorted(sentence(n, 120) for n in range(30))
    assert [(each.why, each.count) for each in card.dropped] == [
        ("the same as another", 15),
        ("nearly the same as another", 15),
    ]
    assert sum(part.records for part in card.parts) + 30 == card.records == 60


@pytest.mark.parametrize("seed", range(4))
def test_duplicates_that_are_kept_are_in_one_part(seed: int, doubled: Path, out: Path, make: Prepare) -> None:
    card = make(doubled, same="keep", near="keep", validation=0.2, test=0.2, seed=seed)
    assert (sum(part.records for part in card.parts), card.dropped) == (60, ())
    where: dict[str, set[str]] = {}
    for part in PARTS:
        for text in texts_of(out, part):
            where.setdefault(" ".join(text.split()[:50]), set()).add(part)
    assert len(where) == 30
    assert all(len(parts) == 1 for parts in where.values())


def test_near_duplicates_that_are_not_looked_for_stay(doubled: Path, out: Path, make: Prepare) -> None:
    assert sum(part.records for part in make(doubled, near="ignore").parts) == 45


def test_clusters_are_found_whatever_the_lots_and_buckets(
    doubled: Path, out: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = make(doubled)
    monkeypatch.setattr(duplicates, "_LOT", 7)
    monkeypatch.setattr(clusters, "_LOT", 7)
    monkeypatch.setattr(duplicates, "_SIGNED", 1)
    other = make(doubled, out=tmp_path / "lots")
    assert (other.fingerprint, other.dropped) == (one.fingerprint, one.dropped)


def test_many_texts_that_are_nearly_the_same_leave_one(tmp_path: Path, out: Path, make: Prepare) -> None:
    page = sentence("page", 200)
    texts = [f"{page} {n}" for n in range(300)] + [sentence(n) for n in range(10)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    make(tmp_path / "a.jsonl")
    assert sum(text.startswith(page) for text in all_texts(out)) == 1
    assert len(all_texts(out)) == 11


# --- long texts


def test_a_book_comes_in_pieces_that_are_one_document(tmp_path: Path, out: Path, make: Prepare) -> None:
    text = "\n\n".join(sentence(n) for n in range(400))
    (tmp_path / "book.txt").write_text("\ufeff" + text, encoding="utf-8")
    card = make(tmp_path / "book.txt", near="ignore", validation=0.1, test=0.0)
    assert card.records > 20
    # Pieces of train that follow one another have no end between them.
    assert len(tokens_of(out, "train")) < card.parts[0].records
    found = texts_of(out, "train") + texts_of(out, "validation")
    assert sum(map(len, found)) == len(text)
    assert sorted("".join(sorted(found, key=text.index))) == sorted(text)
    assert "".join(sorted(found, key=text.index)) == text


@pytest.mark.parametrize("letter", ["x", "é", "漢", "𝔸"])
def test_a_line_without_end_is_cut_between_characters(letter: str, tmp_path: Path, out: Path, make: Prepare) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{letter}{n}" for n in range(40_000)), encoding="utf-8")
    make(tmp_path / "a.txt", validation=0.0, test=0.0, near="ignore", shard_bytes=50_000)
    assert texts_of(out, "train") == ["".join(f"{letter}{n}" for n in range(40_000))]


def test_many_records_are_split_shard_by_shard(
    tmp_path: Path, out: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "MANY", 10)
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": sentence(n)}) for n in range(200)))
    card = make(tmp_path / "a.jsonl", validation=0.2, test=0.2, near="ignore")
    assert sorted(all_texts(out)) == sorted(sentence(n) for n in range(200))
    assert [part.records for part in card.parts] == pytest.approx([120, 40, 40], abs=25)


# --- tokenizers


def test_a_special_token_in_a_text_is_text(tmp_path: Path, out: Path, make: Prepare) -> None:
    texts = [f"<|end|> {sentence(n)} <|end|>" for n in range(12)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    make(tmp_path / "a.jsonl")
    assert sorted(all_texts(out)) == sorted(texts)


def test_the_end_of_a_given_tokenizer(notes: Path, out: Path, make: Prepare, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    make(notes)
    text = (out / "tokenizer.json").read_text(encoding="utf-8").replace("<|end|>", "<|over|>")
    (tmp_path / "given.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="no token known to end texts"):
        make(notes, out=tmp_path / "no", tokenizer=tmp_path / "given.json")
    make(notes, out=tmp_path / "yes", tokenizer=tmp_path / "given.json", end_token="<|over|>")
    made = Tokenizer.from_file(str(tmp_path / "yes" / "tokenizer.json"))
    assert read_data(tmp_path / "yes")["end"] == made.token_to_id("<|over|>")
    with pytest.raises(UsageError, match="no token '<eos>'"):
        make(notes, out=tmp_path / "other", tokenizer=tmp_path / "given.json", end_token="<eos>")


def test_a_tokenizer_is_trained_on_train_alone(tmp_path: Path, out: Path, make: Prepare) -> None:
    """A word that is not in train is no token, however frequent it is elsewhere."""
    texts = [f"{sentence(n)} {'zzzzzz ' * 50 * (n == 0)}".strip() for n in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    seen = set()
    for seed in range(20):
        make(tmp_path / "a.jsonl", seed=seed, overwrite=True, validation=0.4)
        vocabulary = json.loads((out / "tokenizer.json").read_text())["model"]["vocab"]
        in_train = any("zzzzzz" in text for text in texts_of(out, "train"))
        assert ("zzzz" in vocabulary) == in_train
        seen.add(in_train)
    assert seen == {True, False}


def test_a_sample_of_a_large_text_trains_the_tokenizer(notes: Path, make: Prepare) -> None:
    card = make(notes, sample_bytes=3_000)
    assert any("was trained on" in note for note in card.notes)


# --- what cannot be


@pytest.mark.parametrize("content", ["", "   \n", '{"text": ""}\n'])
def test_data_without_text_are_refused(content: str, tmp_path: Path, out: Path, make: Prepare) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(DataError):
        make(tmp_path / "a.jsonl")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.jsonl"]


def test_one_record_cannot_be_split(tmp_path: Path, out: Path, make: Prepare) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": sentence(0)}))
    with pytest.raises(DataError, match="too few to set some aside") as error:
        make(tmp_path / "a.jsonl")
    assert "--validation 0" in error.value.hint
    make(tmp_path / "a.jsonl", validation=0.0, test=0.0)
    assert texts_of(out, "train") == [sentence(0)]
    assert list(read_data(out)["parts"]) == ["train"]


def test_texts_in_many_encodings(tmp_path: Path, out: Path, make: Prepare) -> None:
    """Those that say theirs, and those that are clearly of western Windows, are read; mixed ones are not."""
    folder, found = tmp_path / "data", {}
    folder.mkdir()
    for number, (name, encoding) in enumerate(
        (
            *(("plain.txt", "utf-8"), ("mark.txt", "utf-8-sig"), ("wide.txt", "utf-16"), ("wider.txt", "utf-32")),
            *(
                ("latin.txt", "latin-1"),
                ("windows.txt", "cp1252"),
                ("east.xml", "iso-8859-2"),
                ("russian.html", "koi8-r"),
            ),
        )
    ):
        text = f"größe: {sentence(number)}, naïve"
        if name == "windows.txt":
            text += " — “so”"
        if encoding == "iso-8859-2":
            text = f'<?xml version="1.0" encoding="{encoding}"?>\n<a>żółć {sentence(number)}</a>'
        if encoding == "koi8-r":
            text = f'<html><meta charset="{encoding}">Привет {sentence(number)}</html>'
        found[name] = text
        (folder / name).write_text(text, encoding=encoding)
    (folder / "cookie.py").write_text(f"# -*- coding: cp1251 -*-\n# Привет {sentence('p')}\n", encoding="cp1251")
    found["cookie.py"] = f"# -*- coding: cp1251 -*-\n# Привет {sentence('p')}\n"
    (folder / "unknown.txt").write_text("Привет, мир! " * 20, encoding="cp1251")
    (folder / "mixed.txt").write_bytes("größe ".encode() * 3 + "größe ".encode("latin-1"))
    lines = [json.dumps({"text": f"größe {sentence(name)}"}, ensure_ascii=False) for name in ("a", "b")]
    (folder / "lines.jsonl").write_bytes(lines[0].encode() + b"\n" + lines[1].encode("latin-1") + b"\n")
    card = make(folder)
    assert sorted(all_texts(out)) == sorted([*found.values(), f"größe {sentence('a')}"])
    assert card.encodings == {"cp1252": 2, "utf-16-le": 1, "utf-32-le": 1, "iso8859-2": 1, "koi8-r": 1, "cp1251": 1}
    assert {(each.what, each.example.partition(",")[0]) for each in card.dropped} == {
        ("files", "unknown.txt"),
        ("files", "mixed.txt"),
        ("records", "lines.jsonl"),
    }
    assert read_card(out) == card


def test_files_that_are_no_files_are_passed_by(notes: Path, make: Prepare) -> None:
    os.mkfifo(notes / "pipe.txt")
    (notes / "loop").symlink_to(notes)
    card = make(notes)
    assert card.records == 40
    assert {each.why for each in card.dropped} == {"not a regular file", "a link to a folder that was read already"}
