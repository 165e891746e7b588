"""Models in a worker process: built without values, counted, and whatever their code does, an answer or an error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from zenplan.errors import ZenplanError

Count = Callable[..., Any]


def failed(count: Count, target: str, **options: Any) -> ZenplanError:
    with pytest.raises(ZenplanError) as caught:
        count(target, **options)
    return caught.value


def test_a_function_is_called_and_its_model_counted(count: Count) -> None:
    counted = count("models:small")
    assert counted.name == "small"
    assert counted.parameters == counted.trainable_parameters == (4 * 3 + 3) + (3 * 2 + 2)
    assert counted.forward_flop == 2 * (4 * 3 + 3 * 2)
    # The first layer has no gradient of its input.
    assert counted.training_flop == 2 * 2 * 4 * 3 + 3 * 2 * 3 * 2
    assert [layer.path for layer in counted.layers] == [("a",), ("b",)]


def test_a_model_that_has_a_name_is_taken_as_it_is(count: Count) -> None:
    assert count("models:made").parameters == 23


def test_what_it_prints_does_not_come_in_between(count: Count, capfd: pytest.CaptureFixture[str]) -> None:
    assert count("models:loud").parameters == 23
    assert capfd.readouterr() == ("", "")


def test_stdin_is_empty(count: Count) -> None:
    assert count("models:reads").parameters == 23


def test_a_model_of_100_gb_takes_no_memory(count: Count) -> None:
    counted = count("models:huge", memory_bytes=3e9)
    assert counted.parameters == 100_000 * 250_000 + 250_000
    assert counted.forward_flop == 2 * 100_000 * 250_000


def test_weights_are_neither_downloaded_nor_loaded(count: Count) -> None:
    """keras.applications downloads ImageNet's by default; a builder of the user's loads a file of its own."""
    assert count("keras.applications:MobileNetV2", time_s=60).parameters == 3_538_984
    assert count("models:loads").parameters == 23


def test_a_builder_that_needs_values_gets_them(count: Count) -> None:
    assert count("models:real_values").parameters == 2 + 2 * 2 + 2


def test_a_nested_and_shared_model(count: Count) -> None:
    counted = count("models:nested")
    assert counted.parameters == 2 * (8 * 8 + 8)
    assert counted.forward_flop == 2 * 2 * 2 * 8 * 8
    assert {layer.path[:1] for layer in counted.layers} == {("inside",)}


def test_a_model_that_was_never_built_asks_for_its_shape(count: Count) -> None:
    error = failed(count, "models:Subclassed")
    assert "no input shape" in error.message
    assert "--input-shape" in error.hint
    assert error.exit_code == 2
    assert count("models:Subclassed", input_shapes=[[5]]).parameters == 5 * 2 + 2


def test_an_open_shape_is_asked_for_too(count: Count) -> None:
    error = failed(count, "models:open_shape")
    assert error.message == "model open: the shape of input 'picture' is open"
    assert count("models:open_shape", input_shapes=[[34, 18, 3]]).forward_flop == 2 * 32 * 16 * 27 * 8


def test_its_home_is_its_own_and_gone_afterwards(count: Count, folder: Path) -> None:
    count("models:home")
    home = Path((folder / "home").read_text(encoding="utf-8"))
    assert home.name.startswith("zenplan-")
    assert not home.exists()


@pytest.mark.parametrize(
    ("target", "message", "code"),
    [
        ("models:raises", "building models:raises raised RuntimeError: no weights (models.py:", 1),
        ("models:exits", "models:exits called sys.exit(bye) while building it (models.py:", 1),
        ("models:ends", "models:ends ended the worker (os._exit, code 7) while building it", 1),
        ("models:crashes", "models:crashes was killed by SIGSEGV while building it", 1),
        ("cut:build", "module cut does not import: SyntaxError: invalid syntax (cut.py:1)", 2),
        ("lacks:build", "module lacks does not import: ModuleNotFoundError: No module named 'not_there_at_all' (", 2),
        ("divides:build", "module divides does not import: ZeroDivisionError: division by zero (divides.py:1)", 2),
        ("nowhere.at_all:build", "there is no module nowhere", 2),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value and " " not in value else "",
)
def test_what_goes_wrong_is_one_line(target: str, message: str, code: int, count: Count) -> None:
    error = failed(count, target)
    assert error.message.startswith(message)
    assert error.hint
    assert error.exit_code == code


_LOAD = """
import json, os, sys
from zenplan.worker.counting.load import imported_model
from zenplan.worker.protocol import Events
for target in sys.argv[1:]:
    with Events(1) as events:
        imported_model(target, events)
