"""New samples are made what the same samples were made when the data were prepared."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adapters.corpus.conftest import Prepare, sentence
from zenplan.adapters.corpus.preprocessing import IMAGE, LABELLED, NUMBERS, ROWS, TEXT, Preprocessor
from zenplan.errors import DataError


def rows_of(out: Path, name: str) -> np.ndarray:
    return np.concatenate([np.load(file) for file in sorted(out.glob(f"*-{name}.npy"))])


def test_texts_with_labels(make: Prepare, out: Path, tmp_path: Path) -> None:
    texts = [sentence(n, 4 + n % 30) for n in range(60)]
    lines = [json.dumps({"text": text, "label": "ab"[n % 2]}) for n, text in enumerate(texts)]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    make(tmp_path / "t.jsonl", label="label", seq_len=24)
    found = Preprocessor.of(out)
    there = {tuple(row) for row in rows_of(out, "x").tolist()}
    assert found.what == LABELLED
    assert found.classes == ("a", "b")
    assert all(tuple(found.sample(text)["x"].tolist()) in there for text in texts)
    for wrong in (3, None, "", ["a"]):
        with pytest.raises(DataError):
            found.sample(wrong)


def test_rows_with_numbers_and_names(make: Prepare, out: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    table = [f"{draw.normal():.4f},{draw.normal():.4f},u{n % 7},{draw.integers(2)}" for n in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["age,size,user,y", *table]))
    make(tmp_path / "t.csv", label="y", features=("size", "age"), ids=("user",))
    found = Preprocessor.of(out)
    assert found.what == ROWS
    there = {
        (*x, u) for x, u in zip(map(tuple, rows_of(out, "x").tolist()), rows_of(out, "user").tolist(), strict=True)
    }
    for line in table:
        age, size, user, _ = line.split(",")
        row = found.sample({"age": age, "size": float(size), "user": user, "more": 1})
        assert (*row["x"].tolist(), int(row["user"])) in there
    for wrong in (
        {"age": 1, "user": "u1"},
        {"age": 1, "size": "x", "user": "u1"},
        {"age": 1, "size": 2, "user": "u9"},
        3,
    ):
        with pytest.raises(DataError):
            found.sample(wrong)


def test_images(make: Prepare, out: Path, tmp_path: Path) -> None:
    from PIL import Image

    draw = np.random.default_rng(0)
    for n in range(40):
        file = tmp_path / "images" / "ab"[n % 2] / f"{n}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (20, 30, 3)).astype(np.uint8)).save(file)
    make(tmp_path / "images", image_size=16)
    found = Preprocessor.of(out)
    assert found.what == IMAGE
    there = {row.tobytes() for row in rows_of(out, "x")}
    assert all(found.sample(f.read_bytes())["x"].tobytes() in there for f in (tmp_path / "images").rglob("*.png"))
    plain = found.sample(rows_of(out, "x")[0].tolist())["x"]
    assert plain.dtype == np.uint8
    for wrong in (b"no image", b"", [[1]], np.full((16, 16, 3), 256).tolist(), np.full((16, 16, 3), 0.5).tolist()):
        with pytest.raises(DataError):
            found.sample(wrong)


def test_arrays(make: Prepare, out: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(50, 4, 3)).astype(np.float32), draw.integers(0, 2, 50)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    make(tmp_path / "a.npz")
    found = Preprocessor.of(out)
    assert found.what == NUMBERS
    assert found.sample(x[0].tolist())["x"].tolist() == x[0].tolist()
    wrong: Any
    for wrong in (x[0, 0].tolist(), "text", [[float("nan")] * 3] * 4, {"z": 1}, [[1, 2, 3], [1]]):
        with pytest.raises(DataError):
            found.sample(wrong)


def test_texts_to_go_on_from(make: Prepare, out: Path, notes: Path) -> None:
    make(notes)
    found = Preprocessor.of(out)
    assert found.what == TEXT
    assert found.end == 0
    tokens = found.tokens(sentence(3))
    whole = np.concatenate([np.load(file) for file in out.glob("*-tokens.npy")]).tolist()
    assert any(whole[i : i + len(tokens)] == tokens for i in range(len(whole)))


def test_an_image_of_many_pixels_is_refused_before_it_is_decoded(make: Prepare, out: Path, tmp_path: Path) -> None:
    from PIL import Image

    x, y = np.zeros((30, 8, 8, 1), np.uint8), np.arange(30) % 2
    x[:, 0, 0, 0] = np.arange(30)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    make(tmp_path / "a.npz")
    large = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(large, "PNG")
    with pytest.raises(DataError, match="more pixels"):
        Preprocessor.of(out).sample(large.getvalue())
