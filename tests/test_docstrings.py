"""What is read by others: many parameters are explained, and words are those of the field."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import zenplan

PACKAGE = Path(__file__).parents[1] / "zenplan"
WHERE = ("api.py", "protocols.py", "hookspecs.py", "testing.py", "planning/**/*.py", "commands/*/use_case.py")
MANY = 4
# What a user reads; in code, names may be older than the words for people.
PAGES = ("README*.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/plugins/*.md")
SOURCES = ("api.py", "results.py", "protocols.py", "hookspecs.py", "testing.py", "commands/**/command.py")
OURS = re.compile(r"\b(?:stand-?ins?|heard|told|era|(?<!data )(?<!spec )sheets?)\b", re.IGNORECASE)
CODE = re.compile(r"``?[^`]+``?")


def unexplained(file: Path) -> Iterator[str]:
    """Parameters of public functions with many that ``Args:`` does not name; ``a, b: of both`` names two."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        names = [each.arg for each in every if each.arg not in ("self", "cls")]
        _, _, section = (ast.get_docstring(node) or "").partition("Args:")
        told = {name.strip() for line in section.splitlines() for name in line.partition(":")[0].split(",")}
        yield from (f"{file.name}, {node.name}: {name}" for name in names if len(names) >= MANY and name not in told)


def test_a_function_of_many_parameters_says_what_each_is() -> None:
    found = [file for where in WHERE for file in PACKAGE.glob(where)]
    assert len(found) > 30
    assert [each for file in found for each in unexplained(file)] == []


def test_a_noun_of_the_face_says_what_its_fields_are() -> None:
    nouns = [each for each in (getattr(zenplan, name) for name in zenplan.__all__) if is_dataclass(each)]
    assert len(nouns) > 15
    for noun in nouns:
        explained = any("Attributes:" in (kind.__doc__ or "") for kind in noun.__mro__)
        assert explained or len(fields(noun)) < MANY, noun


def test_a_parameter_that_is_not_explained_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    text = '"""F.\n\n    Args:\n        a, b: of both.\n        c: more.\n    """'
    file.write_text(
        f"def f(a, b, *, c, d):\n    {text}\ndef g(a, b, c):\n    pass\ndef _h(a, b, c, d):\n    pass\n",
        encoding="utf-8",
    )
    assert list(unexplained(file)) == ["some.py, f: d"]


def private_words(text: str) -> list[str]:
    """Words of our own in a text for people, outside of what stands in it as code."""
    return OURS.findall(CODE.sub("", text))


def texts() -> Iterator[tuple[str, str]]:
    """Each page, and each docstring and text of the modules that users meet."""
    for file in (found for where in PAGES for found in PACKAGE.parent.glob(where)):
        yield file.name, " ".join(file.read_text(encoding="utf-8").split())
    for file in (found for where in (*SOURCES, "commands/shared/options.py") for found in PACKAGE.glob(where)):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield f"{file.name}:{node.lineno}", " ".join(node.value.split())


def test_pages_and_help_have_no_words_of_our_own() -> None:
    read = list(texts())
    assert len(read) > 100
    assert [(where, found) for where, text in read if (found := private_words(text))] == []
    assert private_words("The stand-in of a sheet is told; a data sheet and `told` are not.") == [
        "stand-in",
        "sheet",
        "told",
    ]
