"""Images in folders that are their classes, as arrays of one size. Pillow reads them: it has a decoder for each format
that ``zenplan data show`` counts, and is what Keras and torchvision read them with.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.adapters.corpus.asked import Asked
from zenplan.adapters.corpus.given import Given
from zenplan.adapters.corpus.shards import Shard, Shards
from zenplan.adapters.data.records import BadFile
from zenplan.adapters.data.source import opened
from zenplan.adapters.data.walk import DataFile, PassedBy
from zenplan.errors import UsageError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

_FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
# What Pillow raises where a file is broken, by the format of it.
_BROKEN: Final = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError),
    *(struct.error, zlib.error),
)


def check_installed() -> None:
    """Raises UsageError: Pillow is not installed."""
    try:
        import PIL  # noqa: F401 (it is only asked whether it can be)
    except ImportError as error:
        raise UsageError("images need Pillow, which is not installed", "pip install 'zenplan[train]'") from error


def fill_images(
    shards: Shards,
    files: Sequence[DataFile],
    asked: Asked,
    within: tuple[str, Given],
    tell: Callable[[float], None],
) -> None:
    """Write the shards of all images that are not in one yet.

    Args:
        shards: those that are finished.
        files: of images.
        asked: their size and channels.
        within: the folder that they are in, and the split that they come with; an image has the class of its own folder.
        tell: called with the share that is done.
    """
    (begin, *_) = shards.place or (0,)
    if begin == len(files):
        return
    folder = within[0]
    shard = Shard(shards.work, len(shards), PassedBy(folder))
    for place in range(begin, len(files)):
        if shard.size >= asked.shard_bytes:
            _finish(shards, shard, place, asked)
            shard = Shard(shards.work, len(shards), PassedBy(folder))
        _take(shard, files[place], asked, within)
        tell((place + 1) / len(files))
    _finish(shards, shard, len(files), asked)


def _take(shard: Shard, file: DataFile, asked: Asked, within: tuple[str, Given]) -> None:
    shard.records += 1
    name, given = os.path.relpath(file.path, within[0]), within[1]
    label = given.label(name)
    if not label:
        shard.drop(file.path, "no folder that names a class")
        return
    try:
        pixels = decoded(file, asked.image_size, asked.channels)
    except BadFile as error:
        shard.drop(file.path, str(error))
        return
    shard.add(pixels.tobytes(), pixels, given.part(name), label=" ".join(label.split()))


def _finish(shards: Shards, shard: Shard, place: int, asked: Asked) -> None:
    shape = (0, asked.image_size, asked.image_size, asked.channels)
    shard.finish((place,), {"x": np.stack(shard.payload) if shard.payload else np.zeros(shape, np.uint8)}, texts=False)
    shards.added()


def decoded(file: DataFile, size: int, channels: int) -> Array:
    """The image in a file, as of ``pixels_of``."""
    with opened(file) as raw:
        return pixels_of(raw, size, channels)


def pixels_of(raw: Any, size: int, channels: int) -> Array:
    """The image as uint8 (size, size, channels): scaled until it fills the square, and cut in the middle.

    Args:
        raw: an open file of it.

    Raises:
        BadFile: it is broken, or no image.
    """
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        # What is large beyond reason is refused, and what is odd in its metadata is no matter.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(raw, formats=_FORMATS) as image:
                upright = ImageOps.exif_transpose(image)
                fitted = ImageOps.fit(upright.convert("L" if channels == 1 else "RGB"), (size, size))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise BadFile("an image of more pixels than is safe to decode") from error
        except _BROKEN as error:
            raise BadFile("no image that can be decoded, or a broken one") from error
    return np.asarray(fitted, np.uint8).reshape(size, size, channels)


def png_of(pixels: Array) -> bytes:
    """The image of such an array, as the bytes of a PNG file."""
    check_installed()
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()
