"""The benchmarks of training runs: what runs are held to is right, and they go on where they were cut."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Iterator[Any]:
    """A benchmark by its name, as it finds those beside it."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)

        def load(name: str) -> ModuleType:
            return importlib.import_module(name)

        yield load
        for name in set(sys.modules) - before:
            if (BENCHMARKS / f"{name}.py").exists():
                del sys.modules[name]


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / name), *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert found.returncode == 0, found.stderr
    return found.stdout


# --- the 5-gram


def kneser_ney(text: list[int], history: tuple[int, ...], token: int, vocabulary: int) -> float:
    """Chen and Goodman's interpolated form by dictionaries, one n-gram at a time."""
    orders = len(history) + 1
    counts = [Counter[tuple[int, ...]]() for _ in range(orders + 1)]
    counts[orders] = Counter(tuple(text[i : i + orders]) for i in range(len(text) - orders + 1))
    for order in range(orders - 1, 0, -1):
        counts[order] = Counter(gram[1:] for gram in counts[order + 1])
    found = 1 / vocabulary
    for order in range(1, orders + 1):
        seen = counts[order]
        ones, twos = (sum(1 for n in seen.values() if n == times) for times in (1, 2))
        discount = ones / (ones + 2 * twos) if ones else 0.0
        before = history[len(history) - order + 1 :]
        after = {gram[-1]: n for gram, n in seen.items() if gram[:-1] == before}
        if after:
            total = sum(after.values())
            found = max(after.get(token, 0) - discount, 0) / total + discount * len(after) / total * found
    return found


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_an_n_gram_is_kneser_neys(script: Any, order: int) -> None:
    random = np.random.default_rng(order)
    text = random.integers(0, 7, 400) * random.integers(0, 2, 400)
    model = script("ngram").NGram(text, 7, order)
    told = random.integers(0, 7, 40)
    found = model.losses(told)
    expected = [
        -np.log(kneser_ney(text.tolist(), tuple(told[i - order + 1 : i].tolist()), int(told[i]), 7))
        for i in range(order - 1, 40)
    ]
    assert found == pytest.approx(expected, rel=1e-12)


def test_its_probabilities_sum_to_one(script: Any) -> None:
    text = np.random.default_rng(0).integers(0, 300, 3000)
    model = script("ngram").NGram(text, 300, 5)
    for history in ([5, 1, 2, 3], text[:4].tolist(), text[100:104].tolist()):
        shares = [np.exp(-model.losses(np.array([*history, token])))[0] for token in range(300)]
        assert sum(shares) == pytest.approx(1.0, rel=1e-9)


def test_tokens_that_do_not_go_into_a_number_are_refused(script: Any) -> None:
    with pytest.raises(ValueError, match="do not go into 64 bits"):
        script("ngram").NGram(np.arange(10), 100_000, 5)


# --- what is held


def test_gradient_descent_goes_down_from_no_knowledge(script: Any) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 200)
    x = np.eye(3)[y] + random.normal(0, 0.3, (200, 3))
    weights, losses = script("training_bars").descended(x, y, 0.5, 100)
    assert losses[0] == pytest.approx(np.log(3))
    assert (np.diff(losses) < 0).all()
    flat = np.concatenate([x, np.ones((200, 1))], axis=1)
    assert ((flat @ weights).argmax(axis=1) == y).mean() > 0.9


@pytest.mark.parametrize(
    ("reached", "bar", "above", "passes"),
    [(2.0, 1.0, False, False), (1.0, 2.0, False, True), (0.98, 0.98, True, True), (0.97, 0.98, True, False)],
)
def test_a_bar_is_passed_or_not(script: Any, reached: float, bar: float, above: bool, passes: bool) -> None:
    found = script("training_bars").Bar(what="it", reached=reached, bar=bar, above=above)
    assert found.passes is passes
    assert ("not" in str(found)) is not passes


def test_one_row_of_a_run_counts_the_newest_and_a_torn_line_is_nothing(script: Any, tmp_path: Path) -> None:
    runs = script("training_runs")
    kept = runs.Kept(tmp_path / "kept.jsonl")
    key = {"run": "convnet", "size": "small", "backend": "jax", "versions": {"jax": "1"}, "machine": "m"}
    kept.add({**key, "code": 1})
    assert not kept.has(**key)
    with kept.path.open("a") as file:
        file.write('{"run": "conv')
    kept.add({**key, "code": 0, "wall_s": 2})
    assert [row["wall_s"] for row in kept.rows()] == [2]
    assert kept.has(**key)
    assert kept.has(alone=True, **key)
    kept.add({**key, "code": 0, "wall_s": 2, "others_cores": 1.5})
    assert not kept.has(alone=True, **key)
    assert not kept.has(**{**key, "versions": {"jax": "2"}})


def test_every_request_is_of_a_run_and_every_run_has_one(script: Any) -> None:
    runs = script("training_runs")
    assert {task.file for task in runs.TASKS} == set((BENCHMARKS / "train").glob("*.toml"))
    for task in runs.TASKS:
        assert {task.data, task.small} <= script("training_data").SETS.keys()


def compared(script: Any, **changes: Any) -> Any:
    fields = {"name": "it", "predicted_s": 110.0, "low_s": 90.0, "high_s": 120.0, "actual_s": 100.0, "process_s": 103.0}
    money = {"usd": 1.0, "predicted_usd": 1.1, "billed_usd": 1.004, "others": 0.05}
    more = {"steps": 1.1, "memory": 0.9, "known_s": 50.0}
    return script("predicted_vs_actual").Compared(**{**fields, **money, **more, **changes})


def test_what_was_predicted_is_compared(script: Any) -> None:
    found = compared(script)
    assert found.error == pytest.approx(0.1)
    assert found.rest_error == pytest.approx(0.2)
    assert found.within
    assert found.alone
    assert found.to_the_cent
    assert not compared(script, actual_s=121.0).within
    assert not compared(script, others=0.5).alone
    assert not compared(script, billed_usd=1.02).to_the_cent


def test_a_curve_that_is_not_the_same_is_told(script: Any) -> None:
    truth = {"losses": [3.0, 2.0, 1.0], "evaluations": [], "last": "step-3", "arrays": "a"}
    assert script("kill").faults(truth, truth) == []
    assert "from step 2 on, 3 of 3 steps" in script("kill").faults({**truth, "losses": [3.0, 2.5, 1.0]}, truth)
    assert "arrays" in script("kill").faults({**truth, "arrays": "b"}, truth)


# --- to the end


@pytest.mark.slow
def test_a_run_is_made_once_compared_and_killed(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    only = ("--work", str(tmp_path), "--backend", "jax", "--small", "--only", "text-classifier")
    first = run("train.py", *only)
    row = json.loads((tmp_path / "training_small.jsonl").read_text())
    assert row["result"]["status"]["state"] == "finished"
    assert row["prediction"]["made_at"] < row["result"]["status"]["updated_at"]
    assert "text-classifier on jax: {" in first
    again = run("train.py", *only)
    assert "text-classifier on jax: {" not in again
    assert first.endswith(again)
    assert "| yes |" in run("predicted_vs_actual.py", *only, "--show")
    killed = run("kill.py", "--work", str(tmp_path), "--backend", "jax", "--count", "2").splitlines()
    assert [line.split(" | ")[1] for line in killed if line.startswith("| jax")] == ["2"]
    assert all(kill["wrong"] == [] for kill in map(json.loads, (tmp_path / "kill.jsonl").read_text().splitlines()))
