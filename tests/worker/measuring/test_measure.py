"""Models stepped in worker processes: what is measured, in which order, and what becomes of those that fail.

There is no GPU here: its lack of memory is told by models that raise what the frameworks raise.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from zenplan import documents
from zenplan.adapters.workers.process import Limits, measuring_environment, run_job
from zenplan.domain.measured.calibration import Sample
from zenplan.domain.model.count import ModelCount
from zenplan.errors import UsageError, ZenplanError
from zenplan.worker.protocol import Done, Target, WantedPoint
from zenplan.worker.protocol import Measure as Job

INSTALLED = [b for b in ("jax", "torch", "tensorflow") if find_spec("keras") and find_spec(b)]

pytestmark = pytest.mark.skipif(not INSTALLED, reason="Keras and a backend are not installed")

MODELS = """
import json, os
import keras
from keras import layers, ops

def small(width=4, depth=1):
    hidden = [layers.Dense(width, name=f"d{i}") for i in range(depth)]
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3, name="out")], name="small")

instance = small()

def tell(**found):
    # What a test looks at; the process's own prints go nowhere.
    with open("told", "a") as file:
        file.write(json.dumps(found) + "\\n")

def told(model, **more):
    # Steps as it does, and tells what it is trained with.
    step = model.train_on_batch
    def watched(x, y):
        flat = keras.tree.flatten(x)
        loss = keras.tree.flatten(model.loss)[0] if model.loss is not None else None
        tell(inputs=[[list(t.shape), keras.backend.standardize_dtype(t.dtype)] for t in flat],
             highest=[int(ops.max(t)) for t in flat],
             targets=[[list(t.shape), keras.backend.standardize_dtype(t.dtype)] for t in keras.tree.flatten(y)],
             loss=type(loss).__name__, logits=getattr(loss, "_fn_kwargs", {}).get("from_logits"),
             optimizer=type(model.optimizer).__name__, policy=model.layers[-1].compute_dtype,
             jit=model.jit_compile, **more)
        return step(x, y)
    model.train_on_batch = watched
    return model

def drawn():
    # What weights and other values are drawn as, and which functions a step would draw with.
    shape, found = (300, 200), {}
    for name in ("random_uniform", "random_normal", "truncated_normal", "glorot_uniform", "he_normal", "orthogonal"):
        value = keras.initializers.get(name)(shape)
        more = keras.initializers.get(name)(shape)
        flat = ops.convert_to_numpy(value)
        found[name] = [list(flat.shape), str(flat.dtype), float(flat.mean()), float(flat.std()), float(abs(flat).max()),
                       bool((flat == ops.convert_to_numpy(more)).all())]
    found["scalar"] = float(keras.random.truncated_normal(()))
    found["range"] = float(ops.min(keras.random.uniform((1000,), 3.0, 4.0)))
    model = small()
    tell(draws=found)
    return model

def classes():
    x = keras.Input((5,), dtype="int32")
    h = layers.Embedding(7, 4)(x) + layers.Embedding(11, 4)(x)
    return told(keras.Model(x, layers.Dense(6)(h)))

def softmax():
    inside = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Softmax()])
    x = keras.Input((4,))
    return told(keras.Model(x, inside(x)))

def numbers():
    a, b = keras.Input((4,), name="a"), keras.Input((2, 2), dtype="uint8", name="b")
    h = layers.Dense(1)(layers.Concatenate()([a, layers.Flatten()(ops.cast(b, "float32"))]))
    return told(keras.Model({"a": a, "b": b}, {"one": h, "two": layers.Dense(3)(h)}))

def own():
    model = small()
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", metrics=["mae"], jit_compile=False)
    return told(model)

def sparse():
    model = small()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return told(model)

def refuses(y_true, y_pred):
    raise ValueError("only real targets will do")

def picky():
    model = small()
    model.compile("adam", refuses)
    return model

class Bare(keras.Model):
    def call(self, x):
        return x

class Two(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)
        self(keras.Input((4,)), keras.Input((4,)))
    def call(self, a, b):
        return self.dense(a + b)

def words():
    x = keras.Input((1,), dtype="string")
    return keras.Model(x, x)

def bf16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    return told(small())

class OutOfMemoryError(RuntimeError):
    pass

KINDS = {"torch": OutOfMemoryError("CUDA out of memory."), "jax": RuntimeError("RESOURCE_EXHAUSTED: Out of memory"),
         "host": MemoryError(), "other": RuntimeError("no kernel image")}

def short(kind, after=0):
    model, step, count = small(), None, 0
    step = model.train_on_batch
    def fails(x, y):
        nonlocal count
        count += 1
        if count > after:
            raise KINDS[kind]
        return step(x, y)
    model.train_on_batch = fails
    return model

