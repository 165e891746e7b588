"""Labelled texts, tables, images and arrays: each sample with its own label, in one part, of the type that was agreed on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adapters.corpus.conftest import Prepare, sentence
from zenplan.adapters.corpus import packing
from zenplan.adapters.corpus.prepared import read_data
from zenplan.errors import DataError, UsageError, ZenplanError

PARTS = ("train", "validation", "test")


def loaded(folder: Path, name: str) -> np.ndarray:  # type: ignore[type-arg]  # of any type
    """An input of all parts, one behind another."""
    data = read_data(folder)
    found = [np.load(folder / part["files"][name], allow_pickle=False) for part in data["parts"].values()]
    assert [len(each) for each in found] == [part["samples"] for part in data["parts"].values()]
    return np.concatenate(found)


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        names = list(rows[0])
        lines = [",".join(names), *(",".join(str(row.get(name, "")) for name in names) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


# --- texts with labels


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_texts_with_labels(suffix: str, tmp_path: Path, out: Path, make: Prepare) -> None:
    from tokenizers import Tokenizer

    rows = [{"text": sentence(n, 5 + n), "mood": ("good", "bad", "so so")[n % 3]} for n in range(60)]
    card = make(table(tmp_path / f"a{suffix}", rows), label="mood", seq_len=40)
    data = read_data(out)
    assert (data["kind"], data["inputs"], data["target"]) == ("arrays", ["x"], "y")
    assert (data["classes"], data["class_names"]) == (3, ["bad", "good", "so so"])
    x, y = loaded(out, "x"), loaded(out, "y")
    assert (x.dtype, x.shape, y.dtype) == (np.int32, (60, 40), np.int32)
    made = Tokenizer.from_file(str(out / "tokenizer.json"))
    mood = {row["text"]: row["mood"] for row in rows}
    for tokens, label in zip(x.tolist(), y.tolist(), strict=True):
        text = made.decode([token for token in tokens if token])
        (whole,) = (each for each in mood if each.startswith(text))
        assert mood[whole] == data["class_names"][label]
        assert text == whole or tokens[-1] != 0
    assert card.cut == sum(len(made.encode(row["text"]).ids) > 40 for row in rows) > 0
    assert [sum(counts) for counts in zip(*(part.classes for part in card.parts), strict=True)] == [20, 20, 20]


def test_rows_of_tokens_are_the_same_in_any_blocks(
    tmp_path: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": sentence(n, 5 + n), "mood": n % 3} for n in range(60)]
    file = table(tmp_path / "a.jsonl", rows)
    one = make(file, label="mood", seq_len=40, out=tmp_path / "one")
    monkeypatch.setattr(packing, "_BLOCK", 90)
    assert make(file, label="mood", seq_len=40, out=tmp_path / "other").fingerprint == one.fingerprint


def test_the_folder_is_the_label(tmp_path: Path, out: Path, make: Prepare) -> None:
    for number in range(30):
        file = tmp_path / "data" / f"class{number % 3}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(sentence(number))
    (tmp_path / "data" / "alone.txt").write_text(sentence("alone"))
    card = make(tmp_path / "data", label="folder")
    assert read_data(out)["class_names"] == ["class0", "class1", "class2"]
    assert [(each.why, each.example) for each in card.dropped] == [("no value in the label", "alone.txt")]
    with pytest.raises(UsageError, match="contradict"):
        make(tmp_path / "data", label="folder", split_by="folder")


def test_a_tokenizer_whose_first_token_is_a_text(tmp_path: Path, out: Path, make: Prepare) -> None:
    """0 is padding: every token is one higher then."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    given = Tokenizer(models.WordLevel({"yes": 0, "no": 1, "other": 2}, unk_token="other"))
    given.pre_tokenizer = pre_tokenizers.Whitespace()
    given.save(str(tmp_path / "given.json"))
    rows = [{"text": ("yes yes", "no no no")[n % 2], "label": n % 2} for n in range(40)]
    make(
        table(tmp_path / "a.jsonl", rows),
        label="label",
        tokenizer=tmp_path / "given.json",
        seq_len=4,
        near="keep",
        same="keep",
        text_column="text",
        validation=0.0,
        test=0.0,
    )
    assert (read_data(out)["vocabulary"], read_data(out)["shift"]) == (4, 1)
    pairs = set(zip(map(tuple, loaded(out, "x").tolist()), loaded(out, "y").tolist(), strict=True))
    assert pairs == {((1, 1, 0, 0), 0), ((2, 2, 2, 0), 1)}


# --- labels


