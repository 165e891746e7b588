"""A split that the data come with is kept: nothing is moved, and train loses what is held out as well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.adapters.corpus.conftest import Prepare, contents, sentence, texts_of
from zenplan.adapters.corpus.given import given_in, part_of, without_part
from zenplan.adapters.corpus.prepared import read_data
from zenplan.adapters.corpus.splitting import TEST, TRAIN, VALIDATION
from zenplan.domain.training.data_card import DataCard
from zenplan.errors import DataError


def lines(file: Path, seeds: Sequence[object], **more: object) -> None:
    """Texts of these seeds, as JSONL."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps({"text": sentence(seed, 80), **more}) + "\n" for seed in seeds))


def sentences(seeds: Sequence[object]) -> list[str]:
    return sorted(sentence(seed, 80) for seed in seeds)


def left_out(card: DataCard) -> dict[str, int]:
    return {each.why: each.count for each in card.dropped}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train/a.txt", TRAIN),
        ("Training/cat/1.png", TRAIN),
        ("val/a.txt", VALIDATION),
        ("data/dev/x/a.py", VALIDATION),
        ("images/TEST/a.png", TEST),
        ("train.jsonl", TRAIN),
        ("data/train-00003-of-00007.parquet", TRAIN),
        ("reviews_valid.csv.gz", VALIDATION),
        ("my test 2.csv", TEST),
        ("en/evaluation.json", TEST),
        # The folder, not the name of a file in it.
        ("train/test.csv", TRAIN),
        ("latest.csv", 0),
        ("training_set/a.csv", 0),
        ("attest/contrast.jsonl", 0),
        ("src/test_model.py", 0),
        ("train.py", 0),
        ("x_train", TRAIN),
        ("test-labels", TEST),
    ],
)
def test_parts_by_their_names(name: str, part: int) -> None:
    assert part_of(name) == part


def test_there_must_be_train_and_something_held_out() -> None:
    assert given_in(["train.csv", "test.csv"]).there == (TRAIN, TEST)
    for names in (["train.csv"], ["test.csv", "val.csv"], ["a.csv", "b.csv"], []):
        assert not given_in(names)
    assert without_part("x_train") == without_part("train-x") == "x"


@pytest.mark.parametrize("form", ["folders", "files", "hugging face"])
def test_what_is_given_stays_where_it_is(form: str, tmp_path: Path, out: Path, make: Prepare) -> None:
    names = {
        "folders": ("train/a.jsonl", "val/a.jsonl", "test/b.jsonl"),
        "files": ("train.jsonl", "dev.jsonl", "test.jsonl"),
        "hugging face": ("data/train-0-of-1.jsonl", "data/validation-0-of-1.jsonl", "data/test-0-of-1.jsonl"),
    }[form]
    data, seeds = tmp_path / "data", (range(30), range(100, 107), range(200, 205))
    for name, own in zip(names, seeds, strict=True):
        lines(data / name, own)
    (data / "README.md").write_text("# About it\n")
    card = make(data)
    for part, own in zip(("train", "validation", "test"), seeds, strict=True):
        assert sorted(texts_of(out, part)) == sentences(own)
    assert card.split_by == "given"
    assert any("the data's own" in note for note in card.notes)
    # The seed draws nothing.
    first = contents(out)
    make(data, seed=9, overwrite=True)
    assert {n: c for n, c in contents(out).items() if n.endswith(".npy")} == {
        n: c for n, c in first.items() if n.endswith(".npy")
    }


