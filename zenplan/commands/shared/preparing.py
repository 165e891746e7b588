"""Flags of preparing data, beside those of a request: declared once, for the command, request files and Python."""

from __future__ import annotations

from typing import Final

from zenplan import units
from zenplan.commands.shared.options import FLAGS, HEADINGS, Flag, as_given, names, one_of, whole


def _encoding(text: str, what: str) -> str:
    from zenplan.adapters.data.encoding import known
    from zenplan.errors import UsageError

    if not (found := known(text.strip())):
        raise UsageError(f"{what} '{text}' is no encoding of text", "as in: cp1252, latin-1, utf-16, shift_jis")
    return found


# Those of preparing data, beside some of a request; in a request file they stand in [data], which 'estimate' leaves them in.
_OWN_OF_PREPARE: Final = (
    Flag(
        name="label",
        metavar="NAME",
        help='Column to learn to predict, or "folder" for the name of a file\'s folder; without one, a language model.',
        parse=as_given,
    ),
    Flag(
        name="label_kind",
        metavar="KIND",
        help="class or number; by default numbers with a fraction, or with more than 200 different ones, or 20 where most "
        "samples have one of their own, are numbers.",
        parse=one_of("class", "number"),
    ),
    Flag(
        name="classes",
        metavar="COUNT",
        help="Labels are whole numbers from 0 to below this; others are dropped.",
        parse=whole(100_000),
    ),
    Flag(
        name="features",
        metavar="NAMES",
        help="Columns of numbers to learn from; by default all of a table.",
        kind=list[str],
        parse=names,
    ),
    Flag(
        name="ids",
        metavar="NAMES",
        help="Columns of names to learn from, each an input, as in user,item.",
        kind=list[str],
        parse=names,
    ),
    Flag(
        name="vocabulary",
        metavar="COUNT",
        help="Tokens of the tokenizer that is trained; 8192 by default.",
        parse=whole(1_000_000),
    ),
    Flag(
        name="end_token",
        metavar="NAME",
        help="What ends a document, in the given tokenizer; by default its usual names.",
        parse=as_given,
    ),
    Flag(
        name="channels",
        metavar="COUNT",
        help="3 for images in colour (default), 1 for grey.",
        parse=lambda text, what: int(one_of("1", "3")(text, what)),
    ),
    Flag(
        name="validation",
        metavar="PERCENT",
        help="Share to validate on; by default what the data come with in a part of their own, else 5%; 0 for none.",
        parse=units.or_zero(units.parse_share),
    ),
    Flag(
        name="test",
        metavar="PERCENT",
        help="Share to test on; by default what the data come with, else 5%; 0 for none.",
        parse=units.or_zero(units.parse_share),
    ),
    Flag(
        name="split_by",
        metavar="KIND",
        help="What is never parted: folder, file or record; by default files of text, else records; no given split is kept.",
        parse=one_of("folder", "file", "record"),
    ),
    Flag(
        name="duplicates",
        metavar="KIND",
        help="Exact duplicates: drop or keep; kept ones stay in one part. Rows and arrays are kept by default.",
        field="same",
        parse=one_of("drop", "keep"),
    ),
    Flag(
        name="near_duplicates",
        metavar="KIND",
        help="Texts that are nearly the same: drop (default), keep in one part, or ignore.",
        field="near",
        parse=one_of("drop", "keep", "ignore"),
    ),
    Flag(
        name="similarity",
        metavar="PERCENT",
        help="From which on texts are near duplicates: of all their runs of five words, those in both; 80% by default.",
        parse=units.parse_share,
    ),
    Flag(name="min_chars", metavar="COUNT", help="Drop texts with fewer characters.", parse=whole(1e9)),
    Flag(name="max_chars", metavar="COUNT", help="Drop texts with more characters.", parse=whole(1e9)),
    Flag(
        name="include",
        metavar="PATTERNS",
        help="Names of files that are read as text, whatever their suffix, as in README,Makefile,*.log.",
        kind=list[str],
        parse=names,
    ),
    Flag(
        name="encoding",
        metavar="NAME",
        help="Of texts, as in cp1252 or shift_jis; by default what each says, else UTF-8 or cp1252.",
        parse=_encoding,
    ),
    Flag(
        name="quality",
        metavar="KIND",
        help="any (default), or prose: drop what is no running text, by the rules of Gopher.",
        parse=one_of("any", "prose"),
    ),
    Flag(name="seed", metavar="COUNT", help="Of the split; 0 by default.", parse=units.or_zero(whole(1e15))),
)
_OF_A_REQUEST: Final = ("text_column", "tokenizer", "seq_len", "image_size", "params", "tokens")
# Of these, those of reading files, which 'data show' has too.
READ: Final = tuple(flag for flag in _OWN_OF_PREPARE if flag.name in ("include", "encoding"))
PREPARE: Final = (*_OWN_OF_PREPARE, *(FLAGS[name] for name in _OF_A_REQUEST))
HEADINGS.update({flag.name: "Data" for flag in _OWN_OF_PREPARE})
