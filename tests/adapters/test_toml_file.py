"""The lines of keys in TOML: right for every way to write a key, as ``tomllib`` itself reads the file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.adapters.files.toml_file import MOST_BYTES, TomlFile, read_toml_file
from zenplan.errors import InputFileError

TEXT = (
    '''\
# a comment = 1
top = 1
"quo.ted" = 2
a.b."c d" = 3
long = """
top = 9
[data]
'''
    "'''"
    '''
"""
many = [
    1,  # [x]
    2,
]
raw = \'\'\'
[model]
key = "]"\'\'\'

  [ data . "in side" ]
  deep = 4   # "

[model]
inline = { x = 1, "y z" = { w = 2 } }
[[rows]]
n = 1
[[rows]]
n = 2
'''
)


def toml(text: str) -> TomlFile:
    return TomlFile(name="f.toml", folder=Path(), values=tomllib.loads(text), text=text)


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
def test_a_key_is_on_the_line_that_gives_it(newline: str) -> None:
    lines = TEXT.splitlines()

    def place(beginning: str) -> int:
        return next(n for n, line in enumerate(lines, 1) if line.strip().startswith(beginning))

    file = toml(newline.join(lines) + newline)
    for keys, beginning in (
        (("top",), "top = 1"),
        (("quo.ted",), '"quo'),
        (("a",), "a.b"),
        (("a", "b"), "a.b"),
        (("a", "b", "c d"), "a.b"),
        (("long",), "long"),
        (("many",), "many"),
        (("raw",), "raw"),
        (("data",), "[ data"),
        (("data", "in side"), "[ data"),
        (("data", "in side", "deep"), "deep"),
        (("model", "inline"), "inline"),
        (("model", "inline", "y z", "w"), "inline"),
        (("rows",), "[[rows]]"),
        (("rows", "n"), "n = 1"),
    ):
        assert file.line(*keys) == place(beginning), keys
    # [model] stands in a text first, and as a table later.
    assert file.line("model") == len(lines) - 5
    for missing in (("b",), ("key",), ("data", "deep"), ("top", "x"), ("model", "inline", "z")):
        assert file.line(*missing) is None


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=6)
VALUES = st.sampled_from(
    [
        "1",
        '"x"',
        "'y'",
        "[]",
        "[\n  1,\n\n  2 ]",
        '"""\n[t]\nk = 1\n"""',
        "'''\n]\n'''",
        "{ z = 1 }",
        "1979-05-27",
        "true",
    ]
)


def quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


ENTRIES = st.lists(st.tuples(KEYS, VALUES), max_size=6, unique_by=lambda each: each[0])
BETWEEN = st.lists(st.sampled_from(["", "# c", "  # [a] = '''"]), max_size=3)


@given(ENTRIES, st.booleans(), BETWEEN)
def test_any_file_has_its_keys_where_they_were_written(
    entries: list[tuple[str, str]], table: bool, between: list[str]
) -> None:
    text, expected, head = "", {}, ("t t",) if table else ()
    if table:
        text = "[ 't t' ]\n"
    for key, value in entries:
        text += "".join(f"{line}\n" for line in between)
        expected[key] = text.count("\n") + 1
        text += f"  {quoted(key)} = {value}\n"
    file = toml(text)
    assert {key: file.line(*head, key) for key, _ in entries} == expected


def test_what_is_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("a = ", encoding="utf-8")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe4'")
    (tmp_path / "huge.toml").write_text("#" * (MOST_BYTES + 1), encoding="utf-8")
    for name in ("bad.toml", "latin.toml", "huge.toml", "none.toml", "."):
        with pytest.raises(InputFileError) as found:
            read_toml_file(tmp_path / name, name, "a hint")
        assert found.value.message.startswith(name)
        assert found.value.hint == "a hint"
