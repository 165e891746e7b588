"""Files of weights, looked at before anything is started with them."""

from __future__ import annotations

from pathlib import Path

from zenplan.errors import InputFileError

_HINT = "give a .safetensors file; no pickle is read"


def check_weights(path: Path) -> None:
    """Raise InputFileError where it is no whole safetensors file. Its arrays are not read: the model says which it has."""
    from safetensors import SafetensorError, safe_open

    what = f"initial weights '{path}'"
    if not path.exists():
        raise InputFileError(f"{what} do not exist", _HINT)
    if not path.is_file():
        raise InputFileError(f"{what} are no file", _HINT)
    try:
        with safe_open(path, "np") as file:
            empty = not file.keys()
    except SafetensorError as error:
        raise InputFileError(f"{what} are no whole safetensors file: {error}", _HINT) from error
    except OSError as error:
        raise InputFileError(f"{what} cannot be read: {error.strerror or error}", _HINT) from error
    if empty:
        raise InputFileError(f"{what} hold no array", _HINT)
