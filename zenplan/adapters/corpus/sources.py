"""Sources: the files that a corpus is made of, what they hold, and what of it is never parted."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from zenplan.adapters.corpus.arrays import files_in, is_arrays, names_in
from zenplan.adapters.corpus.asked import FOLDER, Asked
from zenplan.adapters.corpus.given import NO_PART, NOT_GIVEN, Given, given_in, given_of, listed, part_of
from zenplan.adapters.corpus.prepared import is_prepared
from zenplan.adapters.corpus.reading import holds_rows, numbering_columns, numeric_columns
from zenplan.adapters.corpus.splitting import TEST, TRAIN, VALIDATION
from zenplan.adapters.data.walk import HINT, DataFile, PassedBy, Wanted, files_of
from zenplan.errors import DataError, UsageError, printable

# The sources of Python's own library, which every machine with zenplan has; each top-level package is a folder.
PYTHON: Final = "python-library"
_NOT_ITS_OWN: Final = ("site-packages", "dist-packages", "__pycache__")

TEXT, LABELLED, ROWS, IMAGES, ARRAYS = "text", "labelled text", "rows", "images", "arrays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is prepared.

    Attributes:
        root: the folder that the files are in.
        files: in the order of their names.
        passed_by: what is not data.
        what: they hold.
        split_by: what is never parted.
        given: the split that they come with, and is kept.
        notes: what should be known of that, a sentence each.
        features: columns of a table that are learned from.
        unused: columns of a table that are not; unused_numbers: of them, those of numbers where only ids were named.
    """

    root: Path
    files: Sequence[DataFile]
    passed_by: PassedBy
    what: str
    split_by: str
    given: Given = NOT_GIVEN
    notes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    unused_numbers: tuple[str, ...] = ()


def source_of(asked: Asked, tell: Callable[[], None]) -> Source:
    """The source that was named.

    Raises:
        DataError: nothing there can be used.
        UsageError: what is asked for does not go with it.
    """
    passed_by = PassedBy()
    if asked.source == PYTHON:
        root = Path(sysconfig.get_path("stdlib"))
        files = [f for f in files_of(root, passed_by, tell, Wanted(without=_NOT_ITS_OWN)) if f.path.endswith(".py")]
        usual = "folder" if asked.label is None else "file"
        # What lies beside the sources is not asked for.
        return _of_records(asked, root, files, PassedBy(str(root)), usual)
    path = Path(asked.source)
    if path.exists() and is_arrays(path):
        return _of_arrays(asked, path, passed_by)
    if is_prepared(path):
        raise UsageError(f"'{path}' is prepared already", "'zenplan data show' shows its data card")
    files = files_of(path, passed_by, tell, Wanted(include=asked.include, encoding=asked.encoding or ""))
    if is_prepared(asked.out):
        # What was prepared there before is none of the data.
        files = [file for file in files if not Path(os.path.realpath(file.path)).is_relative_to(asked.out)]
    if not files:
        raise DataError(f"nothing in the folder '{path}' can be read as data", HINT)
    root = path if path.is_dir() else path.parent
    files, given, notes = _split(asked, files, str(root), passed_by)
    if files[0].format == "image":
        _refuse(asked, IMAGES)
        return Source(
            root=root, files=files, passed_by=passed_by, what=IMAGES, split_by="record", given=given, notes=notes
        )
    usual = "file" if len(files) > 1 and any(file.format == "text" for file in files) else "record"
    found = _of_records(asked, root, files, passed_by, usual, given)
    return replace(found, notes=(*notes, *found.notes))


def _split(
    asked: Asked, files: list[DataFile], root: str, passed_by: PassedBy
) -> tuple[list[DataFile], Given, tuple[str, ...]]:
    """The files, the split that they come with, and notes of it."""
    if asked.split_by is not None:
        return files, NOT_GIVEN, _not_kept(given_of(files, root, PassedBy())[1])
    files, found = given_of(files, root, passed_by)
    given = _wanted(asked, found)
    return files, given, given.told


