"""Images in a folder: each file is one; its sub-folders may be classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from zenplan import units
from zenplan.adapters.data.records import BadFile
from zenplan.adapters.data.signature import HEAD_BYTES, IMAGES, really
from zenplan.adapters.data.source import opened
from zenplan.adapters.data.walk import HINT, DataFile, PassedBy
from zenplan.domain import checks
from zenplan.domain.range import Range
from zenplan.domain.training.data_set import DataKind, DataSet
from zenplan.errors import DataError

# Files whose first bytes are looked at: all of no more than these, else so many, evenly spaced.
_LOOKED_AT: Final = 2000


def count_images(path: Path, files: Sequence[DataFile], passed_by: PassedBy) -> DataSet:
    """The images at a path. Their first bytes say whether they are; nothing is decoded.

    Raises:
        DataError: none of them is an image.
    """
    step = -(-len(files) // _LOOKED_AT)
    looked_at = list(files[::step])
    bad = {file.path for file in looked_at if not _is_image(file, passed_by)}
    good = [file for file in files if file.path not in bad]
    if len(bad) == len(looked_at):
        first = passed_by.lines[-1]
        raise DataError(f"no image in the data '{path}': {first.example}: {first.why}", HINT)
    share = 1.0 - len(bad) / len(looked_at)
    low, mid = share * len(good) if step > 1 and bad else len(good), len(good)
    folders = {Path(file.path).parent for file in good} - {path}
    how = f"{len(good):,} files, the first bytes of {'each' if step == 1 else f'{len(looked_at):,}'} looked at"
    return DataSet(
        path=checks.one_line(str(path)),
        kind=DataKind.IMAGES,
        files=len(good),
        size_bytes=float(sum(file.size_bytes for file in good)),
        formats=tuple(sorted({Path(file.path).suffix.lower().lstrip(".") for file in good})) or (units.count(0),),
        records=Range(low=float(low), mid=float(mid), high=float(mid)),
        classes=len(folders) if len(folders) > 1 else 0,
        read_bytes=float(sum(min(HEAD_BYTES, file.size_bytes) for file in looked_at)),
        whole=step == 1,
        how=how,
        left_out=passed_by.lines,
    )


def _is_image(file: DataFile, passed_by: PassedBy) -> bool:
    try:
        with opened(file) as raw:
            what = really(raw.read(HEAD_BYTES))
    except BadFile as error:
        passed_by.add(file.path, str(error))
        return False
    if what not in IMAGES:
        passed_by.add(file.path, f"{what or 'no image'}, whatever its suffix says")
    return what in IMAGES