def unbuilt_short():
    raise MemoryError("no room for the weights")

def large():
    x = keras.Input((1000,))
    return keras.Model(x, layers.Dense(2)(layers.Dense(20_000)(x)))

def huge():
    return keras.Sequential([keras.Input((100_000,)), layers.Dense(250_000)], name="huge")

def threads():
    tell(cores=len(os.sched_getaffinity(0)), omp=os.environ["OMP_NUM_THREADS"])
    return small()
"""

Measure = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def measure(folder: Path) -> Measure:
    """Runs a job of points in a worker, and returns the events that come before its end."""
    (folder / "steps.py").write_text(MODELS, encoding="utf-8")

    def run(*points: WantedPoint, backend: str = INSTALLED[0], **fields: Any) -> list[dict[str, Any]]:
        rounds = {"least": 2, "most": 2, "seconds": 60.0, **fields.pop("rounds", {})}
        usual = {"what": "it", "precision": "fp32", "threads": 1, "device": "cpu", "points": points, "rounds": rounds}
        job = documents.convert(documents.plain({**usual, **fields, "job": "measure"}), Job, "the job")
        heard: list[dict[str, Any]] = []
        environment = measuring_environment(job.device, 1, os.environ)
        hear = lambda event: heard.append(documents.plain(event))  # noqa: E731 - a line
        last = run_job(job, backend, Limits(), lambda stage, seconds: None, hear, environment)
        assert isinstance(last, Done)
        return heard

    return run


def point(name: str, key: str = "", role: str = "step", batch: int = 2, **arguments: Any) -> WantedPoint:
    model = Target(target=f"steps:{name}", arguments=arguments)
    return WantedPoint(key=key or name, role=role, batch=batch, model=model)


def names(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["event"], event.get("key", "")) for event in events]


def told(folder: Path) -> list[dict[str, Any]]:
    """What the models told of their first steps, in order."""
    lines = [json.loads(line) for line in (folder / "told").read_text(encoding="utf-8").splitlines()]
    return [line for i, line in enumerate(lines) if line not in lines[:i]]


@pytest.mark.parametrize("backend", INSTALLED)
def test_all_points_take_their_turn_in_each_round(measure: Measure, backend: str) -> None:
    events = measure(
        point("small", "one", role="operator"), point("small", "two", depth=2, width=8), count=True, backend=backend
    )
    of_point = [("count", "one"), ("built", "one"), ("peak", "one")]
    of_other = [("count", "two"), ("built", "two"), ("peak", "two")]
    taken = [("sample", "one"), ("sample", "two")]
    assert names(events) == [("machine", ""), *of_point, *of_other, *taken, *taken]
    assert [e["round"] for e in events if e["event"] == "sample"] == [0, 0, 1, 1]
    machine, count, built = events[0], events[4], events[5]
    assert (machine["kind"], machine["threads"], machine["compiled"]) == ("cpu", 1, backend == "jax")
    assert set(machine["versions"]) == {"keras", backend, "python"}
    assert machine["device"]
    assert documents.convert(count["count"], ModelCount, "the count").parameters == (4 * 8 + 8) + (8 * 8 + 8) + (
        8 * 3 + 3
    )
    assert built["setup_s"] > built["compile_s"] > 0
    assert (built["program_bytes"] or 0) > 0 if backend == "jax" else built["program_bytes"] is None
    # The others' memory is in the process too.
    assert [e["bytes"] for e in events if e["event"] == "peak"] == [None, None]
    for event in events[-4:]:
        assert Sample(round=event["round"], wall_s=event["wall_s"], cpu_s=event["cpu_s"]).cpu_s > 0


def test_rounds_end_with_the_time_or_their_number(measure: Measure) -> None:
    hurried = measure(point("small"), rounds={"least": 2, "most": 5, "seconds": 0.0})
    assert [e["round"] for e in hurried if e["event"] == "sample"] == [0, 1]
    patient = measure(point("small"), rounds={"least": 2, "most": 5})
    assert [e["round"] for e in patient if e["event"] == "sample"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("backend", INSTALLED)
def test_in_turn_each_is_done_before_the_next_and_has_its_peak(measure: Measure, backend: str) -> None:
    events = measure(point("large"), point("small"), in_turn=True, backend=backend)
    of_each = ["built", "peak", "sample", "sample"]
    assert names(events)[1:] == [(name, key) for key in ("large", "small") for name in of_each]
    large, small = (e for e in events if e["event"] == "peak")
    if not os.access("/proc/self/clear_refs", os.W_OK):
        assert large["bytes"] is None
        return
    # Weights, gradients and two moments of the optimizer: 16 bytes a parameter; frameworks may hold a copy or two.
    weights = 20_000 * (1000 + 1 + 2) * 4
    assert 2.9 * weights < large["bytes"] < 8 * weights
    assert large["how"] == "resident set"
    assert (small["bytes"] or 0) < weights
    assert backend != "tensorflow" or small["bytes"] is None, "it has what the large one left"


def test_a_program_is_compiled_without_memory_where_jax_does_it(measure: Measure) -> None:
    points = [point("huge", role="program", batch=1), point("own", role="program"), point("small")]
    events = measure(*points, count=True)
    first = [event for event in events if event.get("key") == "huge"]
    if INSTALLED[0] != "jax":
        assert [(e["event"], e.get("reason")) for e in first] == [
            ("failed", "only jax tells what a compiled program moves")
        ]
        return
    assert names(first) == [("count", "huge"), ("built", "huge")]
    # 25 billion weights with two moments are read and written: 24 bytes each.
    assert 24 * 25e9 < first[1]["program_bytes"] < 60 * 25e9
    by_key = {e["key"]: e["program_bytes"] for e in events if e["event"] == "built"}
    assert 0 < by_key["own"] < by_key["small"]


@pytest.mark.skipif("torch" not in INSTALLED and "tensorflow" not in INSTALLED, reason="jax has programs")
def test_a_program_fails_elsewhere_and_the_others_go_on(measure: Measure) -> None:
    other = next(b for b in INSTALLED if b != "jax")
    events = measure(point("small", "p", role="program"), point("small"), backend=other)
    assert names(events)[:3] == [("machine", ""), ("failed", "p"), ("built", "small")]
    assert len([e for e in events if e["event"] == "sample"]) == 2


@pytest.mark.parametrize("backend", INSTALLED)
@pytest.mark.slow
def test_inputs_and_targets_are_what_the_model_asks_for(measure: Measure, folder: Path, backend: str) -> None:
    measure(*(point(name) for name in ("classes", "softmax", "numbers", "own", "sparse")), backend=backend)
    classes, softmax, numbers, own, sparse = told(folder)
    assert classes["inputs"] == [[[2, 5], "int32"]]
    assert classes["highest"][0] < 7
    assert (classes["targets"], classes["loss"]) == ([[[2, 5], "int32"]], "SparseCategoricalCrossentropy")
    assert (classes["logits"], softmax["logits"]) == (True, False)
    assert (classes["optimizer"], classes["jit"]) == ("AdamW", backend == "jax")
    assert numbers["inputs"] == [[[2, 4], "float32"], [[2, 2, 2], "uint8"]]
    assert numbers["targets"] == [[[2, 1], "float32"], [[2], "int32"]]
    assert numbers["loss"] == "MeanSquaredError"
    # Its own optimizer, loss and compiler stay.
    assert (own["optimizer"], own["jit"], own["targets"]) == ("SGD", False, [[[2, 3], "float32"]])
    assert (sparse["optimizer"], sparse["targets"]) == ("Adam", [[[2], "int32"]])


@pytest.mark.parametrize("backend", INSTALLED)
def test_weights_are_drawn_from_the_distributions_that_were_asked_for(
    measure: Measure, folder: Path, backend: str
) -> None:
    """Whoever draws them, with jax numpy in place of a program for each shape."""
    measure(point("drawn"), rounds={"least": 1, "most": 1}, backend=backend)
    draws = told(folder)[0]["draws"]
    glorot = math.sqrt(6 / 500)
    expected = {
        "random_uniform": (0.05 / math.sqrt(3), 0.05),
        "random_normal": (0.05, 0.3),
        # Cut off at two standard deviations.
        "truncated_normal": (0.05 * 0.8796, 0.1),
        "glorot_uniform": (glorot / math.sqrt(3), glorot),
        "he_normal": (math.sqrt(2 / 300), 2 * math.sqrt(2 / 300) / 0.8796),
        "orthogonal": (1 / math.sqrt(300), 0.4),
    }
    for name, (std, most) in expected.items():
        shape, dtype, mean, found, largest, same = draws[name]
        assert (shape, dtype, same) == ([300, 200], "float32", False), name
        assert abs(mean) < 0.02 * std + 1e-3, name
        assert found == pytest.approx(std, rel=0.03), name
        # Another backend may draw in its own way.
        assert backend != "jax" or largest <= most * 1.001, name
    assert abs(draws["scalar"]) <= 2.0
    assert 3.0 <= draws["range"] <= 3.1


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "float32"), ("bf16", "bfloat16")])
def test_the_precision_is_kerass_policy(measure: Measure, folder: Path, precision: str, dtype: str) -> None:
    # One that sets its own keeps it, and the next has the one asked for again.
    measure(point("bf16"), point("sparse"), precision=precision, rounds={"least": 1, "most": 1})
    assert [line["policy"] for line in told(folder)] == ["bfloat16", dtype]


@pytest.mark.parametrize("backend", [b for b in INSTALLED if b != "torch"])
@pytest.mark.slow
def test_the_compiler_is_as_asked_for(measure: Measure, folder: Path, backend: str) -> None:
    once = {"least": 1, "most": 1}
    events = measure(point("own"), compiled=True, rounds=once, backend=backend)
    assert events[0]["compiled"] is True
    assert [line["jit"] for line in told(folder)] == [True]
    events = measure(point("classes"), compiled=False, rounds=once, backend=backend)
    assert events[0]["compiled"] is False
    assert events[1]["program_bytes"] is None


SAVED = """
import json, sys, keras
from zenplan.worker.protocol import Events, File
from zenplan.worker.measuring.ready import built_model

