"""How much data there is at a path: counted where it is little, measured on a sample where it is much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from zenplan import units
from zenplan.adapters.data import estimates
from zenplan.adapters.data.drawing import Drawing, Group
from zenplan.adapters.data.estimates import Draw, Lot, Total
from zenplan.adapters.data.images import count_images
from zenplan.adapters.data.meter import Meter, Tokenize
from zenplan.adapters.data.probe import Probed, probe
from zenplan.adapters.data.walk import HINT, DataFile, PassedBy, Wanted, files_of
from zenplan.domain import checks
from zenplan.domain.range import Range
from zenplan.domain.training.data_set import DataKind, DataSet
from zenplan.errors import DataError
from zenplan.families.transformer.tokens import tokens_per_byte

# Bytes of text that are looked at for their kind and tokens: a tokenizer does one or two million a second.
_LOOKED_AT: Final = 4e6
_LEAST_LOOKED_AT: Final = 2048.0
_PART: Final = 65_536.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be counted.

    Attributes:
        path: a file or a folder.
        text_column: the column of text; None to find it.
        tokenize: counts tokens; None to go by the kind of text.
        tokenizer: what that is called.
        seed: of the places of a sample.
        include, encoding: as of ``Wanted``.
    """

    path: Path
    text_column: str | None = None
    tokenize: Tokenize | None = None
    tokenizer: str = ""
    seed: int = 0
    include: Sequence[str] = ()
    encoding: str = ""


def count(asked: Asked, tell: Callable[[float], None]) -> DataSet:
    """The data at a path.

    Args:
        asked: which, and how.
        tell: called with the share that is done, 0 to 1.

    Raises:
        DataError: nothing there can be used; the message names the first reason.
        UsageError: a column is not there, or what reads a format is not installed.
    """
    passed_by = PassedBy()
    files = files_of(asked.path, passed_by, lambda: tell(0.0), Wanted(include=asked.include, encoding=asked.encoding))
    if files[0].format == "image":
        return count_images(asked.path, files, passed_by)
    total, done = float(sum(file.size_bytes for file in files)), [0.0]

    def told(size: float) -> None:
        done[0] += size
        tell(min(done[0] / total, 1.0))

    by_kind = sorted(files, key=lambda file: (file.format, file.gzip))
    groups = [Group(list(each), *key) for key, each in groupby(by_kind, key=lambda file: (file.format, file.gzip))]
    drawing = Drawing(passed_by, told, asked.seed)
    probed = {id(group): probe(group, drawing, asked.text_column) for group in groups}
    found = [(group, each) for group in groups if (each := probed[id(group)]) is not None]
    if not found:
        raise _nothing(asked.path, passed_by)
    kind = _kind(found)
    kept = [(group, each) for group, each in found if each.kind.has_tokens == kind.has_tokens]
    for group, each in found:
        if each.kind.has_tokens != kind.has_tokens:
            for file in group.files:
                passed_by.add(file.path, f"without text, beside {kind.record}")
    every = sum(group.bytes_to_read for group, _ in kept)
    lots = [_lot(group, each, drawing, asked, passed_by, every) for group, each in kept]
    return _data_set(asked, kind, [*zip(*zip(*kept, strict=True), lots, strict=True)], drawing, passed_by)


def _kind(found: Sequence[tuple[Group, Probed]]) -> DataKind:
    """Of most of the bytes; with text, where any has text."""
    sizes: dict[DataKind, float] = {}
    for group, each in found:
        sizes[each.kind] = sizes.get(each.kind, 0.0) + group.size_bytes
    texts = {kind: size for kind, size in sizes.items() if kind.has_tokens} or sizes
    return max(texts, key=lambda kind: texts[kind])


def _lot(group: Group, probed: Probed, drawing: Drawing, asked: Asked, passed_by: PassedBy, every: float) -> Lot:
    most = max(_LOOKED_AT * _PART / every, _LEAST_LOOKED_AT) if every > _LOOKED_AT else float("inf")
    lot = drawing.lot(group, Meter(probed.columns, asked.tokenize, most, passed_by))
    if group.format == "text":
        lot.records = sum(file.path not in drawing.bad for file in group.files)
    return lot


