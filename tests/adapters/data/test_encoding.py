"""Encodings: what a file says of itself, what its bytes say, and that a text is never read as another one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.adapters.data.count import Asked, count
from zenplan.adapters.data.encoding import encoding_of, known
from zenplan.adapters.data.readers import reading
from zenplan.adapters.data.records import BadFile
from zenplan.adapters.data.walk import PassedBy, Wanted, files_of

WESTERN = {
    "French": "Où êtes-vous allés cet été ? Le garçon a reçu des œufs à Noël, naïvement. ",
    "German": "Die Größe der Straße überrascht die Müllers; schöne Grüße aus Köln! ",
    "Spanish": "¿Qué pasó mañana? El niño comió piña, según dijo su tía en Bogotá. ",
    "Portuguese": "Não há informações; a atenção às condições é obrigatória em São Paulo. ",
    "Swedish": "Å andra sidan är det så här på sjön, för att göra något åt det. ",
    "Icelandic": "Það er þó ekki víst að þú sért búinn að læra íslensku, góði maður. ",
    "English": "The caf\u00e9\u2019s \u201cr\u00e9sum\u00e9\u201d \u2013 na\u00efve \u2014 costs \u00a35, isn\u2019t it? ",
}
OTHERS = {
    "Russian": ("Привет, мир! Это проверка кодировки. ", ("cp1251", "koi8-r", "iso8859-5")),
    "Greek": ("Καλημέρα κόσμε, αυτό είναι ένα κείμενο. ", ("cp1253",)),
    "Polish": ("Zażółć gęślą jaźń; proszę się śpieszyć, bo już późno. ", ("cp1250", "iso8859-2")),
    "Czech": ("Příliš žluťoučký kůň úpěl ďábelské ódy. ", ("cp1250", "iso8859-2")),
    "Hungarian": ("Árvíztűrő tükörfúrógép, gyönyörű szőlő és üres hűtő. ", ("cp1250", "iso8859-2")),
    "Turkish": ("Şu çığlığı duyan kişi, güneşin batışını görmüş. ", ("cp1254",)),
    "Japanese": ("これは日本語の文章です。カタカナもあります。", ("shift_jis", "euc_jp")),
    "Chinese": ("这是一个用中文写的句子，没有别的意思。", ("gbk",)),
    "Korean": ("이것은 한국어로 쓴 문장입니다. ", ("euc_kr",)),
}


def name_of(content: bytes, name: str = "a.txt", said: str = "") -> str:
    return encoding_of(content, name, said).name


@pytest.mark.parametrize("language", WESTERN)
def test_western_texts_are_read_rightly(language: str) -> None:
    text = WESTERN[language] * 5
    for encoding in ("cp1252", "latin-1"):
        if encoding == "latin-1" and not text.isascii():
            text = text.translate({ord("œ"): "oe", **dict.fromkeys(map(ord, "\u2019\u201c\u201d\u2013\u2014"), "-")})
        found = name_of(text.encode(encoding))
        assert text.encode(encoding).decode(found) == text, (language, encoding)
    assert name_of(text.encode("utf-8")) == "utf-8"


@pytest.mark.parametrize("language", OTHERS)
def test_no_other_text_is_taken_for_a_western_one(language: str) -> None:
    text, encodings = OTHERS[language]
    for encoding in encodings:
        content = (text * 8).encode(encoding)
        assert name_of(content) == "utf-8", (language, encoding)
        assert name_of(content, said=encoding) == encoding


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_utf8_is_utf8(text: str, encoding: str) -> None:
    found = encoding_of(text.encode(encoding), "a.txt")
    assert (found.is_utf8, found.mixed) == (True, False)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.py", b"# -*- coding: cp1251 -*-\nx = 1\n", "cp1251"),
        ("a.py", b"#!/usr/bin/python\n# vim: set fileencoding=shift_jis :\n", "shift_jis"),
        # Not in the first two lines, behind code, or of no encoding: it says nothing.
        ("a.py", b"\n\n# coding: cp1251\n", "utf-8"),
        ("a.py", b"import this\n# coding: cp1251\n", "utf-8"),
        ("a.py", b"# coding: unicode_escape\n", "utf-8"),
        ("a.py", b"# coding: ../../etc/passwd\n", "utf-8"),
        ("a.txt", b"# coding: cp1251\n", "utf-8"),
        ("a.xml", b"<?xml version='1.0' encoding='ISO-8859-2'?><a>\xbf</a>", "iso8859-2"),
        ("a.html", b'<html><META charset="windows-1251"><p>\xcf</p>', "cp1251"),
        ("a.html", b'<meta http-equiv="Content-Type" content="text/html; charset=big5"><p>x', "big5"),
        # As browsers do.
        ("a.html", b'<meta charset="iso-8859-1"><p>\x93so\x94', "cp1252"),
        # What says that it is Latin-1 and is UTF-8 was saved as that later.
        ("a.xml", "<?xml version='1.0' encoding='latin-1'?><a>größe</a>".encode(), "utf-8"),
        ("a.html", b'<meta charset="utf-16"><p>ascii', "utf-8"),
        ("a.txt", b"\xff\xfea\0b\0", "utf-16-le"),
        ("a.txt", b"\xfe\xff\0a\0b", "utf-16-be"),
        ("a.txt", b"\xff\xfe\0\0a\0\0\0", "utf-32-le"),
    ],
)
def test_what_a_file_says(name: str, content: bytes, found: str) -> None:
    assert name_of(content, name) == found


def test_a_mark_knows_better_than_the_user() -> None:
    assert name_of("größe".encode("utf-16"), said="cp1252") == "utf-16-le"
    assert name_of("größe".encode(), said="latin-1") == "latin-1"


def test_names_of_encodings() -> None:
    assert [known(name) for name in ("Latin1", "windows-1252", "UTF8", "SJIS")] == [
        "iso8859-1",
        "cp1252",
        "utf-8",
        "shift_jis",
    ]
    for name in ("rot13", "zlib", "base64", "idna", "unicode_escape", "nothing", "", "a\0b", "é"):
        assert known(name) == "", name


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-32-be", "shift_jis"])
@pytest.mark.parametrize("suffix", ["txt", "jsonl", "csv", "json", "jsonl.gz"])
def test_every_format_is_read_in_any_encoding(suffix: str, encoding: str, tmp_path: Path) -> None:
    text = "größe, naïve: " * 3 if encoding == "cp1252" else "日本語、です: " * 3
    if encoding.startswith("utf"):
        text = "größe 日本語 😀 " * 3
    rows = [{"id": str(n), "text": f"{n} {text}"} for n in range(300)]
    whole = {
        "txt": "".join(row["text"] for row in rows),
        "json": json.dumps(rows, ensure_ascii=False),
        "csv": "id,text\n" + "".join(f'{row["id"]},"{row["text"]}"\n' for row in rows),
    }.get(suffix, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    content = whole.encode(encoding)
    (tmp_path / f"a.{suffix}").write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    said = "" if encoding in ("cp1252", "utf-16") else encoding
    (file,) = files_of(tmp_path / f"a.{suffix}", PassedBy(), lambda: None, Wanted(encoding=said))
    with reading(file) as reader:
        records = list(reader.records())
        assert not reader.encoding.is_utf8
    if suffix == "txt":
        assert "".join(record.row["text"] for record in records) == whole
    else:
        assert [dict(record.row) for record in records] == rows
    found = count(Asked(path=tmp_path / f"a.{suffix}", encoding=said), lambda share: None)
    assert found.text_bytes is not None
    assert found.text_bytes.mid == sum(len(row["text"].encode()) for row in rows)
    assert "read as" in found.how


def test_a_sample_of_a_large_file_in_another_encoding(tmp_path: Path) -> None:
    rows = [{"text": f"größe {n} " * (1 + n % 7)} for n in range(400_000)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "a.jsonl").write_bytes(text.encode("utf-16"))
    found = count(Asked(path=tmp_path / "a.jsonl"), lambda share: None)
    assert not found.whole
    assert found.text_bytes is not None
    size = sum(len(row["text"].encode()) for row in rows)
    assert found.text_bytes.low * 0.95 < size < found.text_bytes.high * 1.05


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"caf\xe9 \x81\x8d", "cp1252"),
        ("größe".encode("utf-16")[:-1], ""),
        (b"abc\xd8\xdc", "utf-16-be"),
        ("größe ".encode() + "größe".encode("latin-1"), ""),
        ("größe".encode("latin-1"), "utf-8"),
    ],
)
def test_what_is_not_of_its_encoding_is_a_bad_file(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    (file,) = files_of(tmp_path / "a.txt", PassedBy(), lambda: None, Wanted(encoding=said))
    with pytest.raises(BadFile), reading(file) as reader:
        list(reader.records())
