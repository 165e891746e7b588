"""A ``.keras`` file: its configuration and nothing else; whatever would run or load more is refused, and not run."""

from __future__ import annotations

import base64
import json
import marshal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from zenplan.commands.shared.counting import keras_model
from zenplan.errors import InputFileError
from zenplan.worker.counting import keras_file
from zenplan.worker.counting.keras_file import read_keras_config

DENSE = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"name": "dense", "units": 2},
    "registered_name": None,
}


def model(*layers: Any, **more: Any) -> dict[str, Any]:
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "net", "layers": [*layers]}, **more}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """The path of a file with that configuration, and those members besides."""

    def save(config: Any, **members: bytes) -> str:
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            text = config if isinstance(config, bytes) else json.dumps(config).encode()
            archive.writestr("config.json", text)
            for name, content in members.items():
                archive.writestr(name, content)
        return str(path)

    return save


def refused(path: str) -> str:
    with pytest.raises(InputFileError) as caught:
        read_keras_config(path)
    assert caught.value.hint
    return caught.value.message


def test_the_configuration_is_read_and_how_it_was_compiled_is_not(saved: Callable[..., str]) -> None:
    inner = model(DENSE, compile_config={"loss": "mse"})
    own_loss = {"class_name": "Mine", "module": "my_losses", "config": {}}
    assert read_keras_config(saved(model(inner, compile_config={"loss": own_loss}))) == model(model(DENSE))


def test_weights_are_never_opened(saved: Callable[..., str]) -> None:
    path = saved(model(DENSE), **{"model.weights.h5": b"not HDF5 at all", "assets/words.txt": b"\xff"})
    assert read_keras_config(path) == model(DENSE)


@pytest.mark.parametrize(
    "module",
    [
        "keras",
        "keras.layers",
        "keras.src.models.functional",
        "keras.src.ops.numpy",
        "keras.src.applications.convnext",
        "keras.initializers",
        "keras.src.layers.core.dense",
    ],
)
def test_modules_of_models_are_let_pass(module: str, saved: Callable[..., str]) -> None:
    name = "Functional" if "models" in module else "LayerScale" if "applications" in module else "Thing"
    config = model({"module": module, "class_name": name, "config": {"name": "x"}})
    assert read_keras_config(saved(config)) == config


@pytest.mark.parametrize(
    "module",
    [
        "os",
        "builtins",
        "subprocess",
        "layers",
        "kerasevil.layers",
        "keras.utils",
        "keras.config",
        "keras.saving",
        "keras.src.saving",
        "keras.models",
        "keras.applications",
        "keras.layersx",
        "keras..layers",
        "",
        "tensorflow",
        "keras.src",
        "keras.src.utils.file_utils",
        None,
        4,
    ],
)
def test_other_modules_are_refused(module: Any, saved: Callable[..., str]) -> None:
    layer = {"module": module, "class_name": "system", "config": {"name": "bad"}, "registered_name": None}
    message = refused(saved(model(DENSE, {"module": "keras.layers", "class_name": "Wrap", "config": {"layer": layer}})))
    assert "layer 'bad': system" in message
    assert "refused" in message


@pytest.mark.parametrize(
    "node", [{"class_name": "ResNet50", "config": {"name": "bad"}}, {"class_name": "function", "config": "ResNet50"}]
)
def test_what_would_download_a_model_is_refused(node: dict[str, Any], saved: Callable[..., str]) -> None:
    layer = {"module": "keras.src.applications.resnet", **node, "registered_name": None}
    assert "keras.src.applications.resnet" in refused(saved(model(DENSE, layer)))


@pytest.mark.parametrize("name", ["utils.get_file", "a b", "__import__('os')", "", "x-y"])
@pytest.mark.parametrize("kind", ["class", "function"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, kind: str, saved: Callable[..., str]) -> None:
    own = {"class_name": name, "config": {}} if kind == "class" else {"class_name": "function", "config": name}
    assert "refused" in refused(saved(model({"module": "keras", **own})))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("Lambda", "runs code"),
        ("TFSMLayer", "loads another file"),
        ("TorchModuleWrapper", "unpickles"),
        ("JaxLayer", "runs code"),
        ("FlaxLayer", "runs code"),
    ],
)
def test_layers_that_carry_code_are_refused_by_name(kind: str, why: str, saved: Callable[..., str]) -> None:
    layer = {"module": "keras.layers", "class_name": kind, "config": {"name": "trap"}, "registered_name": None}
    message = refused(saved(model(DENSE, model(layer))))
    assert "layer 'trap'" in message
    assert why in message