def config(policy):
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.save("model.keras")

def built(policy):
    config(policy)
    return built_model(File(path="model.keras"), "bf16", Events(1)).layers[-1].dtype_policy.name

found = [built(policy) for policy in ("float32", "mixed_float16", "float64")]
print()
print(json.dumps(found))
"""


def test_a_saved_model_takes_the_precision_unless_it_has_one(tmp_path: Path) -> None:
    environment = {**os.environ, "KERAS_BACKEND": INSTALLED[0]}
    done = subprocess.run(
        [sys.executable, "-c", SAVED], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == ["mixed_bfloat16", "mixed_float16", "float64"]


@pytest.mark.parametrize(
    ("kind", "after"), [("torch", 0), ("jax", 1), ("host", 3)], ids=["first step", "warm-up", "second round"]
)
def test_a_lack_of_memory_is_that_points_and_the_others_go_on(measure: Measure, kind: str, after: int) -> None:
    points = [point("short", kind=kind, after=after), point("small")]
    events = measure(*points, rounds={"least": 3, "most": 3})
    failed = [e for e in events if e["event"] == "failed"]
    assert [(e["key"], e["reason"], e["kind"]) for e in failed] == [("short", "out of memory", "out_of_memory")]
    names_of = {"torch": "OutOfMemoryError", "jax": "RuntimeError", "host": "MemoryError"}
    assert failed[0]["type"] == names_of[kind]
    sampled = [e["key"] for e in events if e["event"] == "sample"]
    assert (sampled.count("short"), sampled.count("small")) == (max(0, after - 2), 3)


def test_the_machine_is_told_before_a_model_that_does_not_fit(measure: Measure) -> None:
    events = measure(point("unbuilt_short"), point("small"), in_turn=True)
    assert names(events)[:3] == [("machine", ""), ("failed", "unbuilt_short"), ("built", "small")]
    assert events[0]["compiled"] is (INSTALLED[0] == "jax")


def test_any_other_exception_ends_the_job(measure: Measure) -> None:
    with pytest.raises(ZenplanError, match=r"a training step of it with \w+ raised RuntimeError: no kernel"):
        measure(point("short", kind="other", after=1))


@pytest.mark.parametrize(
    ("points", "message", "hint"),
    [
        ([point("picky")], "fails on made-up targets: ValueError: only real targets", "leave the model uncompiled"),
        ([point("Bare")], "no input shape", "give the model an Input"),
        ([point("Two")], "takes its inputs as several arguments", "training gives a model one"),
        ([point("words")], "an input of type string cannot be made up", "numbers"),
        ([point("instance", width=8)], "steps:instance is a model, and takes no arguments", "name the function"),
        ([point("small", wide=8)], "steps:small cannot be called with wide: got an unexpected", "it is small(width"),
        ([point("short")], "steps:short takes arguments", "write a function"),
        ([point("instance", "a"), point("instance", "b")], "is one model for several points", "builds a new one"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_cannot_be_trained_is_one_line(
    measure: Measure, points: list[WantedPoint], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        measure(*points)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_precision_that_keras_has_not_is_refused(measure: Measure) -> None:
    with pytest.raises(UsageError, match="Keras does not train in fp8"):
        measure(point("small"), precision="fp8")


@pytest.mark.parametrize("backend", INSTALLED)
def test_no_gpu_is_an_error_of_one_line(measure: Measure, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UsageError, match=f"{backend} sees no GPU"):
        measure(point("small"), device="gpu", backend=backend)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no processor affinity")
def test_it_is_confined_to_its_threads(measure: Measure, folder: Path) -> None:
    measure(point("threads"), rounds={"least": 1, "most": 1})
    assert told(folder) == [{"cores": 1, "omp": "1"}]
