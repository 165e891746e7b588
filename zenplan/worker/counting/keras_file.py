"""A ``.keras`` file: the configuration of its model, read without running or unpacking anything.

The file is a zip of ``config.json``, the weights and more; of all that, only the configuration is read, in memory.
What in it would make Keras import or run anything but its own layers is refused: lambdas, classes of others,
layers that load further files. A small file may unpack to much: the parent never reads it, the worker does, within
its limits; that the path is one of a regular file has been looked at.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from zenplan import units
from zenplan.errors import InputFileError

_HINT = "save the model with model.save('model.keras'), or count it from code: package.module:function"
# The configuration of a network of ten thousand layers has some ten megabytes; a model within a model is some ten
# levels deep.
_MOST_CONFIG_BYTES, _MOST_MEMBERS, _MOST_DEPTH = 64_000_000, 100_000, 200
_CONFIG = "config.json"
# Where Keras keeps what models are made of. The rest of it (utils, saving, config) can fetch files or lower guards.
_PARTS = (
    "keras.activations",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.layers",
    "keras.ops",
    "keras.quantizers",
    "keras.random",
    "keras.regularizers",
)
_MODELS = ("Functional", "Sequential", "Model")
# The layers of keras.applications. What else is there builds whole models, and may download their weights.
_APPLICATION_LAYERS = ("LayerScale", "StochasticDepth", "CustomScaleLayer")
# What Keras reads as plain values.
_VALUES = ("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__")
# Layers that carry code, or load a file that the configuration names.
_REFUSED = {
    "Lambda": "runs code that is in the file",
    "__lambda__": "is code in the file",
    "__typespec__": "is a type of TensorFlow",
    "TFSMLayer": "loads another file",
    "TorchModuleWrapper": "unpickles a module",
    "JaxLayer": "runs code that is in the file",
    "FlaxLayer": "runs code that is in the file",
}


def read_keras_config(path: str) -> dict[str, Any]:
    """The configuration of the model in a ``.keras`` file, for ``keras.saving.deserialize_keras_object``.

    How the model was compiled is left out: it has no part in the count.

    Raises:
        InputFileError: it is no such archive, larger than any model's, or hostile.
    """
    what = f"model {path}"
    try:
        with Path(path).open("rb") as file:
            text = _config_text(file, what)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise InputFileError(f"{what} is no .keras file: {error}", _HINT) from error
    return checked_config(text, what)


def checked_config(text: str | bytes, what: str) -> dict[str, Any]:
    """The configuration of a model in JSON, as of ``read_keras_config``. Raises InputFileError: it is none, or hostile."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputFileError(f"{what}: its {_CONFIG} cannot be read: {error}", _HINT) from error
    if not isinstance(config, dict) or "class_name" not in config:
        raise InputFileError(f"{what}: its {_CONFIG} describes no model", _HINT)
    for node in _nodes(config, what):
        if reason := _refusal(node):
            raise InputFileError(
                f"{what} is refused: {reason}", "count it from code you trust: package.module:function"
            )
        node.pop("compile_config", None)
    return config


def _config_text(file: Any, what: str) -> bytes:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise InputFileError(f"{what} has {len(members):,} members", _HINT)
        for member in members:
            # ``orig_filename`` is as written; ZipInfo cleans ``filename`` up.
            _safe_name(member.orig_filename, what)
        configs = [m for m in members if m.filename == _CONFIG]
        if len(configs) != 1:
            raise InputFileError(f"{what} has {len(configs) or 'no'} {_CONFIG}", _HINT)
        if configs[0].flag_bits & 0x1:
            raise InputFileError(f"{what} is encrypted", _HINT)
        with archive.open(configs[0]) as member_file:
            # The size in the archive's list may be a lie: no more than the limit is unpacked.
            text = member_file.read(_MOST_CONFIG_BYTES + 1)
    if len(text) > _MOST_CONFIG_BYTES:
        raise InputFileError(
            f"{what}: its {_CONFIG} has more than {units.size(_MOST_CONFIG_BYTES)}", "no model has so large a one"
        )
    return text


def _safe_name(name: str, what: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise InputFileError(
            f"{what} is refused: the archive has a file '{name[:60]}', outside of itself", "Keras writes no such file"
        )


def _nodes(config: Any, what: str) -> Iterator[dict[str, Any]]:
    """Every dictionary in it, by a list of what is left: depth may be a trap too."""
    left = [(config, 0)]
    while left:
        each, depth = left.pop()
        if depth > _MOST_DEPTH:
            raise InputFileError(f"{what} is refused: its {_CONFIG} is nested deeper than any model", _HINT)
        if isinstance(each, dict):
            yield each
            left += [(inner, depth + 1) for inner in each.values()]
        elif isinstance(each, list):
            left += [(inner, depth + 1) for inner in each]


def _refusal(node: dict[str, Any]) -> str:
    """Why Keras shall not see this part; empty where it may."""
    kind, module, registered = (node.get(k) for k in ("class_name", "module", "registered_name"))
    if "class_name" not in node:
        # Without a class Keras reads a plain dictionary; "module" is then a word like any other.
        return ""
    layer = f"layer {_name(node)}: {str(kind)[:60]}"
    if str(kind) in _REFUSED:
        return f"{layer} {_REFUSED[str(kind)]}"
    if isinstance(registered, str) and registered.rpartition(">")[0].lower() not in ("", "keras"):
        return f"{layer} is a class of others, {registered[:60]}"
    if kind in _VALUES:
        return ""
    if not isinstance(module, str):
        return f"{layer} is a class of others, which no module is named for"
    if not _keras_own(module, node):
        return f"{layer} is of module {module[:60]}"
    inner = node.get("config")
    if isinstance(inner, dict) and isinstance(inner.get("vocabulary"), str):
        return f"{layer} reads its vocabulary from a file"
    return ""


def _keras_own(module: str, node: dict[str, Any]) -> bool:
    """Whether it is a model, or lies where Keras keeps what models are made of."""
    name = node.get("config") if node["class_name"] == "function" else node["class_name"]
    if not (isinstance(name, str) and name.isidentifier()):
        return False
    if module.startswith("keras.src.applications."):
        return name in _APPLICATION_LAYERS
    public = module.replace("keras.src.", "keras.")
    if public == "keras.models" or public.startswith("keras.models."):
        return name in _MODELS
    return public == "keras" or any(public == part or public.startswith(f"{part}.") for part in _PARTS)


def _name(node: dict[str, Any]) -> str:
    inner = node.get("config")
    name = inner.get("name") if isinstance(inner, dict) else None
    return f"'{str(name)[:60]}'" if name else "without a name"
