"""What nodes install zenplan from: this release of a package index, or what ``--package`` names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zenplan.errors import UsageError
from zenplan.version import __version__

_HINT: Final = "a wheel's path or URL, or a requirement, as in zenplan==0.1.0"
_WHEEL: Final = re.compile(r"zenplan-(?P<version>[0-9][A-Za-z0-9.+_!]*)-[A-Za-z0-9_.-]+\.whl")
_REQUIREMENT: Final = re.compile(r"zenplan(?:\[[a-z0-9, -]*\])?\s*(?P<rest>(?:[<>=!~@].*)?)")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Of pip, in parts: extras stand between them.

    Attributes:
        head, tail: of the requirement, before and behind its extras.
        wheel: a file of this machine that goes along; None where nodes get it themselves.
        index: whether it is this release, of a package index.
    """

    head: str = "zenplan"
    tail: str = f"=={__version__}"
    wheel: Path | None = None
    index: bool = True

    @property
    def file(self) -> str:
        """The wheel's name beside the other files; empty without one."""
        return self.wheel.name if self.wheel else ""

    def requirement(self, extras: str) -> str:
        """As pip reads it."""
        return f"{self.head}[{extras}]{self.tail}"


def package_of(text: str | None) -> Package:
    """What was given; without it, this release of an index. Raises UsageError: it is none of zenplan's."""
    if text is None:
        return Package()
    if _URL.fullmatch(text):
        return Package(tail=f" @ {text}", index=False)
    if text.endswith(".whl"):
        return _wheel(Path(text))
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        raise UsageError(f"--package {text} is no package of zenplan", _HINT)
    rest = found["rest"]
    return Package(tail=f" {rest}" if rest.startswith("@") else rest, index=False)


def _wheel(path: Path) -> Package:
    found = _WHEEL.fullmatch(path.name)
    if found is None or found["version"] != __version__:
        raise UsageError(
            f"--package {path} is no wheel of zenplan {__version__}", "as in: zenplan-VERSION-py3-none-any.whl"
        )
    if path.is_file():
        return Package(head=f"./{path.name}", tail="", wheel=path, index=False)
    if not path.is_absolute():
        raise UsageError(f"--package {path} is not there", "the path of a wheel here; or an absolute one of the nodes")
    return Package(tail=f" @ {path.as_uri()}", index=False)
