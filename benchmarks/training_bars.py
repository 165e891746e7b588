"""What a training run has to reach: a baseline that is computed on the same data and the same split, or a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from ngram import NGram
from training_runs import Bench, Task, request_of, thinned

from zenplan.adapters.corpus.prepared import read_data

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
_ORDER: Final = 5
# Ratings that a film's, or a user's, mean is pulled to that of all by (Funk 2006 and many since; small ones do alike).
_DAMPING: Final = 5.0
_CONVNET: Final = 0.98
_ADAPTERS: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What was reached, and what was to be.

    Attributes:
        what: of a figure.
        reached, bar: it, and what it is held to; None for one that is only told.
        above: whether more is better.
    """

    what: str
    reached: float
    bar: float | None
    above: bool = False

    @property
    def passes(self) -> bool:
        """Whether it is as good as it was to be, or better."""
        if self.bar is None:
            return True
        return self.reached >= self.bar if self.above else self.reached < self.bar

    def __str__(self) -> str:
        if self.bar is None:
            return f"{self.what} {self.reached:.4g}"
        sign = ("≥" if self.passes else "not ≥") if self.above else ("<" if self.passes else "not <")
        return f"{self.what} {self.reached:.4g} {sign} {self.bar:.4g}"


def bars(bench: Bench, task: Task, row: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> list[Bar]:
    """Those of a run.

    Args:
        bench, task: that it was.
        row: what came of it.
        before: of an adapted model, what came of it without training.
    """
    metrics = row["result"]["metrics"]
    if task.name == "lora":
        return _of_adapters(row, before)
    if task.name == "softmax-regression":
        return _of_descent(bench, task, row)
    return _BARS[task.name](bench, task, metrics)


def _of_language(bench: Bench, task: Task, metrics: Mapping[str, Any]) -> list[Bar]:
    folder, length, most = bench.prepared(task), int(bench.options(task)["length"]), _evaluated(bench, task)
    model = NGram(np.asarray(_array(folder, "train-tokens")), read_data(folder)["vocabulary"], _ORDER)
    found = []
    for part in ("validation", "test"):
        tokens = _array(folder, f"{part}-tokens")
        # The samples that an evaluation takes, spread evenly, each predicted from what stands before it too.
        count = (len(tokens) - 1) // length
        first = np.arange(min(count, most)) * count // min(count, most) * length
        places = first[:, None] + np.arange(length)[None, :] + 1 - (_ORDER - 1)
        losses = model.losses(np.asarray(tokens))
        loss = float(losses[places[places >= 0]].mean())
        found.append(Bar(what=f"{part} loss, against an interpolated 5-gram,", reached=metrics[part]["loss"], bar=loss))
    return found


def _of_texts(bench: Bench, task: Task, metrics: Mapping[str, Any]) -> list[Bar]:
    folder = bench.prepared(task)
    x, y = _array(folder, "train-x"), _array(folder, "train-y")
    classes, vocabulary = read_data(folder)["classes"], int(x.max()) + 1
    # Multinomial naive Bayes over tokens (McCallum and Nigam 1998), one added to each count.
    counts = np.ones((classes, vocabulary))
    for label in range(classes):
        counts[label] += np.bincount(np.asarray(x[y == label]).ravel(), minlength=vocabulary)
    counts[:, 0] = counts.sum(axis=1)
    shares = np.log(counts / counts[:, :1])
    shares[:, 0] = 0.0
    prior = np.log(np.bincount(y, minlength=classes) + 1.0)
    right = usual = total = 0
    for part in ("validation", "test"):
        told, truth = np.asarray(_array(folder, f"{part}-x")), np.asarray(_array(folder, f"{part}-y"))
        told = np.where(told < vocabulary, told, 0)
        likeliest = np.array([(prior + shares[:, row].sum(axis=1)).argmax() for row in told])
        right, total = right + int((likeliest == truth).sum()), total + len(truth)
        usual += int((truth == np.bincount(y).argmax()).sum())
    reached = _accuracy(bench, task, metrics)
    return [
        Bar(what="accuracy, against naive Bayes,", reached=reached, bar=right / total, above=True),
        Bar(what="the commonest", reached=usual / total, bar=None),
    ]


def _of_images(bench: Bench, task: Task, metrics: Mapping[str, Any]) -> list[Bar]:
    reached = _accuracy(bench, task, metrics)
    return [Bar(what="accuracy, validation and test,", reached=reached, bar=_CONVNET, above=True)]


def _of_rows(bench: Bench, task: Task, metrics: Mapping[str, Any]) -> list[Bar]:
    folder = bench.prepared(task)
    weights, _ = descended(np.asarray(_array(folder, "train-x")), np.asarray(_array(folder, "train-y")), 0.5, 1000)
    right = total = 0
    for part in ("validation", "test"):
        x, y = _flat(_array(folder, f"{part}-x")), _array(folder, f"{part}-y")
        right, total = right + int(((x @ weights).argmax(axis=1) == y).sum()), total + len(y)
    reached = _accuracy(bench, task, metrics)
    return [Bar(what="accuracy, against softmax regression,", reached=reached, bar=right / total, above=True)]


def _of_descent(bench: Bench, task: Task, row: Mapping[str, Any]) -> list[Bar]:
    """Against the same descent in float64, by hand."""
    folder, losses, metrics = bench.prepared(task), row["losses"], row["result"]["metrics"]
    x, y = np.asarray(_array(folder, "train-x")), np.asarray(_array(folder, "train-y"))
    steps, rate = row["result"]["status"]["steps"], float(request_of(task)["train"]["learning_rate"])
    _, truth = descended(x, y, rate, steps)
    error = float(np.abs(np.array(losses) / np.array(thinned(truth.tolist())) - 1).max())
    return [
        Bar(what="largest error of a step's loss, against NumPy in float64,", reached=error, bar=1e-3),
        Bar(what="accuracy, validation and test", reached=_accuracy(bench, task, metrics), bar=None),
    ]


def _of_ratings(bench: Bench, task: Task, metrics: Mapping[str, Any]) -> list[Bar]:
    folder = bench.prepared(task)
    user, item, y = (np.asarray(_array(folder, f"train-{name}")).reshape(-1) for name in ("user", "item", "y"))
    mean = float(y.mean())
    users, items = int(user.max()) + 1, int(item.max()) + 1
    liked = _damped(item, y - mean, items)
    kind = _damped(user, y - mean - liked[item], users)
    found = []
    for part in ("validation", "test"):
        to, of, truth = (np.asarray(_array(folder, f"{part}-{name}")).reshape(-1) for name in ("user", "item", "y"))
        by_item = mean + np.where(of < items, liked[np.minimum(of, items - 1)], 0.0)
        by_both = by_item + np.where(to < users, kind[np.minimum(to, users - 1)], 0.0)
        found.append(
            Bar(what=f"{part} RMSE, against popularity,", reached=metrics[part]["rmse"], bar=_rmse(by_item, truth))
        )
        found.append(Bar(what=f"popularity and user {part}", reached=_rmse(by_both, truth), bar=None))
    return found


def _of_adapters(row: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[Bar]:
    if before is None:
        raise SystemExit("nothing says how good the model was before it was adapted")
    result = row["result"]
    found = [
        Bar(
            what=f"{part} loss, against that before,",
            reached=result["metrics"][part]["loss"],
            bar=before["result"]["metrics"][part]["loss"],
        )
        for part in ("validation", "test")
    ]
    share = result["trainable"] / result["parameters"]
    return [*found, Bar(what="share of parameters", reached=share, bar=_ADAPTERS)]


_BARS: Final[Mapping[str, Callable[[Bench, Task, Mapping[str, Any]], list[Bar]]]] = {
    "language-model": _of_language,
    "text-classifier": _of_texts,
    "convnet": _of_images,
    "lstm": _of_rows,
    "recommender": _of_ratings,
}


def descended(x: Array, y: Array, rate: float, steps: int) -> tuple[Array, Array]:
    """Softmax regression by plain gradient descent from zeros: weights, of the bias last, and the loss before each step."""
    inputs, wanted = _flat(x), np.eye(int(y.max()) + 1)[y]
    weights, losses = np.zeros((inputs.shape[1], wanted.shape[1])), np.zeros(steps)
    for step in range(steps):
        logits = inputs @ weights
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        losses[step] = -np.log(shares[np.arange(len(y)), y]).mean()
        weights -= rate * inputs.T @ (shares - wanted) / len(y)
    return weights, losses


def _flat(x: Array) -> Array:
    """Samples as rows of float64 from 0 to 1, and a one."""
    found = np.asarray(x).reshape(len(x), -1).astype(np.float64)
    return np.concatenate([found / 255 if x.dtype == np.uint8 else found, np.ones((len(x), 1))], axis=1)


def _damped(places: Array, values: Array, count: int) -> Array:
    return np.bincount(places, values, count) / (np.bincount(places, minlength=count) + _DAMPING)


def _rmse(found: Array, truth: Array) -> float:
    return float(np.sqrt(np.square(found - truth).mean()))


def _accuracy(bench: Bench, task: Task, metrics: Mapping[str, Any]) -> float:
    """Of validation and test data together: there are few of each."""
    parts = read_data(bench.prepared(task))["parts"]
    sizes = {part: parts[part]["samples"] for part in ("validation", "test")}
    return float(sum(metrics[part]["accuracy"] * size for part, size in sizes.items()) / sum(sizes.values()))


def _evaluated(bench: Bench, task: Task) -> int:
    """Samples of an evaluation at most."""
    request = request_of(task)
    batches = request["train"].get("evaluate_batches", 50)
    if bench.small and "--evaluate-batches" in task.flags:
        batches = int(task.flags[task.flags.index("--evaluate-batches") + 1])
    return int(batches * request["step"]["batch"])


def _array(folder: Path, name: str) -> Array:
    found: Array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return found
