"""In which encoding a text is: by its byte order mark, what it declares, or its bytes.

A byte order mark says it. Text that is UTF-8, and not ASCII alone, is that by more than chance, whatever it declares. Then
comes what a file declares: Python's coding cookie (PEP 263), XML's declaration, HTML's ``meta charset``. What is left, and
is not UTF-8, is cp1252 where its bytes are clearly that; docs/data.md says how this was chosen.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from encodings.aliases import aliases
from typing import Final

from zenplan.adapters.data.walk import is_code

# Bytes of a file that are looked at.
LOOKED_AT: Final = 8_000_000
_MARKS: Final = (
    # Before UTF-16, whose mark is its beginning.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COOKIE: Final = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_XML: Final = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")
_HTML: Final = re.compile(rb"""<meta\s[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
# How far browsers look for it (https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding), which also
# read what calls itself Latin-1 or ASCII as cp1252 (https://encoding.spec.whatwg.org/#names-and-labels).
_PRESCAN: Final = 1024
_WINDOWS: Final = ("latin_1", "iso8859_1", "ascii")
# What Python can decode and no file of text declares.
_ODD: Final = {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "utf_7"}
_SEQUENCE: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH: Final = bytes(range(0x80, 0x100))
_LATIN: Final = bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B))
# Letters of cp1252 beyond ASCII.
_ACCENTED: Final = bytes(
    [0x83, 0x8A, 0x8C, 0x8E, 0x9A, 0x9C, 0x9E, 0x9F, *range(0xC0, 0xD7), *range(0xD8, 0xF7)]
) + bytes(range(0xF8, 0x100))
# In no text in cp1252: not assigned, and controls.
_NEVER: Final = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D, *range(0x09), *range(0x0E, 0x1B), 0x7F])
# Signs that no word in cp1252 has in its middle, where another encoding has letters: superscripts, fractions, currencies.
_IN_WORDS: Final = re.compile(
    rb"(?<=[A-Za-z\xc0-\xff])[\x80\x86\x87\x89\x95\x98\x99\xa1-\xac\xae-\xb3\xb5\xb6\xb8-\xbf\xd7\xf7]+(?=[a-z\xdf-\xff])"
)
_IN_A_WORD: Final = re.compile(rb"(?<=[A-Za-z])[%b]|[%b](?=[A-Za-z])" % (_ACCENTED, _ACCENTED))
# Of accented letters, those that stand beside a plain one; what stands alone may be anything.
_LEAST_WITHIN: Final = 0.3
# Of western languages at most some 20 % of letters are beyond ASCII; of Cyrillic or Greek nearly all.
_MOST_ACCENTED: Final = 0.35
# Of what is beyond ASCII, what may be out of place.
_MOST_ODD: Final = 0.02
# The letters of a language beyond ASCII, as of the exemplar characters of Unicode's CLDR; and those of names in a text of
# several. Those of Czech or Hungarian, read as cp1252, are in none of these.
_ALPHABETS: Final = tuple(
    (letters + letters.upper().replace("SS", "")).encode("cp1252", "ignore")
    for letters in (
        *(
            "àâæçéèêëîïôœùûüÿ",
            "äöüß",
            "áéíñóúü",
            "àèéìíòóù",
            "áàâãçéêíóôõú",
            "áéëíïóöúüèê",
            "åäöé",
            "æøåéèóô",
            "áéíóúýþæöð",
        ),
        *("àçéèíïóòúü", "äöõüšž", "áàâäãåæçéèêëíïñóôöøúüß"),
    )
)
# Of a text that is not UTF-8, how many of its bytes beyond ASCII may look like it by chance.
_BY_CHANCE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding.

    Attributes:
        name: as Python has it.
        scale: bytes of UTF-8 for each byte of the file.
        mixed: whether some of a text that is taken for UTF-8 is in another one.
    """

    name: str = "utf-8"
    scale: float = 1.0
    mixed: bool = False

    @property
    def is_utf8(self) -> bool:
        """Whether nothing is to be done."""
        return self.name == "utf-8"


UTF8: Final = Encoding()


def encoding_of(content: bytes, name: str, given: str = "") -> Encoding:
    """The encoding of a file.

    Args:
        content: its first ``LOOKED_AT`` bytes, or all of it.
        name: of the file.
        given: what the user said; empty for nothing. A byte order mark knows better.
    """
    found = marked(content) or given
    if found:
        return _scaled(found, content)
    valid, mixed = _as_utf8(content), False
    if valid and not content.isascii():
        return UTF8
    declared = _declared(content, name)
    if declared:
        return _scaled(declared, content)
    if not valid:
        sequences = sum(map(len, _SEQUENCE.findall(content)))
        others = len(content) - len(content.translate(None, _HIGH)) - sequences
        if sequences <= _BY_CHANCE * others and _clearly_cp1252(content):
            return _scaled("cp1252", content)
        mixed = bool(sequences)
    return Encoding(mixed=mixed)


def marked(content: bytes) -> str:
    """The encoding that a byte order mark says; empty without one."""
    return next((name for mark, name in _MARKS if content.startswith(mark)), "")


def known(name: str) -> str:
    """Python's name of an encoding of text; empty where it is none that files have."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    plain = found.name.replace("-", "_")
    texts = {*aliases.values(), "utf_8_sig"}
    return found.name if plain not in _ODD and (plain in texts or aliases.get(plain) in texts) and _text(found) else ""