def _wanted(asked: Asked, found: Given) -> Given:
    """Of a split that the data come with, what the user leaves of it: parts of a share that was said are drawn anew."""
    shares = {VALIDATION: asked.validation, TEST: asked.test}
    return replace(found, drawn=tuple(part for part in found.there if shares.get(part) is not None))


def _not_kept(found: Given) -> tuple[str, ...]:
    return (f"The data's own split into {listed(found.there)} is not kept: --split-by says another.",) if found else ()


def _of_records(
    asked: Asked, root: Path, files: Sequence[DataFile], passed_by: PassedBy, usual: str, given: Given = NOT_GIVEN
) -> Source:
    if asked.label is None and (asked.classes or asked.label_kind or asked.table):
        raise UsageError("classes, features and ids are for data with labels", "--label names the column to learn")
    # Those to train on say what the columns are: those to test on may have no label.
    probed = [f for f in files if given.part(os.path.relpath(f.path, root)) in (0, TRAIN)] if given else files
    rows, columns = holds_rows(probed, asked)
    features: tuple[str, ...] = asked.features
    unused: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if rows:
        known = set(columns)
        for name in (*asked.features, *asked.ids):
            if name not in known:
                raise UsageError(f"the data have no column '{name}'", f"they have {', '.join(columns[:12])}")
        if not asked.table:
            features, notes = _telling(probed, numeric_columns(probed, asked))
        unused = tuple(name for name in columns if name not in (*features, *asked.ids, asked.label))
        if asked.ids and not asked.features:
            numbers = tuple(name for name in numeric_columns(probed, asked) if name in unused)
        if not features and not asked.ids:
            raise DataError(
                f"no column of the data '{asked.source}' is of numbers",
                "--ids names columns of names, as in --ids user,item; --text-column one of text",
            )
    if not rows and asked.table:
        raise UsageError("--features and --ids are for tables, and these data are text")
    what = ROWS if rows else TEXT if asked.label is None else LABELLED
    return Source(
        root=root,
        files=files,
        passed_by=passed_by,
        what=what,
        split_by=asked.split_by or usual,
        given=given,
        features=features,
        unused=unused,
        unused_numbers=numbers,
        notes=notes,
    )


def _telling(files: Sequence[DataFile], numbers: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the columns of numbers those that are learned from where none is named, and a note of what is not: a number of the
    row tells nothing of it, and is learned by heart."""
    numbering = numbering_columns(files, numbers)
    left = tuple(name for name in numbers if name not in numbering)
    if not numbering or not left:
        return numbers, ()
    several = len(numbering) > 1
    named = ", ".join(printable(name) for name in numbering)
    return left, (
        f"Column{'s' * several} {named} only number{'s' * (not several)} the rows, so {'they are' if several else 'it is'} "
        "not learned from: --features names columns to learn from, these too.",
    )


def _of_arrays(asked: Asked, path: Path, passed_by: PassedBy) -> Source:
    _refuse(asked, ARRAYS)
    files = [DataFile(str(each), each.stat().st_size, "array", False) for each in files_in(path)]
    root = path if path.is_dir() else path.parent
    names = names_in(path)
    found = given_in(names)
    source = Source(root=root, files=files, passed_by=passed_by, what=ARRAYS, split_by="record")
    for name in names:
        if found and not part_of(name):
            passed_by.add(name, NO_PART)
    if asked.split_by is not None:
        return replace(source, notes=_not_kept(found))
    given = _wanted(asked, found)
    return replace(source, given=given, notes=given.told)


def _refuse(asked: Asked, what: str) -> None:
    given = {
        "--split-by": asked.split_by not in (None, "record"),
        "--text-column": asked.text_column,
        "--tokenizer": asked.tokenizer,
        "--label": what == IMAGES and asked.label not in (None, FOLDER),
        "--features or --ids": asked.table,
    }
    wrong = next((name for name, there in given.items() if there), None)
    if wrong:
        raise UsageError(f"{wrong} is not for {what}", "leave it out")