def test_what_is_held_out_is_not_trained_on(tmp_path: Path, out: Path, make: Prepare) -> None:
    """Also where a name comes before 'test', and over several shards; what is doubled within test stays."""
    data = tmp_path / "data"
    near = sentence(200, 80).split()
    near[40] = "other"
    lines(data / "train.jsonl", [*range(20), 3, 200, 101])
    with (data / "train.jsonl").open("a") as file:
        file.write(json.dumps({"text": " ".join(near)}) + "\n")
    lines(data / "dev.jsonl", [100, 101, 102, 201])
    lines(data / "test.jsonl", [200, 201, 202, 202])
    card = make(data, shard_bytes=2_000)
    assert sorted(texts_of(out, "train")) == sentences(range(20))
    assert sorted(texts_of(out, "validation")) == sentences([100, 101, 102, 201])
    assert sorted(texts_of(out, "test")) == sentences([200, 201, 202, 202])
    reasons = left_out(card)
    assert reasons["the same as another"] == 1
    assert reasons["to train on, and the same as one that is held out"] == 2
    assert reasons["to train on, and nearly the same as one that is held out"] == 1
    assert any(note.startswith("Validation and test have 1 ") for note in card.notes)
    # Kept near duplicates must not be in two parts either; those of train stay there.
    make(data, near="keep", same="keep", overwrite=True)
    train = texts_of(out, "train")
    assert sorted(train) == sentences([*range(20), 3])


def test_a_missing_validation_is_drawn_from_train(tmp_path: Path, out: Path, make: Prepare) -> None:
    data = tmp_path / "data"
    lines(data / "train.jsonl", range(60))
    lines(data / "test.jsonl", range(200, 210))
    make(data)
    found = {part: texts_of(out, part) for part in ("train", "validation", "test")}
    assert sorted(found["test"]) == sentences(range(200, 210))
    assert 1 <= len(found["validation"]) <= 6
    assert sorted(found["train"] + found["validation"]) == sentences(range(60))
    make(data, validation=0.5, overwrite=True)
    assert 28 <= len(texts_of(out, "validation")) <= 32
    make(data, validation=0.0, overwrite=True)
    assert set(read_data(out)["parts"]) == {"train", "test"}


def test_what_the_user_says_wins(tmp_path: Path, out: Path, make: Prepare) -> None:
    data = tmp_path / "data"
    lines(data / "train.jsonl", range(60))
    lines(data / "validation.jsonl", range(100, 110))
    lines(data / "test.jsonl", range(200, 210))
    card = make(data, validation=0.4)
    assert sorted(texts_of(out, "test")) == sentences(range(200, 210))
    assert 26 <= len(texts_of(out, "validation")) <= 30
    assert any("validation went into train" in note for note in card.notes)
    card = make(data, split_by="record", test=0.5, overwrite=True)
    assert card.split_by == "record"
    assert 38 <= len(texts_of(out, "test")) <= 42
    assert any("is not kept: --split-by" in note for note in card.notes)
    pooled = tmp_path / "pooled.jsonl"
    lines(pooled, [*range(60), *range(100, 110), *range(200, 210)])
    # The same as of data that came without a split.
    again = make(pooled, out=tmp_path / "other", test=0.5)
    assert sorted(texts_of(tmp_path / "other", "test")) == sorted(texts_of(out, "test"))
    assert again.notes == ()


def test_folders_of_such_names_in_something_else_are_no_split(tmp_path: Path, out: Path, make: Prepare) -> None:
    data = tmp_path / "data"
    for number in range(30):
        folder = data / ("train", "test", "src", "src", "src")[number % 5]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.txt").write_text(sentence(number))
    card = make(data)
    assert (card.split_by, card.records, card.dropped) == ("file", 30, ())


def test_a_test_part_without_labels(tmp_path: Path, out: Path, make: Prepare) -> None:
    """As in competitions, of which nobody is to know the answers."""
    data = tmp_path / "data"
    data.mkdir()
    rows = "".join(f"{n},{n * 7 % 5},{'ab'[n % 2]}\n" for n in range(40))
    (data / "train.csv").write_text("one,two,kind\n" + rows)
    (data / "test.csv").write_text("one,two\n" + "".join(f"{n},3\n" for n in range(90, 99)))
    card = make(data, label="kind")
    assert {part.name for part in card.parts} == {"train", "validation"}
    assert any("given test can be used" in note for note in card.notes)
    assert left_out(card) == {"no value in the label": 9}


