"""Models that are counted in worker processes. Keras is imported in none of the tests' own process."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

INSTALLED = [b for b in ("jax", "torch", "tensorflow") if find_spec("keras") and find_spec(b)]

MODELS = """
import ctypes, os, subprocess, sys, time
import keras
from keras import layers

def small():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a"), layers.Dense(2, name="b")], name="small")

def nested():
    inside = keras.Sequential([keras.Input((8,)), layers.Dense(8, name="in1"), layers.Dense(8, name="in2")], name="inside")
    x = keras.Input((8,))
    return keras.Model(x, inside(inside(x)), name="nested")

def loud():
    print("{}", flush=True)
    print("on stderr", file=sys.stderr, flush=True)
    os.write(1, b"raw")
    return small()

made = small()

def huge():
    # 100 GB of weights.
    return keras.Sequential([keras.Input((100_000,)), layers.Dense(250_000)], name="huge")

def loads():
    model = small()
    model.load_weights("none.weights.h5")
    return model

def real_values():
    # A variable of an array has values from the start, which one without values cannot have.
    class Own(layers.Layer):
        def __init__(self):
            super().__init__()
            self.own = keras.Variable([1.0, 2.0], trainable=False)
        def call(self, x):
            return x * self.own
    return keras.Sequential([keras.Input((2,)), Own(), layers.Dense(2)], name="real")

class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.dense = layers.Dense(2, name="dense")
    def call(self, x):
        return self.dense(x)

def open_shape():
    x = keras.Input((None, None, 3), name="picture")
    return keras.Model(x, layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(x)), name="open")

def raises():
    raise RuntimeError("no weights\\nhere")

class Caller(layers.Layer):
    def call(self, x):
        raise ValueError("inside of a call")

def calls():
    return Caller()(keras.Input((4,)))

def raises_inside():
    return layers.Dense(-3)

def exits():
    sys.exit("bye")

def ends():
    print("last words", file=sys.stderr, flush=True)
    os._exit(7)

def crashes():
    ctypes.string_at(0)

def sleeps():
    with open("child", "w") as file:
        file.write(str(subprocess.Popen(["sleep", "600"]).pid))
    time.sleep(600)

def eats():
    kept = []
    while True:
        kept.append(b"x" * 50_000_000)

def reads():
    return small() if sys.stdin.read() == "" else None

def none():
    pass

def home():
    with open("home", "w") as file:
        file.write(os.environ["KERAS_HOME"])
    assert os.path.isdir(os.environ["KERAS_HOME"])
    return small()

def asks(width):
    return small()

number = 4
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with ``models.py`` and modules that do not import."""
    files = {"models": MODELS, "cut": "def build(:", "lacks": "import not_there_at_all", "divides": "1 / 0"}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def count(folder: Path) -> Callable[..., Any]:
    """The count of a target in that folder, with the first backend that is installed."""
    if not INSTALLED:
        pytest.skip("Keras and a backend are not installed")
    from zenplan.commands.shared.counting import count_keras

    return lambda target, backend=None, **options: count_keras(target, backend or INSTALLED[0], **options)


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no mere entry left behind."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


@pytest.fixture
def lives() -> Callable[[int], bool]:
    """Whether a process is there."""
    return alive