def _text(found: codecs.CodecInfo) -> bool:
    return bool(getattr(found, "_is_text_encoding", True))


def _as_utf8(content: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=len(content) < LOOKED_AT)
    except UnicodeDecodeError:
        return False
    return True


def _declared(content: bytes, name: str) -> str:
    """As the file says; empty where it says nothing that is known."""
    head = content[:_PRESCAN]
    found, web = None, False
    if is_code(name):
        # Of the second line only where the first is a comment, or empty.
        first, _, rest = head.partition(b"\n")
        second = rest.partition(b"\n")[0] if re.fullmatch(rb"[ \t\f]*(?:#.*)?\r?", first) else b""
        found = _COOKIE.match(first) or _COOKIE.match(second)
    elif head.lstrip()[:5] == b"<?xml":
        found = _XML.match(head.lstrip())
    elif head.lstrip()[:1] == b"<":
        found, web = _HTML.search(head), True
    told = known(found[1].decode("ascii", "replace")) if found else ""
    if web and told.replace("-", "_") in _WINDOWS:
        return "cp1252"
    # A text cannot declare in ASCII that its letters are wider.
    return "" if told.startswith(("utf-8", "utf-16", "utf-32", "ascii")) else told


def _clearly_cp1252(content: bytes) -> bool:
    """Whether a text that is not UTF-8 is in the encoding of western Windows, of which Latin-1 is nearly a part."""
    high = len(content) - len(content.translate(None, _HIGH))
    accented = len(content) - len(content.translate(None, _ACCENTED))
    latin = len(content) - len(content.translate(None, _LATIN))
    if len(content.translate(None, _NEVER)) < len(content) or accented > _MOST_ACCENTED * (accented + latin):
        return False
    if (
        len(_IN_WORDS.findall(content)) > _MOST_ODD * high
        or len(_IN_A_WORD.findall(content)) < _LEAST_WITHIN * accented
    ):
        return False
    others = (accented - (len(content) - len(content.translate(None, alphabet))) for alphabet in _ALPHABETS)
    return min(others) <= _MOST_ODD * accented


def _scaled(name: str, content: bytes) -> Encoding:
    if codecs.lookup(name).name in ("utf-8", "utf-8-sig"):
        return UTF8
    decoded = codecs.getincrementaldecoder(name)("replace").decode(content)
    return Encoding(name, len(decoded.encode("utf-8", "replace")) / max(len(content), 1))
