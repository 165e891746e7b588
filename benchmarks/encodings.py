"""Which way to find the encoding of a text that says nothing of it: zenplan's own, and charset-normalizer, on translations.

    pip install django charset-normalizer && python benchmarks/encodings.py

Sentences of Django's catalogues, in the encodings that their languages were written in before UTF-8, in texts of some sizes.
A text is read rightly, left out, or read as another one, which nobody is told of.
"""

from __future__ import annotations

import gettext
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from zenplan.adapters.data.encoding import encoding_of

LANGUAGES = {
    "western": (("ca", "da", "de", "es", "fi", "fr", "is", "it", "nb", "nl", "pt", "sv"), ("cp1252", "latin-1")),
    "central European": (("cs", "hr", "hu", "pl", "ro", "sk", "sl"), ("cp1250", "iso-8859-2")),
    "Cyrillic": (("bg", "ru", "sr", "uk"), ("cp1251", "koi8-r")),
    "Greek": (("el",), ("cp1253",)),
    "Turkish": (("tr",), ("cp1254",)),
    "Baltic": (("et", "lt", "lv"), ("cp1257",)),
    "Hebrew": (("he",), ("cp1255",)),
    "Arabic": (("ar",), ("cp1256",)),
    "Japanese": (("ja",), ("shift_jis",)),
    "Chinese": (("zh_Hans",), ("gbk",)),
    "Korean": (("ko",), ("euc_kr",)),
}
SIZES = (200, 2_000, 20_000)
TEXTS = 10


def sentences(language: str) -> list[str]:
    """Of all catalogues of a language."""
    import django

    found: list[str] = []
    for file in sorted(Path(django.__file__).parent.rglob(f"locale/{language}/LC_MESSAGES/*.mo")):
        with file.open("rb") as opened:
            # It has no public way to list what it holds.
            catalogue = gettext.GNUTranslations(opened)._catalog  # type: ignore[attr-defined]
        found += [text for key, text in catalogue.items() if key and isinstance(text, str) and len(text) > 8]
    return found


def texts(language: str, encoding: str, size: int) -> Iterator[str]:
    """Some texts of that size, of what the encoding has letters for."""
    draw, every = random.Random(f"{language}{encoding}{size}"), sentences(language)  # noqa: S311 (no secret)
    for _ in range(TEXTS):
        drawn = "\n".join(draw.choices(every, k=size // 8))
        yield drawn.encode(encoding, "ignore").decode(encoding)[:size]


def own(content: bytes) -> str | None:
    """Zenplan's; None where it is left out."""
    found = encoding_of(content, "a.txt")
    return None if found.is_utf8 else content.decode(found.name, "replace")


def normalizer(content: bytes) -> str | None:
    """The best of charset-normalizer's."""
    from charset_normalizer import from_bytes

    found = from_bytes(content).best()
    return None if found is None else str(found)


def main() -> None:
    """Print a table of each."""
    methods: dict[str, Callable[[bytes], str | None]] = {"zenplan": own, "charset-normalizer": normalizer}
    seconds, size = dict.fromkeys(methods, 0.0), 0
    for group, (languages, encodings) in LANGUAGES.items():
        found = {name: Counter[str]() for name in methods}
        for text, encoding in ((t, e) for one in languages for e in encodings for n in SIZES for t in texts(one, e, n)):
            content = text.encode(encoding)
            if content.isascii():
                continue
            size += len(content)
            for name, method in methods.items():
                began = time.process_time()
                got = method(content)
                seconds[name] += time.process_time() - began
                found[name]["left out" if got is None else "right" if got == text else "wrong"] += 1
        for name, counts in found.items():
            print(
                f"{group:18} {name:20}", ", ".join(f"{counts[what]} {what}" for what in ("right", "left out", "wrong"))
            )
    for name, spent in seconds.items():
        print(f"{name}: {size / 1e6 / spent:.1f} MB/s")


if __name__ == "__main__":
    main()
