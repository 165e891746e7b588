"""A plugin to begin with: a template, in which a name stands for the one that was asked for."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from zenplan.errors import DataError, UnknownName, UsageError
from zenplan.version import __version__

KINDS: Final = ("provider", "engine", "workload", "accelerators", "format", "tracker", "launcher")
# The hook of a kind, for names that zenplan has itself. A provider may carry the table of one that it has.
_HOOKS: Final = {
    "engine": "zenplan_engines",
    "format": "zenplan_exporters",
    "tracker": "zenplan_trackers",
    "launcher": "zenplan_launchers",
}
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MOST_LETTERS: Final = 40
# What templates call it.
_TEMPLATE, _REQUIRED = "acme", "zenplan>=0.1"
_WORD: Final = re.compile(r"zenplan_acme|Acme|acme|zenplan(\[\w+\])?>=0\.1")


def new(kind: str, name: str, out: Path | None) -> str:
    """Write it, and return what to do next.

    Args:
        kind: of ``KINDS``.
        name: as in ``mycloud``; capitals, underscores and dots are taken as a package index takes them.
        out: the folder; None for ``zenplan-NAME``.

    Raises:
        UsageError: there is no such kind, no such name can be, or something is there already; DataError: it cannot be
            written.
    """
    if kind not in KINDS:
        raise UnknownName("kind of plugin", kind, KINDS)
    plain = _checked(kind, name)
    folder = out or Path(f"zenplan-{plain}")
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise UsageError(f"{folder} is there already", "--out names another folder; nothing is overwritten")
    try:
        _write(kind, plain, folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror}", "--out names another folder") from error
    place = shlex.quote(str(folder))
    return (
        f"{folder} is a plugin: a {kind} named {plain}.\n"
        f"  pip install -e '{folder}[test]'   # 'zenplan plugins' lists it then\n"
        f"  pytest {place}\n"
        f"  zenplan plugins check {plain}\n"
    )


def _checked(kind: str, name: str) -> str:
    """The name as a package index has it, without ``zenplan-``."""
    plain = re.sub(r"[-_.]+", "-", name).lower().removeprefix("zenplan-")
    if not _NAME.fullmatch(plain) or len(plain) > _MOST_LETTERS:
        raise UsageError(
            f"{name!r} cannot be a name",
            f"letters, digits and hyphens, a letter first, {_MOST_LETTERS} at most: mycloud",
        )
    if plain in ("builtin", "testing") or plain in _taken(kind):
        raise UsageError(f"zenplan has {plain} itself", f"another name for the {kind}, as in my-{plain}")
    return plain


def _taken(kind: str) -> Iterator[str]:
    from zenplan.plugins import BUILTIN, load_plugins

    if kind in _HOOKS:
        yield from (item.name for item in load_plugins({"ZENPLAN_PLUGINS": ""}).of(BUILTIN)[_HOOKS[kind]])


def _write(kind: str, name: str, folder: Path) -> None:
    """The whole folder, or nothing."""
    parent = folder.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{folder.name}-") as scratch:
        aside = Path(scratch) / folder.name
        for path, text in rendered(kind, name):
            file = aside / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)


def rendered(kind: str, name: str) -> Iterator[tuple[str, str]]:
    """Each file of the plugin: its path in the folder, and what is in it."""
    release = ".".join(__version__.split(".")[:2])
    words = {
        "zenplan_acme": f"zenplan_{name.replace('-', '_')}",
        "Acme": "".join(part.capitalize() for part in name.split("-")),
        _TEMPLATE: name,
    }

    def replaced(found: re.Match[str]) -> str:
        return words.get(found[0]) or f"zenplan{found[1] or ''}>={release}"

    for part in ("common", kind):
        root = Path(str(files("zenplan"))) / "templates" / part
        for file in sorted(root.rglob("*")):
            relative = file.relative_to(root)
            if file.is_file() and "__pycache__" not in relative.parts:
                # Of a file's name: what Python imports has no hyphens.
                path = relative.as_posix().replace("zenplan_acme", words["zenplan_acme"])
                path = path.replace("test_acme", f"test_{name.replace('-', '_')}")
                yield path, _WORD.sub(replaced, file.read_text(encoding="utf-8"))
