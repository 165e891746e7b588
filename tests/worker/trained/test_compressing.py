"""Smaller versions of trained models, on every backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.worker.together import together
from tests.worker.trained.conftest import to_be
from tests.worker.training.conftest import Lab
from zenplan.worker.protocol import Artefact, Compress, Compressed, Ended, Kind, Piece, Score, Scored


def made(
    lab: Lab, backend: str, pieces: tuple[Piece, ...], scored: tuple[Artefact, ...] = (), **changes: Any
) -> tuple[dict[str, Compressed], list[Scored], str]:
    """Of a run: what is made of its model, by name; what that and the artefacts score; the model's path.

    All in one process.
    """
    job = lab.job("run", changes.pop("data"), **changes)
    model = to_be(job)
    compress = Compress(what="run", model=model, pieces=pieces)
    score = [Score(what="run", model=model, artefacts=scored)] if scored else []
    trained, told, *scores = together(lab.folder, backend, [job, compress, *score])
    assert isinstance(trained[-1], Ended)
    assert trained[-1].model == model.path
    found = {each.name: each for each in told if isinstance(each, Compressed)}
    return found, [each for events in scores for each in events if isinstance(each, Scored)], model.path


def artefact(lab: Lab, name: str, quantize: str = "") -> Artefact:
    path = lab.folder / (name if quantize else f"{name}.keras")
    return Artefact(form="keras", path=str(path), quantize=quantize, name=name)


def test_a_convnet_is_pruned_and_distilled(lab: Lab, backend: str) -> None:
    """Its statistics of batches go on while its weights are masked; in int8 Keras has no form of it."""
    kind = Kind(name="convnet", options={"width": 8, "stages": 1})
    names = [artefact(lab, each) for each in ("pruned", "student")]
    pieces = (
        Piece(method="prune", sparsity=0.6, steps=12, artefacts=(names[0], artefact(lab, "pruned-int8", "int8"))),
        Piece(method="distill", width=0.5, steps=30, artefacts=(names[1],)),
    )
    told, (_, pruned, student), _ = made(lab, backend, pieces, tuple(names), data=lab.images(), model=kind, steps=30)
    assert told["pruned"].zeros == pytest.approx(0.6, abs=0.01)
    assert told["pruned"].steps == 12
    assert (told["pruned-int8"].layer, told["pruned-int8"].path) == ("convolution0b", "")
    assert told["student"].student == Kind(name="convnet", options={"width": 4, "stages": 1, "dropout": 0.0})
    assert told["student"].parameters < 0.5 * told["pruned"].parameters
    assert [pruned.name, student.name] == ["pruned", "student"]
    # By chance it is ln 3. The student's own statistics of batches need more steps than these.
    assert pruned.values["loss"] < 1.0
    assert student.difference is not None


def test_adapters_are_merged(lab: Lab, one_backend: str) -> None:
    merged = artefact(lab, "merged")
    piece = Piece(method="plain", artefacts=(merged,))
    found, (own, other), path = made(lab, one_backend, (piece,), (merged,), data=lab.text(), lora_rank=2)
    (told,) = found.values()
    assert other.difference == pytest.approx(0.0, abs=1e-4)
    assert Path(told.path).stat().st_size < Path(path).stat().st_size
    assert own.values["loss"] == pytest.approx(other.values["loss"], rel=1e-5)


def test_a_piece_ends_when_its_time_is_over(lab: Lab, one_backend: str) -> None:
    pieces = tuple(
        Piece(method=method, sparsity=0.5, steps=100_000, seconds=1.0, artefacts=(artefact(lab, method),))
        for method in ("prune", "distill")
    )
    found, _, _ = made(lab, one_backend, pieces, data=lab.text(), steps=4)
    told = list(found.values())
    assert [each.refused for each in told] == ["", ""]
    for each in told:
        assert 1 <= each.steps < 100_000
        assert each.wall_s < 10.0
    # What was begun is finished: half of the weights are zero.
    assert told[0].zeros == pytest.approx(0.5, abs=0.01)


def test_a_mask_takes_the_smallest_of_all_matrices() -> None:
    pytest.importorskip("keras")
    from zenplan.worker.trained.pruning import mask

    arrays = {"a": np.array([[1.0, -0.1]]), "b": np.array([[0.2], [-3.0]])}
    arrays |= {"ma": np.ones((1, 2)), "mb": np.ones((2, 1))}
    for share, a, b in ((0.0, [[1, 1]], [[1], [1]]), (0.5, [[1, 0]], [[0], [1]]), (0.75, [[0, 0]], [[0], [1]])):
        mask(arrays, [("a", "ma"), ("b", "mb")], share)
        assert (arrays["ma"].tolist(), arrays["mb"].tolist()) == (a, b)
