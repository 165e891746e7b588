"""The split that data come with: parts by the names of folders and files, as Hugging Face's ``datasets`` knows them
(https://huggingface.co/docs/hub/datasets-file-names-and-splits).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from zenplan.adapters.corpus.splitting import TEST, TRAIN, VALIDATION
from zenplan.adapters.data.walk import DataFile, PassedBy, is_code
from zenplan.domain.training.data_card import PARTS

_NAMES: Final = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), TEST),
}
NO_PART: Final = "in no part of the split that the data come with"
_LETTERS: Final = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class Given:
    """A given split.

    Attributes:
        there: the parts that were found, by their numbers; none where the data are not split.
        drawn: parts that are drawn from train all the same, as the user said: what lies there for them is train's.
    """

    there: tuple[int, ...] = ()
    drawn: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.there)

    def part(self, name: str) -> int:
        """Of a file or an array by its name; 0 where the data are not split."""
        if not self.there:
            return 0
        found = part_of(name)
        return TRAIN if found in self.drawn else found

    def has(self, part: int) -> bool:
        """Whether the part is as it was given."""
        return part in self.there and part not in self.drawn

    def label(self, name: str) -> str:
        """The name of the folder that a file is in; empty where that is the root, or names a part."""
        folder = PurePath(name).parent.name
        return "" if self.there and len(PurePath(name).parts) - 2 == _folder_at(name) else folder

    @property
    def told(self) -> tuple[str, ...]:
        """What should be known of it, a sentence each."""
        if not self.there:
            return ()
        own = f"The split into {listed(self.there)} is the data's own."
        if not self.drawn:
            return (own,)
        return own, f"Of it {listed(self.drawn)} went into train, and is drawn anew from that, as was asked for."


NOT_GIVEN: Final = Given()


def part_of(name: str) -> int:
    """The part that a path says, the first folder before all, or else the name of a file of records; 0 for none."""
    folders = PurePath(name).parts[:-1]
    place = _folder_at(name)
    if place is not None:
        return _NAMES[folders[place].lower()]
    file = PurePath(name).name
    words = () if is_code(file) else _LETTERS.findall(file.lower())
    return next((_NAMES[word] for word in words if word in _NAMES), 0)


def without_part(name: str) -> str:
    """The name of an array without the word that says its part."""
    return "_".join(word for word in re.split(r"[\W_]+", name) if word and word.lower() not in _NAMES)


def given_in(names: Iterable[str]) -> Given:
    """The split that names say, where one of them is of train and another of what is held out."""
    return _of_parts(map(part_of, names))


def _of_parts(parts: Iterable[int]) -> Given:
    there = set(parts) - {0}
    return Given(tuple(sorted(there))) if TRAIN in there and len(there) > 1 else NOT_GIVEN


def given_of(files: Sequence[DataFile], root: str, passed_by: PassedBy) -> tuple[list[DataFile], Given]:
    """The files of a split that was given, those of test first; or all of them, in their order, where there is none.

    What is the same in two parts is found first in the one that is held out.

    Args:
        files: below ``root``.
        passed_by: told of files that are in no part.
    """
    cut = len(root.rstrip("/")) + 1
    parts = {file.path: part_of(file.path[cut:]) for file in files}
    given = _of_parts(parts.values())
    if not given:
        return list(files), given
    within = [file for file in files if parts[file.path]]
    if 2 * sum(file.size_bytes for file in within) < sum(file.size_bytes for file in files):
        # Folders of such names in something else.
        return list(files), NOT_GIVEN
    for file in files:
        if not parts[file.path]:
            passed_by.add(file.path, NO_PART)
    return sorted(within, key=lambda file: (-parts[file.path], file.path)), given


def _folder_at(name: str) -> int | None:
    """Which of the folders on the way to a file names a part."""
    return next((n for n, each in enumerate(PurePath(name).parts[:-1]) if each.lower() in _NAMES), None)


def listed(parts: Sequence[int]) -> str:
    """Parts by their names."""
    *others, last = (PARTS[part - 1] for part in parts)
    return f"{', '.join(others)} and {last}" if others else last