def test_marshalled_code_is_not_run(saved: Callable[..., str], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    code = compile(f"open({str(mark)!r}, 'w')", "<lambda>", "eval")
    value = base64.b64encode(marshal.dumps(code)).decode()
    node = {"class_name": "__lambda__", "config": {"value": value, "defaults": None, "closure": None}}
    assert "is code in the file" in refused(saved(model({**DENSE, "config": {"activation": node}})))
    assert not mark.exists()


def test_classes_of_others_are_refused(saved: Callable[..., str]) -> None:
    custom = {"module": None, "class_name": "Mine", "config": {"name": "m"}, "registered_name": "pack>Mine"}
    assert "layer 'm': Mine is a class of others, pack>Mine" in refused(saved(model(custom)))
    assert "class of others" in refused(saved(model({**custom, "registered_name": "Mine"})))
    assert "class of others" in refused(saved(model({**DENSE, "registered_name": "pack>Dense"})))


def test_a_vocabulary_in_another_file_is_refused(saved: Callable[..., str]) -> None:
    layer = {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "config": {"name": "v", "vocabulary": "/etc/passwd"},
    }
    assert "reads its vocabulary from a file" in refused(saved(model(layer)))
    layer["config"] = {"name": "v", "vocabulary": ["a", "b"]}
    assert read_keras_config(saved(model(layer)))


@pytest.mark.parametrize("name", ["../evil.py", "/etc/cron.d/x", "a/../../b", "..\\evil", "C:\\x", "\\\\host\\x"])
def test_members_outside_of_the_archive_are_refused(name: str, saved: Callable[..., str], tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    assert "outside of itself" in refused(saved(model(DENSE), **{name: b"x"}))
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "model.keras"}


def test_a_bomb_is_unpacked_only_up_to_the_limit(saved: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_file, "_MOST_CONFIG_BYTES", 100_000)
    path = saved(b" " * 50_000_000)
    assert Path(path).stat().st_size < 100_000
    assert "more than 100 kB" in refused(path)


def test_a_bomb_that_lies_about_its_size_is_found_out(saved: Callable[..., str]) -> None:
    path = Path(saved(b"{}" + b" " * 1_000_000))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 2)
    path.write_bytes(content)
    assert "is no .keras file" in refused(str(path)) or "describes no model" in refused(str(path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x89HDF\r\n\x1a\n" * 10])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    assert "is no .keras file" in refused(str(path))


def test_an_archive_cut_off_or_spoilt_is_refused(saved: Callable[..., str]) -> None:
    path = Path(saved(model(*[DENSE] * 500)))
    whole = path.read_bytes()
    for size in (10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert "no .keras file" in refused(str(path))
    path.write_bytes(whole[:60] + bytes(40) + whole[100:])
    assert "no .keras file" in refused(str(path))


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (b"{", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[" * 200_000, "cannot be read"),
        (b"[]", "describes no model"),
        (b"4", "describes no model"),
        (b'{"a": 1}', "describes no model"),
        (b'{"class_name": ' + b"9" * 5000 + b"}", "cannot be read"),
        (b'{"class_name": "Sequential", "module": "keras", "config": ' + b"[" * 300 + b"]" * 300 + b"}", "deeper"),
    ],
    ids=["cut", "binary", "deep", "list", "number", "none", "long number", "nested"],
)
def test_a_configuration_that_is_none_is_refused(config: bytes, why: str, saved: Callable[..., str]) -> None:
    assert why in refused(saved(config))


def test_an_archive_without_one_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"")
    assert "has no config.json" in refused(str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", b"{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("config.json", b"{}")
    assert "has 2 config.json" in refused(str(path))


def test_no_file_and_no_regular_file_are_said_so(tmp_path: Path) -> None:
    """Already where it is asked for; what is in it is read in the worker alone."""
    (tmp_path / "folder.keras").mkdir()
    for name, said in (("none", "does not exist"), ("folder", "is a directory")):
        with pytest.raises(InputFileError, match=said) as caught:
            keras_model(str(tmp_path / f"{name}.keras"))
        assert caught.value.hint


_PEAK = """
import resource, sys
from zenplan.commands.shared.counting import count_keras
from zenplan.errors import UsageError
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
try:
    count_keras(sys.argv[1])
except UsageError as error:
    print(error.message)
print(peak() - before)
"""


@pytest.mark.skipif(not find_spec("keras"), reason="Keras is not installed")
def test_a_file_that_unpacks_to_much_takes_none_of_the_parents_memory(saved: Callable[..., str]) -> None:
    """30 kB of it are 60 MB of JSON, and over a gigabyte of lists."""
    path = saved(b'{"class_name": "Sequential", "x": [' + b"[]," * 20_000_000 + b"[]]}")
    assert Path(path).stat().st_size < 100_000
    done = subprocess.run([sys.executable, "-c", _PEAK, path], capture_output=True, text=True, check=True)
    message, grown = done.stdout.splitlines()
    assert (
        message
        == f"model {path} is refused: layer without a name: Sequential is a class of others, which no module is named for"
    )
    assert int(grown) < 30e6
