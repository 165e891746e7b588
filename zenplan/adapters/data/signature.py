"""What a file really is, by its first bytes, whatever its name says."""

from __future__ import annotations

from typing import Final

# How much of a file is looked at.
HEAD_BYTES: Final = 4096
_MAGIC: Final = (
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\x1f\x8b", "gzip"),
    (b"PAR1", "Parquet"),
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ\x00", "compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"SQLite format 3", "an SQLite database"),
    (b"version https://git-lfs", "a pointer of Git LFS, and the file was never fetched"),
)
# Byte order marks of texts that may well have zeros in them.
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_PICKLES: Final = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_HTML: Final = (b"<!doctype html", b"<html")
IMAGES: Final = ("a JPEG image", "a PNG image", "a GIF image", "a BMP image", "a TIFF image", "a WebP image")


def really(head: bytes) -> str:
    """What the file is, in a few words; empty where it may be text.

    Args:
        head: its first bytes, ``HEAD_BYTES`` of them or fewer.
    """
    for magic, what in _MAGIC:
        # Text can start with BM.
        if head.startswith(magic) and (magic != b"BM" or b"\0" in head[:32]):
            return what
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP image"
    if head[:2] in _PICKLES:
        return "a pickle, which is never loaded"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_HTML):
        return "HTML"
    return "a binary file" if b"\0" in head and not head.startswith(_WIDE) else ""
