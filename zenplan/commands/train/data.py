"""The data of a run: a prepared folder as it is; anything else is prepared first, and kept for the next run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.corpus.sources import PYTHON
from zenplan.commands.train.kinds import KINDS
from zenplan.commands.train.prepared import Prepared, is_prepared, read_prepared
from zenplan.errors import InputFileError, UsageError

# Of what a preparation is given, what changes none of its bytes.
_NOT_OF_DATA: Final = ("data", "params", "tokens")


def prepared_data(
    given: Mapping[str, Any], settings: Mapping[str, Any], tell: Callable[[float, str], None]
) -> Prepared:
    """The data of a run, prepared.

    Args:
        given: flags of the run, ``data`` and ``model`` among them.
        settings: flags with which they are prepared, as texts.
        tell: told the share that is done of preparing them, and what is being done.

    Raises:
        UsageError: nothing says what to train on, or they cannot be prepared; DataError: there is nothing in them.
    """
    path = given.get("data")
    if path is None:
        raise UsageError("nothing says what to train on", "as in: --data corpus; or --demo, which needs none")
    if is_prepared(Path(path)):
        return read_prepared(Path(path))
    source = PYTHON if Path(path).name == PYTHON and not Path(path).exists() else str(path)
    if source != PYTHON and not Path(source).exists():
        raise InputFileError(f"data {path} do not exist", "name a file or a folder: --data PATH")
    from zenplan.commands.data.use_case import prepare

    settings = {name: value for name, value in settings.items() if value is not None and name not in _NOT_OF_DATA}
    kind = KINDS.get(str(given.get("model")))
    if kind is not None and kind.data == "arrays" and "label" not in settings and _has_images(Path(source)):
        settings["label"] = "folder"
    out = _kept(source, settings)
    if not is_prepared(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        prepare(source, out, settings, True, tell)
    return read_prepared(out)


def _kept(path: str, settings: Mapping[str, Any]) -> Path:
    """Where data that a run prepared are kept: by what they are, so that they are prepared once."""
    import platformdirs

    whole = path if path == PYTHON else str(Path(path).absolute())
    changed = _changed(Path(whole))
    key = hashlib.sha256(repr((whole, changed, sorted(settings.items()))).encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("zenplan", appauthor=False) / "prepared" / key


def _changed(path: Path) -> tuple[int, float]:
    """Files of it, and when the newest was changed: what was added or written anew is prepared anew."""
    if not path.exists():
        return 0, 0.0
    times = [each.stat().st_mtime for each in (path, *path.rglob("*")) if each.is_file()]
    return len(times), max(times, default=0.0)


def _has_images(path: Path) -> bool:
    return path.is_dir() and any(each.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp") for each in path.rglob("*"))