"""


def test_what_is_no_model_is_an_error_event(count: Count, folder: Path) -> None:
    """Several in one process: what the parent is told of each."""
    targets = {
        "models:none": "models:none returned None, no Keras model",
        "models:number": "models:number is a value of type int, no Keras model",
        "models:asks": "models:asks takes arguments",
        "models:not_there": "module models has no 'not_there'",
        "models.small.deeper:x": "No module named 'models.small'; 'models' is not a package",
        "divides:build": "division by zero",
        "models:calls": "inside of a call",
        "models:raises_inside": "Received an invalid value for `units`",
    }
    environ = {**os.environ, "KERAS_BACKEND": backend_here(), "KERAS_HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, *targets], cwd=folder, env=environ, check=True, capture_output=True, text=True
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    last = [event for event in events if event["event"] != "stage"]
    assert len(last) == len(targets)
    for event, text in zip(last, targets.values(), strict=True):
        assert event.get("message", event.get("text", "")).startswith(text)
    assert [event.get("exit_code") for event in last] == [2, 2, 2, 2, None, None, None, None]
    assert last[-1]["inside"] is True
    assert last[-3]["place"] == "divides.py:1"


def test_the_last_words_are_the_hint(count: Count) -> None:
    assert failed(count, "models:ends").hint == "its last words: last words"


def test_time_is_up_for_all_that_it_started(count: Count, folder: Path, lives: Callable[[int], bool]) -> None:
    start = time.monotonic()
    error = failed(count, "models:sleeps", time_s=6.0)
    assert error.message == "models:sleeps takes longer than 6.00 s, and was still building it"
    assert "--timeout" in error.hint
    assert time.monotonic() - start < 20
    assert not lives(int((folder / "child").read_text(encoding="utf-8")))


def test_memory_is_up(count: Count) -> None:
    error = failed(count, "models:eats", memory_bytes=1.5e9)
    assert error.message == "models:eats takes more than 1.50 GB of memory while building it"
    assert "--memory" in error.hint


def test_what_it_does_is_told(count: Count) -> None:
    told: list[tuple[str, float]] = []
    count("models:small", tell=lambda stage, seconds: told.append((stage, seconds)))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == [s for s in ("start", "import", "build", "count") if s in stages]
    assert stages
    assert [s for _, s in told] == sorted(s for _, s in told)


def test_it_ends_when_its_parent_is_gone(count: Count, folder: Path, lives: Callable[[int], bool]) -> None:
    program = "from zenplan.commands.shared.counting import count_keras; count_keras('workers:build')"
    text = "import os, time\ndef build():\n    open('pid', 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    (folder / "workers.py").write_text(text, encoding="utf-8")
    # What is killed cannot clean up: its home is left in here.
    environ = {**os.environ, "TMPDIR": str(folder)}
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=folder, env=environ)
    pid = folder / "pid"
    try:
        wait_for(lambda: pid.exists() and pid.read_text(encoding="utf-8") != "")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(lambda: not lives(int(pid.read_text(encoding="utf-8"))))


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
def test_every_backend_counts_the_same(backend: str, count: Count) -> None:
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    counted = count("models:nested", backend)
    assert counted.backend == backend
    assert (counted.parameters, counted.forward_flop, counted.training_flop) == (144, 512, 1408)


# --- .keras files that Keras wrote

_SAVE = """
import keras
x = keras.Input((32, 32, 3))
y = keras.layers.Conv2D(4, 3, activation="swish", kernel_regularizer="l2", name="conv")(x)
y = keras.ops.relu(y) + 1
y = keras.layers.BatchNormalization(name="norm")(y)
model = keras.Model(x, keras.layers.Dense(2, name="head")(keras.layers.Flatten()(y)), name="saved")
model.compile("adam", "mse")
model.save("model.keras")
keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x)]).save("lambda.keras")
"""


def test_what_keras_saves_is_counted_without_its_weights(count: Count, folder: Path) -> None:
    environ = {
        **os.environ,
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", backend_here()),
        "KERAS_HOME": str(folder),
    }
    subprocess.run([sys.executable, "-c", _SAVE], cwd=folder, env=environ, check=True, capture_output=True)
    counted = count("model.keras")
    conv, head = 3 * 9 * 4 + 4, 30 * 30 * 4 * 2 + 2
    assert counted.parameters == conv + 4 * 4 + head
    assert counted.forward_flop == 2 * 30 * 30 * 27 * 4 + 2 * 30 * 30 * 4 * 2
    assert "Lambda runs code" in failed(count, "lambda.keras").message


def backend_here() -> str:
    return next(b for b in ("jax", "torch", "tensorflow") if find_spec(b))


def test_a_file_does_not_run_what_lies_beside_it(count: Count, folder: Path) -> None:
    """The current folder is on the path of modules for a function, not for a file."""
    import zipfile

    for name in ("keras", "json", "numpy", "zenplan", "sitecustomize"):
        (folder / f"{name}.py").write_text("open('ran', 'w')", encoding="utf-8")
    dense = {
        "module": "keras.layers",
        "class_name": "Dense",
        "registered_name": None,
        "config": {"name": "d", "units": 3},
        "build_config": {"input_shape": [None, 7]},
    }
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {"name": "net", "layers": [dense]},
        "build_config": {"input_shape": [None, 7]},
    }
    with zipfile.ZipFile("net.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    assert count("net.keras").parameters == 7 * 3 + 3
    assert not (folder / "ran").exists()