def test_the_same_rows_are_said_and_left(tmp_path: Path, out: Path, make: Prepare) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.csv").write_text("one,kind\n" + "".join(f"{n % 10},{'ab'[n % 2]}\n" for n in range(40)))
    (data / "test.csv").write_text("one,kind\n" + "3,a\n4,b\n77,a\n")
    card = make(data, label="kind", validation=0.0)
    assert [(part.name, part.records) for part in card.parts] == [("train", 40), ("test", 3)]
    assert any(note.startswith("8 samples of train are the same") for note in card.notes)
    card = make(data, label="kind", validation=0.0, same="drop", overwrite=True)
    assert [(part.name, part.records) for part in card.parts] == [("train", 8), ("test", 3)]


def test_images_in_parts_and_classes(tmp_path: Path, out: Path, make: Prepare) -> None:
    image = pytest.importorskip("PIL.Image")
    for part, count in (("train", 12), ("valid", 4), ("test", 4)):
        for number in range(count):
            file = tmp_path / "photos" / part / ("cat", "dog")[number % 2] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((8, 8, 3), (number * 20, len(part) * 30, count), np.uint8)
            image.fromarray(pixels).save(file)
    # In a part, and of no class; the first of test is in train too.
    image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "photos" / "train" / "loose.png")
    (tmp_path / "photos" / "train" / "dog" / "copy.png").write_bytes(
        (tmp_path / "photos" / "test" / "cat" / "0.png").read_bytes()
    )
    card = make(tmp_path / "photos", image_size=8)
    assert [(part.name, part.classes) for part in card.parts] == [
        ("train", (6, 6)),
        ("validation", (2, 2)),
        ("test", (2, 2)),
    ]
    assert card.classes == ("cat", "dog")
    assert left_out(card) == {
        "no folder that names a class": 1,
        "to train on, and the same as one that is held out": 1,
    }


def test_texts_in_parts_and_classes(tmp_path: Path, out: Path, make: Prepare) -> None:
    for part, count in (("train", 20), ("test", 6)):
        for number in range(count):
            file = tmp_path / "reviews" / part / ("neg", "pos")[number % 2] / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(sentence((part, number)))
    (tmp_path / "reviews" / "README.txt").write_text("About them.")
    card = make(tmp_path / "reviews", label="folder", seq_len=16)
    assert card.classes == ("neg", "pos")
    assert {part.name: sum(part.classes) for part in card.parts}["test"] == 6
    assert left_out(card) == {"in no part of the split that the data come with": 1}


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_arrays_in_parts(form: str, tmp_path: Path, out: Path, make: Prepare) -> None:
    random = np.random.default_rng(0)
    arrays = {
        f"{name}_{part}": array
        for part, count in (("train", 50), ("test", 10))
        for name, array in (
            ("x", random.integers(0, 256, (count, 4, 4)).astype(np.uint8)),
            ("y", np.arange(count) % 3),
        )
    }
    if form == "npz":
        path = tmp_path / "mnist.npz"
        np.savez(path, **arrays)
    else:
        path = tmp_path / "mnist"
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
    card = make(path, shard_bytes=3_000)
    assert read_data(out)["inputs"] == ["x"]
    assert (np.load(out / "test-x.npy") == arrays["x_test"]).all()
    assert (np.load(out / "test-y.npy") == arrays["y_test"]).all()
    drawn = {part.name: part.records for part in card.parts}
    assert drawn["train"] + drawn["validation"] == 50
    assert drawn["validation"] > 0
    card = make(path, split_by="record", overwrite=True)
    assert sum(part.records for part in card.parts) == 60
    assert card.split_by == "record"


def test_a_train_part_without_a_record_is_an_error(tmp_path: Path, make: Prepare) -> None:
    data = tmp_path / "data"
    lines(data / "test.jsonl", range(5))
    (data / "train.jsonl").write_text('{"text": ""}\n')
    with pytest.raises(DataError, match="no record to train on"):
        make(data)
