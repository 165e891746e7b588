"""``zenplan plugins check``: the report card of a plugin, whatever the plugin does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

KIT = Path(__file__).parents[2] / "plugins" / "misbehaving"
FORMAT = """
import os
from zenplan import hookimpl

class Format:
    name = "mine"

    def export(self, report):
        {body}

@hookimpl
def zenplan_exporters():
    yield Format()
"""
GOOD = 'return "a line\\n"'


@pytest.fixture
def card(tmp_path: Path, called: Any) -> Any:
    def of(body: str, *flags: str) -> Any:
        file = tmp_path / "mine.py"
        file.write_text(FORMAT.format(body=body), encoding="utf-8")
        ended = called("--plugin", str(file), "plugins", "check", "mine", "--format", "json", *flags)
        assert ended.err == ""
        document = json.loads(ended.out)
        assert ended.code == (0 if document["passed"] else 1)
        assert document["name"] == "mine"
        return document

    return of


def failed(document: Any) -> dict[str, str]:
    return {each["check"]: each["reason"] for each in document["checks"] if each["outcome"] == "failed"}


@pytest.mark.slow
def test_a_good_one_passes(card: Any) -> None:
    document = card(GOOD)
    assert document["passed"]
    assert {each["item"] for each in document["checks"]} == {"load", "exporter mine"}
    skipped = [each for each in document["checks"] if each["outcome"] == "skipped"]
    assert all(each["reason"] == "it has no parse" for each in skipped)


@pytest.mark.slow
def test_what_fails_is_said_in_a_line(card: Any) -> None:
    found = failed(card('return "no newline"'))
    assert "a report becomes a text[plain]" in found
    assert "newline" in found["a report becomes a text[plain]"]
    assert all("\n" not in reason for reason in found.values())
    assert "ValueError: not today" in "".join(failed(card('raise ValueError("not today")')).values())


@pytest.mark.slow
def test_one_that_ends_the_process_has_a_card_too(card: Any) -> None:
    found = failed(card("os.kill(os.getpid(), 9)"))
    assert list(found.values()) == ["it ended the process with -9"]


@pytest.mark.slow
def test_one_that_hangs_is_ended(card: Any) -> None:
    found = failed(card("import time; time.sleep(3600)", "--minutes", "0.1"))
    assert list(found.values()) == ["it was not done within 6 s"]


def test_one_that_is_not_there(called: Any) -> None:
    ended = called("plugins", "check", "nobody")
    assert (ended.code, ended.out) == (2, "")
    assert "unknown plugin 'nobody'" in ended.err


@pytest.mark.slow
def test_one_that_is_left_out_fails(called: Any) -> None:
    argv = ("--plugin", str(KIT / "half_devices.py"), "plugins", "check", "half_devices")
    ended = called(*argv)
    assert ended.code == 1
    assert "does not keep its contracts" in " ".join(ended.out.split())
    found = failed(json.loads(called(*argv, "--format", "json").out))
    assert "offers[0].instance.devices: a float, not int" in found["nothing of it is left out"]