def _data_set(
    asked: Asked,
    kind: DataKind,
    found: Sequence[tuple[Group, Probed, Lot]],
    drawing: Drawing,
    passed_by: PassedBy,
) -> DataSet:
    lots = [lot for _, _, lot in found]
    records = estimates.records_in(lots)
    text = estimates.text_in(lots) if kind.has_tokens else None
    if records.mid < 1 or (text is not None and text.mid <= 0):
        raise _nothing(asked.path, passed_by)
    files = [file for group, _, _ in found for file in group.files if file.path not in drawing.bad]
    size, read = float(sum(file.size_bytes for file in files)), sum(lot.read_bytes for lot in lots)
    whole = all(lot.whole for lot in lots)
    figures: dict[str, Any] = {}
    how = "all of it was read" if whole else f"{units.size(read)} of {units.size(size)} were read"
    if text is not None:
        figures, rule = _tokens(asked, lots, records, text, files)
        how = f"{how}; {rule}"
    if drawing.encodings:
        how += (
            f"; {', '.join(f'{count:,} read as {name}' for name, count in Counter(drawing.encodings.values()).items())}"
        )
    used = [columns for _, each, _ in found for columns in each.columns]
    other = tuple(dict.fromkeys(name for each in used for name in each.other))
    if other:
        how += f"; of the text columns the longest is read, not {', '.join(other[:4])}"
    names = tuple(dict.fromkeys(name for _, each, _ in found for name in each.names))
    return DataSet(
        path=checks.one_line(str(asked.path)),
        kind=kind,
        files=len(files),
        size_bytes=size,
        formats=tuple(dict.fromkeys(f"{g.format} in gzip" if g.gzip else g.format for g, _, _ in found)),
        records=records.range,
        columns=names,
        text_columns=tuple(dict.fromkeys(n for each in used for n in (*each.needed, *each.more) if n in names)),
        unread_columns=other,
        read_bytes=min(read, size),
        whole=whole,
        tokenizer=asked.tokenizer,
        how=how,
        left_out=passed_by.lines,
        **figures,
    )


def _nothing(path: Path, passed_by: PassedBy) -> DataError:
    lines = passed_by.lines
    first = next(iter(lines), None)
    if first is None:
        return DataError(f"the data '{path}' have no record", HINT)
    if path.is_file() and first.what == "files":
        return DataError(f"the data '{path}' cannot be used: {first.why}", HINT)
    return DataError(f"no record in the data '{path}' can be used: {first.example}: {first.why}", HINT)


def _tokens(
    asked: Asked, lots: Sequence[Lot], records: Total, text: Total, files: Sequence[DataFile]
) -> tuple[dict[str, Any], str]:
    """The figures of a data set with text, and how its tokens were arrived at."""
    rate, exact, how = _rate(asked, lots)
    size = text.range
    mean = estimates.ratio_of(lots, lambda d: d.text_bytes, lambda d: float(d.records))
    exact_mean = all(lot.whole or lot.records is not None for lot in lots)
    mean = Total(text.mid / records.mid, text.error if exact_mean else mean.error)
    figures: dict[str, Any] = {
        "text_bytes": size,
        "tokens": _product(text, rate, exact),
        "tokens_per_record": _product(mean, rate, exact),
    }
    plain = [file for file in files if file.format == "text"]
    if len(plain) == len(files):
        # A document is a file: the file system has all of their sizes.
        share = text.mid / sum(file.size_bytes for file in plain)
        lengths = [([file.size_bytes * share for file in plain], 1.0)]
        middle, high = (estimates.weighted_percentile(lengths, p) for p in (0.5, 0.95))
    else:
        middle, high = (estimates.percentile(lots, p) for p in (0.5, 0.95))
    figures["median_tokens"] = None if middle is None else middle * rate.mid
    figures["p95_tokens"] = None if high is None else high * rate.mid
    return figures, how


def _product(size: Total, rate: Range, exact: Total | None) -> Range:
    """Bytes times tokens a byte; where a tokenizer measured these, both errors are of the same kind, and independent."""
    if exact is not None:
        return Total(size.mid * exact.mid, (size.error**2 + exact.error**2) ** 0.5).range
    bytes_of = size.range
    return Range(low=bytes_of.low * rate.low, mid=bytes_of.mid * rate.mid, high=bytes_of.high * rate.high)


def _rate(asked: Asked, lots: Sequence[Lot]) -> tuple[Range, Total | None, str]:
    """Tokens for each byte of text, the same with its error where a tokenizer measured it, and how."""

    def scaled(draw: Draw, what: float) -> float:
        return what * draw.text_bytes / draw.sampled_bytes if draw.sampled_bytes else 0.0

    looked_at = sum(d.sampled_bytes for lot in lots for d in lot.draws)
    if asked.tokenize is not None:
        found = estimates.ratio_of(lots, lambda d: scaled(d, d.tokens or 0.0), lambda d: scaled(d, d.sampled_bytes))
        of_all = sum(d.text_bytes for lot in lots for d in lot.draws)
        if all(lot.whole for lot in lots) and looked_at >= of_all:
            found = Total(found.mid, 0.0)
        how = f"tokens by {asked.tokenizer} on {units.size(looked_at)} of text, {1 / found.mid:.2f} bytes a token"
        return found.range, found, how
    kinds: dict[str, float] = {}
    for lot in lots:
        for draw in lot.draws:
            for kind, size in draw.kinds.items():
                kinds[kind] = kinds.get(kind, 0.0) + lot.weight(draw) * scaled(draw, size)
    rate = tokens_per_byte(kinds)
    total = sum(kinds.values())
    shares = sorted(((size / total, kind) for kind, size in kinds.items()), reverse=True)
    told = ", ".join(
        f"{units.percent(share)} {kind}" if share < 0.995 else kind for share, kind in shares if share >= 0.01
    )
    span = f"{1 / rate.high:.1f}–{1 / rate.low:.1f}"
    return rate, None, f"tokens by rule: {span} bytes each of {told}; --tokenizer measures them"