def rows_with(labels: list[Any]) -> list[dict[str, Any]]:
    return [{"a": n + 2, "b": n / 3, "label": label} for n, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("labels", "names", "kept"),
    [
        ([0, 1, 2] * 10, ["0", "1", "2"], 30),
        ([10, 9, 2] * 10, ["2", "9", "10"], 30),
        ([1.0, 2.0] * 10, ["1", "2"], 20),
        ([-1, 1] * 10, ["-1", "1"], 20),
        (["b", " a ", None, ""] * 10, ["a", "b"], 20),
        ([True, False] * 10, ["False", "True"], 20),
        ([0.5, 1.5, 2.5] * 10, None, 30),
        ([n * 7 for n in range(300)], None, 300),
        # Prices of a small table; and as many classes, of which there are several samples each.
        ([1000 * n + 7 for n in range(60)], None, 60),
        ([n % 40 for n in range(120)], [str(n) for n in range(40)], 120),
        (["x", 5] * 10, ["5", "x"], 20),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_labels_are_classes_or_numbers(
    labels: list[Any], names: list[str] | None, kept: int, suffix: str, tmp_path: Path, out: Path, make: Prepare
) -> None:
    if suffix == ".csv":
        labels = ["" if label is None else label for label in labels]
    make(table(tmp_path / f"a{suffix}", rows_with(labels)), label="label")
    data, y, x = read_data(out), loaded(out, "y"), loaded(out, "x")
    assert (data["class_names"], data["classes"]) == (names or [], None if names is None else len(names))
    assert (len(y), y.dtype) == (kept, np.float32 if names is None else np.int32)
    for (number, third), label in zip(x.tolist(), y.tolist(), strict=True):
        true = labels[int(number) - 2]
        assert third == pytest.approx((number - 2) / 3)
        if names is None:
            assert label == pytest.approx(true)
        else:
            spelled = str(int(true)) if isinstance(true, float) and suffix == ".jsonl" else str(true).strip()
            assert names[label] in (spelled, spelled.removesuffix(".0"))


def test_labels_out_of_range_are_dropped(tmp_path: Path, out: Path, make: Prepare) -> None:
    labels = [0, 1, 2, 3, -1, "x", 2.5, 1e300] * 5
    card = make(table(tmp_path / "a.jsonl", rows_with(labels)), label="label", classes=3)
    (dropped,) = card.dropped
    assert (dropped.count, dropped.why) == (25, "a label out of range, which is 0 to 2")
    assert dropped.example == "a.jsonl, line 4"
    assert read_data(out)["class_names"] == ["0", "1", "2"]


def test_classes_that_are_not_there_still_count(tmp_path: Path, out: Path, make: Prepare) -> None:
    card = make(table(tmp_path / "a.jsonl", rows_with([0, 9] * 20)), label="label", classes=10)
    assert read_data(out)["classes"] == 10
    assert set(loaded(out, "y").tolist()) == {0, 9}
    assert any("8 classes are" in note for note in card.notes)


@pytest.mark.parametrize(
    ("labels", "more", "why"),
    [
        (["same"] * 20, {}, "every label is 'same'"),
        ([None] * 20, {}, "no value in the label"),
        ([0, 1] * 10, {"label": "nothing"}, "no column 'nothing'"),
        (["a", "b"] * 10, {"label_kind": "number"}, "no number in the label"),
        (list(range(20)), {"classes": 1}, "every label is '0'"),
    ],
)
def test_labels_that_cannot_be(
    labels: list[Any], more: dict[str, Any], why: str, tmp_path: Path, out: Path, make: Prepare
) -> None:
    with pytest.raises(ZenplanError, match=why):
        make(table(tmp_path / "a.jsonl", rows_with(labels)), **{"label": "label", **more})
    assert [each.name for each in tmp_path.iterdir()] == ["a.jsonl"]


def test_names_that_differ_in_case_and_contradictions_are_said(tmp_path: Path, make: Prepare) -> None:
    rows = [{"a": n % 20, "label": ("Cat", "cat", "dog")[n % 3]} for n in range(60)]
    notes = " ".join(make(table(tmp_path / "a.jsonl", rows), label="label").notes)
    assert "upper and lower case alone: Cat, cat" in notes
    assert "another one that has another label" in notes


# --- tables


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_rows_of_numbers(suffix: str, tmp_path: Path, out: Path, make: Prepare) -> None:
    rows = [{"a": n + 2, "b": n / 2 + 1, "name": f"n{n}", "kind": n % 2} for n in range(50)]
    rows[7]["b"] = float("nan") if suffix != ".jsonl" else None  # type: ignore[assignment]  # what is wrong
    card = make(table(tmp_path / f"a{suffix}", rows), label="kind")
    data, x, y = read_data(out), loaded(out, "x"), loaded(out, "y")
    assert (data["inputs"], data["features"]) == (["x"], ["a", "b"])
    assert (x.dtype, x.shape) == (np.float32, (49, 2))
    assert all(a / 2 == b and a % 2 == label for (a, b), label in zip(x.tolist(), y.tolist(), strict=True))
    assert [(each.count, each.what) for each in card.dropped] == [(1, "records")]
    assert card.unused == ("name",)
    make(tmp_path / f"a{suffix}", label="kind", features=("b",), overwrite=True)
    assert loaded(out, "x").shape == (49, 1)


def test_rows_that_are_the_same_are_kept_and_in_one_part(tmp_path: Path, out: Path, make: Prepare) -> None:
    rows = [{"a": n % 10, "label": n % 2} for n in range(200)]
    assert make(table(tmp_path / "a.jsonl", rows), label="label", validation=0.2, test=0.2).dropped == ()
    parts = [set(np.load(out / f"{part}-x.npy").ravel().tolist()) for part in PARTS]
    assert sum(map(len, parts)) == 10
    make(tmp_path / "a.jsonl", label="label", same="drop", overwrite=True)
    assert len(loaded(out, "x")) == 10


def test_names_as_numbers(tmp_path: Path, out: Path, make: Prepare) -> None:
    """A recommender: who liked what how much."""
    draw = random.Random(0)  # noqa: S311 (no secret)
    rows = [
        {"User": f"u{draw.randrange(30)}", "movie id": draw.randrange(500), "rating": n % 10 / 2} for n in range(300)
    ]
    make(table(tmp_path / "a.csv", rows), label="rating", ids=("User", "movie id"))
    data = read_data(out)
    assert (data["inputs"], data["classes"]) == (["user", "movie_id"], None)
    user, movie, y = (loaded(out, name) for name in ("user", "movie_id", "y"))
    assert (user.dtype, user.shape, y.dtype) == (np.int32, (300,), np.float32)
    users, movies = sorted({row["User"] for row in rows}), sorted({row["movie id"] for row in rows})
    assert data["sizes"] == {"user": len(users), "movie_id": len(movies)}
    found = [(users[u], movies[m], r) for u, m, r in zip(user.tolist(), movie.tolist(), y.tolist(), strict=True)]
    assert sorted(found) == sorted((row["User"], row["movie id"], row["rating"]) for row in rows)


def test_a_broken_cell_costs_its_row_and_not_its_column(tmp_path: Path, out: Path, make: Prepare) -> None:
    rows: list[dict[str, Any]] = [{"a": n + 2, "b": n / 2 + 1, "label": n % 2} for n in range(40)]
    rows[3]["a"], rows[5]["b"] = "broken", ""
    card = make(table(tmp_path / "a.csv", rows), label="label")
    assert read_data(out)["features"] == ["a", "b"]
    assert {(each.why, each.example) for each in card.dropped} == {
        ("no number in 'a'", "a.csv, row 4"),
        ("no value in 'b'", "a.csv, row 6"),
    }


def test_columns_that_are_not_there(tmp_path: Path, make: Prepare) -> None:
    file = table(tmp_path / "a.jsonl", rows_with([0, 1] * 10))
    for more in ({"features": ("c",)}, {"ids": ("c",)}):
        with pytest.raises(UsageError, match="no column 'c'"):
            make(file, label="label", **more)
    alike = table(tmp_path / "b.jsonl", [{"a b": 1, "a-b": n, "y": n % 2} for n in range(9)])
    with pytest.raises(DataError, match="too much alike"):
        make(alike, label="y", ids=("a b", "a-b"))


# --- images


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Sixty images of two classes, each of its own colour, in several formats and sizes."""
    image = pytest.importorskip("PIL.Image")
    for number in range(60):
        name, suffix = ("cat", "dog")[number % 2], ("png", "bmp", "gif", "tiff")[number % 4]
        file = tmp_path / "photos" / name / f"{number}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        colour = (4 * number, 200, 0) if name == "cat" else (0, 100, 4 * number)
        image.new("RGB", (20 + number, 50), colour).save(file)
    return tmp_path / "photos"


@pytest.mark.parametrize("channels", [1, 3])
def test_images(channels: int, photos: Path, out: Path, make: Prepare) -> None:
    card = make(photos, image_size=8, channels=channels)
    x, y, data = loaded(out, "x"), loaded(out, "y"), read_data(out)
    assert (x.dtype, x.shape[1:], data["class_names"]) == (np.uint8, (8, 8, channels), ["cat", "dog"])
    assert (x == x[:, :1, :1]).all()
    if channels == 3:
        assert len(x) == 60
        colours = {("cat", 4 * n // 8) if n % 2 == 0 else ("dog", 4 * n // 8) for n in range(60)}
        seen = {
            (data["class_names"][label], int(image[0, 0, 2 * label]) // 8) for image, label in zip(x, y, strict=True)
        }
        assert seen == colours
    assert (card.what, card.records, sum(part.bytes for part in card.parts)) == ("images", 60, x.nbytes)


def test_broken_images(photos: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    good = (photos / "cat" / "0.png").read_bytes()
    broken = {
        "cut.png": good[: len(good) // 2],
        "text.jpg": b"no image at all",
        "svg.png": b"<svg/>",
        "flipped.png": good[:30] + bytes([good[30] ^ 255]) + good[31:],
        "pickle.png": b"\x80\x04\x95",
    }
    for name, content in broken.items():
        (photos / "cat" / name).write_bytes(content)
    (photos / "alone.png").write_bytes(good)
    (photos / "cat" / "again.png").write_bytes(good)
    image.new("1", (3000, 3000)).save(photos / "dog" / "huge.png")
    monkeypatch.setattr(image, "MAX_IMAGE_PIXELS", 4_000_000)
    card = make(photos, image_size=8)
    assert {each.why: each.count for each in card.dropped} == {
        "no image that can be decoded, or a broken one": 5,
        "no folder that names a class": 1,
        "the same as another": 1,
        "an image of more pixels than is safe to decode": 1,
    }
    assert sum(part.records for part in card.parts) == 60


def test_images_of_one_class(photos: Path, make: Prepare) -> None:
    with pytest.raises(DataError, match="every label is 'cat'"):
        make(_only(photos, "cat"), image_size=8)
    with pytest.raises(UsageError, match="--text-column is not for images"):
        make(photos, text_column="text")
    with pytest.raises(UsageError, match="--label is not for images"):
        make(photos, label="kind")


def _only(photos: Path, name: str) -> Path:
    folder = photos.parent / "only"
    folder.mkdir()
    (photos / name).rename(folder / name)
    return folder


def test_images_in_small_shards_are_the_same(photos: Path, make: Prepare, tmp_path: Path) -> None:
    one = make(photos, image_size=8, out=tmp_path / "one", shard_bytes=10**9)
    assert make(photos, image_size=8, out=tmp_path / "other", shard_bytes=500).fingerprint == one.fingerprint


# --- arrays


@pytest.mark.parametrize("form", ["npz", "npy"])
@pytest.mark.parametrize(
    ("kind", "kept"), [("uint8", "uint8"), ("float64", "float32"), ("int64", "int32"), ("bool", "uint8")]
)
def test_arrays(form: str, kind: str, kept: str, tmp_path: Path, out: Path, make: Prepare) -> None:
    x = np.arange(40 * 6).reshape(40, 3, 2).astype(kind)
    if kind == "bool":
        x = (np.arange(40)[:, None] >> np.arange(6) & 1).reshape(40, 3, 2).astype(bool)
    y = np.arange(40) % 4
    path = tmp_path / "data.npz"
    if form == "npz":
        np.savez(path, x=x, y=y)
    else:
        path = tmp_path / "data"
        path.mkdir()
        np.save(path / "x.npy", x)
        np.save(path / "y.npy", y)
    make(path)
    data, found, labels = read_data(out), loaded(out, "x"), loaded(out, "y")
    assert (found.dtype, found.shape, data["inputs"], data["classes"]) == (np.dtype(kept), (40, 3, 2), ["x"], 4)
    assert sorted(zip(found.reshape(40, 6).tolist(), labels.tolist(), strict=True)) == sorted(
        zip(x.astype(kept).reshape(40, 6).tolist(), y.tolist(), strict=True)
    )


def test_arrays_of_several_inputs(tmp_path: Path, out: Path, make: Prepare) -> None:
    numbers = np.arange(50)
    np.savez(tmp_path / "a.npz", user=numbers % 7, item=numbers % 11, rating=numbers / 10)
    make(tmp_path / "a.npz", label="rating")
    data = read_data(out)
    assert data["inputs"] == ["user", "item"]
    found = sorted(zip(*(loaded(out, name).tolist() for name in ("y", "user", "item")), strict=True))
    assert found == [(pytest.approx(n / 10), n % 7, n % 11) for n in range(50)]


def test_samples_that_are_not_finite_are_dropped(tmp_path: Path, out: Path, make: Prepare) -> None:
    x, y = np.ones((30, 2)), np.arange(30) % 2
    x[3, 1], x[4, 0] = np.nan, np.inf
    np.savez(tmp_path / "a.npz", x=x, y=y)
    (dropped,) = make(tmp_path / "a.npz", validation=0.0, test=0.0).dropped
    assert (dropped.count, dropped.example) == (2, "sample 3")
    assert len(loaded(out, "x")) == 28


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"x": np.ones((4, 2)), "y": np.array([{}, 1, 2, 3], object)}, "pickles"),
        ({"x": np.array(["a"] * 4), "y": np.arange(4)}, "not one of numbers"),
        ({"x": np.ones((4, 2)), "y": np.arange(5)}, "not of as many samples"),
        ({"x": np.ones((4, 2)), "z": np.arange(4)}, "no array 'y'"),
        ({"y": np.arange(4)}, "an array of samples"),
        ({"x": np.ones(4), "y": np.ones((4, 3))}, "one label for each"),
        ({"x": np.float64(3), "y": np.arange(4)}, "not one of numbers|not of as many"),
        ({"x": np.ones((0, 2)), "y": np.ones(0)}, "no record"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arrays_that_cannot_be(arrays: dict[str, Any], why: str, tmp_path: Path, make: Prepare) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ZenplanError, match=why):
        make(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00v\x00{'descr'", b"\x80\x04pickle"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_broken_array_files(content: bytes, suffix: str, tmp_path: Path, make: Prepare) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(ZenplanError, match=r"is broken|pickles|no array|empty"):
        make(tmp_path / f"a{suffix}")


def test_names_of_arrays_are_no_paths(tmp_path: Path, out: Path, make: Prepare) -> None:
    np.savez(tmp_path / "a.npz", **{"../../up": np.arange(20), "b/c": np.arange(20), "y": np.arange(20) % 2})
    make(tmp_path / "a.npz")
    assert read_data(out)["inputs"] == ["up", "b_c"]
    assert all(each.parent == out for each in tmp_path.rglob("*.npy"))


def test_ids_alone_leave_numbers_out_and_the_card_says_so(tmp_path: Path, out: Path, make: Prepare) -> None:
    rows = [{"city": f"c{n}", "income": n, "note": "x", "kind": n % 2} for n in range(50)]
    path = table(tmp_path / "a.csv", rows)
    card = make(path, label="kind", ids=("city",))
    assert (card.unused, card.unused_numbers) == (("income", "note"), ("income",))
    assert "income" in card.left_out
    assert make(path, label="kind", ids=("city",), features=("income",), overwrite=True).unused_numbers == ()
    # Two cities are two groups, which cannot be split into three parts: the hint is what makes more of them.
    few = table(tmp_path / "b.csv", [{**row, "city": f"c{row['income'] % 2}"} for row in rows])
    with pytest.raises(DataError, match="too few") as caught:
        make(few, label="kind", ids=("city",), overwrite=True)
    assert "--features income" in caught.value.hint


def test_columns_that_number_the_rows_are_not_learned_from(tmp_path: Path, make: Prepare) -> None:
    """Counted from 0 or 1, or named so; not a measure that rises, such as a year; and not where nothing else is there."""
    path = tmp_path / "t.csv"
    rows = [f"{n + 1},{7919 * n % 997},{1900 + n},{n % 5},{n % 7},{n}" for n in range(80)]
    path.write_text("\n".join(["counted,userId,year,grid,size,y", *rows]), encoding="utf-8")
    card = make(path, label="y", label_kind="number")
    assert card.unused == ("counted", "userId")
    assert any("counted, userId" in note and "--features" in note for note in card.notes)
    assert make(path, label="y", features=("counted", "size"), overwrite=True).unused == ("userId", "year", "grid")
    path.write_text("\n".join(["id,y", *(f"{n},{n % 2}" for n in range(80))]), encoding="utf-8")
    assert make(path, label="y", overwrite=True).unused == ()


def test_names_of_which_no_two_rows_have_one_are_told(tmp_path: Path, make: Prepare) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["user,city,y", *(f"u{n},{n % 4},{n % 3}" for n in range(80))]), encoding="utf-8")
    card = make(path, label="y", ids=("user", "city"))
    assert [("user" in note, "city" in note) for note in card.notes if "No two rows" in note] == [(True, False)]
