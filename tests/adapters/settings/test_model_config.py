import json
import os
import threading
from pathlib import Path

import pytest

from zenplan.adapters.settings.model_config import MOST_BYTES, read_model_config
from zenplan.errors import InputFileError


def refused(path: str | Path) -> str:
    with pytest.raises(InputFileError) as error:
        read_model_config(path)
    assert error.value.hint
    assert "\n" not in error.value.message + error.value.hint
    assert error.value.exit_code == 1
    return error.value.message


def test_an_object_is_returned_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('\ufeff{"model_type": "llama", "müßig": [1, 2.5, null]}', encoding="utf-8")
    assert read_model_config(file) == {"model_type": "llama", "müßig": [1, 2.5, None]}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "nothing.json")


def test_a_directory(tmp_path: Path) -> None:
    assert "directory" in refused(tmp_path)


def test_a_name_with_a_line_break_or_a_null_stays_on_one_line(tmp_path: Path) -> None:
    refused(str(tmp_path / "two\nlines.json"))
    refused("null\0byte.json")
    refused("x" * 5000)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/random"])
def test_devices_are_not_read(device: str) -> None:
    if Path(device).exists():
        assert "not a regular file" in refused(device)


def test_a_pipe_that_nobody_writes_to_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(refused(pipe)), daemon=True)
    reader.start()
    reader.join(timeout=5)
    assert said
    assert "not a regular file" in said[0]


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path) -> None:
    file = tmp_path / "huge.json"
    with file.open("wb") as out:
        out.truncate(1_000_000_000)  # sparse: nothing is written
    assert "1.00 GB" in refused(file)
    with file.open("wb") as out:
        out.truncate(MOST_BYTES + 1)
    refused(file)


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "latin.json"
    file.write_bytes(b'{"a": "\xff"}')
    assert "UTF-8" in refused(file)


def test_not_json_names_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"a": 1,\n "b" 2}', encoding="utf-8")
    assert "line 2, column 6" in refused(file)
    file.write_text("", encoding="utf-8")
    assert "line 1, column 1" in refused(file)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[]", "a list"), ("3", "a number"), ("null", "null"), ("true", "true"), ('"x"', "a text"), ("NaN", "a number")],
)
def test_json_that_is_no_object(tmp_path: Path, text: str, kind: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text, encoding="utf-8")
    assert kind in refused(file)


def test_deep_nesting_and_endless_numbers(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("[" * 200_000, encoding="utf-8")
    assert "nested" in refused(file)
    file.write_text('{"a":' * 200_000, encoding="utf-8")
    assert "nested" in refused(file)
    file.write_text('{"a": ' + "9" * 5000 + "}", encoding="utf-8")
    assert "too long" in refused(file)


def test_a_file_without_permission(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({}), encoding="utf-8")
    file.chmod(0)
    if not os.access(file, os.R_OK):  # root reads anything
        assert "cannot be read" in refused(file)
