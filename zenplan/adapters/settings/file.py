"""Settings in a file: found, opened and decoded, or one clear error. What the keys mean is not known here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from zenplan import units
from zenplan.adapters.files.regular_file import decoded, read_text
from zenplan.errors import InputFileError

PROJECT_FILE: Final = "zenplan.toml"
PYPROJECT: Final = "pyproject.toml"
MOST_BYTES: Final = int(units.MB)
_HINT: Final = 'settings are TOML, one "key = value" a line, as in: gpu = "H100-SXM5-80GB"'


def project_settings(cwd: Path, home: Path | None) -> tuple[Path, Mapping[str, Any]] | None:
    """The nearest project file and its settings, looking in ``cwd`` and upwards as far as ``home``.

    In one folder ``zenplan.toml`` comes before the ``[tool.zenplan]`` of ``pyproject.toml``.

    Raises:
        InputFileError: the nearest one cannot be used.
    """
    for folder in _upwards(cwd, home):
        own, shared = folder / PROJECT_FILE, folder / PYPROJECT
        if _is_there(own):
            return own, read_toml(own)
        if _is_there(shared) and (found := _of_pyproject(shared)) is not None:
            return shared, found
    return None


def user_settings(path: Path) -> Mapping[str, Any] | None:
    """The settings of the user's own file, or None where there is no such file. Raises InputFileError."""
    return read_toml(path) if _is_there(path) else None


def read_toml(path: Path) -> Mapping[str, Any]:
    """The decoded file.

    Raises:
        InputFileError: it cannot be read, is no regular file, larger than 1 MB, or not TOML in UTF-8.
    """
    return _decoded(path, read_text(path, str(path), MOST_BYTES, _HINT))


def _upwards(cwd: Path, home: Path | None) -> Iterator[Path]:
    for folder in (cwd, *cwd.parents):
        yield folder
        if folder == home:
            return


def _is_there(path: Path) -> bool:
    """Whether something has that name, a broken link included; not where we may not look."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def _of_pyproject(path: Path) -> Mapping[str, Any] | None:
    """The file's ``[tool.zenplan]``. A file that does not mention zenplan may be as it likes."""
    try:
        content = read_text(path, str(path), MOST_BYTES, _HINT)
    except InputFileError:
        # Not ours, and nothing says that it has anything for us.
        return None
    if "zenplan" not in content:
        return None
    tool = _decoded(path, content).get("tool")
    found = tool.get("zenplan") if isinstance(tool, dict) else None
    if found is not None and not isinstance(found, dict):
        raise InputFileError(f"tool.zenplan in {path} is no table", "write it as [tool.zenplan]")
    return found


def _decoded(path: Path, content: str) -> dict[str, Any]:
    import tomllib

    return decoded(content, tomllib.loads, str(path), "TOML", _HINT)
