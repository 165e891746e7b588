from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.settings.settings import DEFAULT, MOST_BYTES, SETTINGS, Settings, resolve, user_config_file
from zenplan.commands.config.report import config_report
from zenplan.domain.market.offer import Billing
from zenplan.domain.market.provider import ProviderClass
from zenplan.errors import InputFileError, UsageError, ZenplanError

Ask = Callable[..., Settings]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / "work" / "deep").mkdir(parents=True)
    return folder


@pytest.fixture
def ask(home: Path) -> Ask:
    def resolved(flags: dict[str, Any] | None = None, cwd: Path | None = None, **environ: str) -> Settings:
        variables = {"HOME": str(home), **environ}
        return resolve(flags or {}, variables, cwd or home / "work", home / "user.toml")

    return resolved


def complaint(work: Callable[[], object], kind: type[ZenplanError] = UsageError) -> str:
    with pytest.raises(ZenplanError) as caught:
        work()
    assert type(caught.value) is kind
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    return f"{caught.value.message} / {caught.value.hint}"


# --- who decides


def test_defaults_where_nobody_says_anything(ask: Ask) -> None:
    settings = ask()
    assert list(settings.values) == list(SETTINGS)
    assert {settings.origin(name) for name in SETTINGS} == {DEFAULT}
    assert [settings[name] for name in SETTINGS] == [setting.default for setting in SETTINGS.values()]
    assert settings["billing"] is Billing.ON_DEMAND
    assert (settings["format"], settings["gpu"], settings["prices"]) == ("table", None, None)
    assert settings.files == ()


def test_each_comes_before_the_next(ask: Ask, home: Path) -> None:
    project, user = home / "work" / "zenplan.toml", home / "user.toml"
    user.write_text("gpu = 'user'\nprovider = 'user'\nregion = 'user'\ntop = 2\n")
    project.write_text("gpu = 'project'\nprovider = 'project'\nregion = 'project'\n")
    settings = ask({"gpu": "flag", "gpus": None}, ZENPLAN_GPU="variable", ZENPLAN_PROVIDER="variable")
    told = [(settings[name], settings.origin(name)) for name in ("gpu", "provider", "region", "top", "gpus")]
    assert told == [
        (("flag",), "flag --gpu"),
        (("variable",), "ZENPLAN_PROVIDER"),
        (("project",), str(project)),
        (2, str(user)),
        (None, DEFAULT),
    ]
    assert settings.files == (project, user)


def test_the_flag_of_a_name_with_two_words(ask: Ask) -> None:
    assert ask({"max_gpus": 8}).origin("max_gpus") == "flag --max-gpus"


def test_no_variable_is_one_of_the_plugins() -> None:
    taken = {"ZENPLAN_PLUGINS", "ZENPLAN_BLOCK", "ZENPLAN_TRACE_PLUGINS"}
    assert not taken & {setting.variable for setting in SETTINGS.values()}
    assert len({setting.variable for setting in SETTINGS.values()}) == len(SETTINGS)


def test_an_empty_variable_is_none(ask: Ask) -> None:
    assert ask(ZENPLAN_GPU="", ZENPLAN_TOP=" ").origin("top") == DEFAULT


def test_without_a_user_file(home: Path) -> None:
    assert resolve({}, {}, home, None).files == ()


# --- where the project's file is


def test_the_nearest_folder_upwards_has_the_file(ask: Ask, home: Path) -> None:
    (home / "zenplan.toml").write_text("gpu = 'far'\ntop = 33\n")
    deep = home / "work" / "deep"
    assert ask(cwd=deep)["gpu"] == ("far",)
    (home / "work" / "pyproject.toml").write_text("[tool.zenplan]\ngpu = 'near'\n")
    settings = ask(cwd=deep)
    # One file, not a heap of them: what is further away no longer counts.
    assert (settings["gpu"], settings["top"]) == (("near",), SETTINGS["top"].default)
    assert settings.origin("gpu") == str(home / "work" / "pyproject.toml")


def test_its_own_file_comes_before_pyproject(ask: Ask, home: Path) -> None:
    (home / "work" / "pyproject.toml").write_text("[tool.zenplan]\ngpu = 'shared'\ntop = 33\n")
    (home / "work" / "zenplan.toml").write_text("gpu = 'own'\n")
    settings = ask()
    assert (settings["gpu"], settings["top"]) == (("own",), SETTINGS["top"].default)


def test_nothing_above_home_is_read(ask: Ask, home: Path) -> None:
    (home.parent / "zenplan.toml").write_text("gpu = 'stranger'\n")
    assert ask()["gpu"] is None
    assert resolve({}, {}, home / "work", None)["gpu"] == ("stranger",)


@pytest.mark.parametrize(
    "content",
    [
        b"[tool.ruff]\nselect = []\n",
        b"this is { no TOML",
        b"\xff\xfe",
        b"# zenplan is in a remark\n",
        b"x" * (MOST_BYTES + 9),
    ],
)
def test_a_pyproject_that_says_nothing_of_zenplan_may_be_as_it_likes(ask: Ask, home: Path, content: bytes) -> None:
    (home / "work" / "pyproject.toml").write_bytes(content)
    (home / "zenplan.toml").write_text("gpu = 'further'\n")
    assert ask()["gpu"] == ("further",)


def test_a_pyproject_with_a_broken_table(ask: Ask, home: Path) -> None:
    file = home / "work" / "pyproject.toml"
    file.write_text("[tool]\nzenplan = 3\n")
    assert "tool.zenplan" in complaint(ask, InputFileError)
    file.write_text("tool = 'zenplan'\n")
    assert ask().files == ()
    file.write_text("[tool.zenplan]\ngpu = \n")
    assert "line 2" in complaint(ask, InputFileError)


def test_the_users_file_is_in_the_folder_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert user_config_file() == tmp_path / "zenplan" / "config.toml"
    assert user_config_file().name == "config.toml"


# --- values

GOOD = {
    "gpu": [
        ("H100-SXM5-80GB", ("H100-SXM5-80GB",)),
        (" h100 ", ("h100",)),
        ("h100, a100,h100", ("h100", "a100")),
        (["h100", "a100,l4"], ("h100", "a100", "l4")),
    ],
    "gpus": [(64, 64), ("64", 64), ("1k", 1000), (8.0, 8)],
    "billing": [("spot", Billing.SPOT), ("On-Demand", Billing.ON_DEMAND), (Billing.SPOT, Billing.SPOT)],
    "provider_class": [("Cloud,marketplace", (ProviderClass.CLOUD, ProviderClass.MARKETPLACE))],
    "max_usd_per_hour": [("$12.50", 12.5), (12.5, 12.5), (3, 3.0)],
    "max_price_age": [("90d", "90d")],
    "precision": [("bf16", "bf16"), ("FP8", "fp8")],
    "optimizer": [("adamw-8bit", "adamw-8bit")],
    "prices": [("/a/b.csv", Path("/a/b.csv")), (Path("b.csv"), Path("b.csv"))],
}
BAD = {
    "gpu": [4090, "", "  ", "a\nb", "\x1b[31m", ["h100", 1], [], "a,,b", ",", True, "x" * 2000],
    "gpus": [0, -1, 1.5, "many", "", "-3", True, [8], "1e400", float("inf"), float("nan"), 10**7, 16**5000],
    "top": [0, "0", 1e5, {}],
    "billing": ["free", 1, "", None.__class__],
    "provider_class": ["clouds", "cloud,", 1],
    "max_usd_per_hour": [0, -1, "free", "inf", True],
    "max_price_age": ["90", 90, "-1d", "old", ""],
    "precision": ["bf61", "int4", 16],
    "optimizer": ["adam w", 0],
    "prices": [7, "", "a\0b", "~no-such-user-anywhere/prices.csv"],
}


@pytest.mark.parametrize(("name", "given", "expected"), [(n, *pair) for n, pairs in GOOD.items() for pair in pairs])
def test_values_that_are_taken(ask: Ask, name: str, given: object, expected: object) -> None:
    value = ask({name: given})[name]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "given"), [(name, value) for name, values in BAD.items() for value in values], ids=lambda v: repr(type(v))
)
def test_values_that_are_not_name_the_setting_and_who_said_so(ask: Ask, name: str, given: object) -> None:
    text = complaint(lambda: ask({name: given}))
    assert text.startswith(f"{name} ")
    assert f"(flag --{name.replace('_', '-')})" in text
    assert len(text) < 300


def test_a_bad_variable(ask: Ask) -> None:
    text = complaint(lambda: ask(ZENPLAN_MAX_GPUS="lots"))
    assert text.startswith("max_gpus must be a whole number from 1 to 1,000,000, not 'lots' (ZENPLAN_MAX_GPUS)")


def test_a_near_miss_is_named(ask: Ask) -> None:
    assert complaint(lambda: ask(ZENPLAN_BILLING="on_demnd")).endswith("did you mean on-demand?")
    assert "fp32, tf32, fp16, bf16, bf16-pure, fp8" in complaint(lambda: ask(ZENPLAN_PRECISION="bf61"))


def test_a_bad_value_in_a_file_names_the_file_even_where_a_flag_overrules_it(ask: Ask, home: Path) -> None:
    file = home / "user.toml"
    file.write_text("gpus = true\n")
    assert complaint(lambda: ask({"gpus": 8})).startswith(
        f"gpus must be a whole number from 1 to 1,000,000, not True ({file})"
    )


@pytest.mark.parametrize("value", ["2024-01-01", "[1, 2]", "{ a = 1 }", "0x" + "f" * 5000, "inf", "nan", "1.5", "''"])
def test_every_type_of_toml_is_taken_or_refused(ask: Ask, home: Path, value: str) -> None:
    (home / "user.toml").write_text(f"gpus = {value}\n")
    assert complaint(ask).startswith("gpus must be a whole number")


def test_an_unknown_key_in_a_file(ask: Ask, home: Path) -> None:
    file = home / "work" / "zenplan.toml"
    file.write_text("provder = 'aws'\n")
    assert complaint(ask).startswith(f"unknown setting 'provder' in {file} / did you mean provider or ")
    file.write_text("[xyzzy]\n'a\\nb' = 1\n")
    assert "known: gpu, gpus" in complaint(ask)
    file.write_text('"a\\nb" = 1\n')
    assert "unknown setting 'a\\nb'" in complaint(ask)


def test_a_key_may_be_written_as_its_flag_is_but_not_twice(ask: Ask, home: Path) -> None:
    file = home / "work" / "zenplan.toml"
    file.write_text("max-gpus = 16\n")
    assert ask()["max_gpus"] == 16
    file.write_text("max-gpus = 16\nmax_gpus = 8\n")
    assert "max_gpus comes twice" in complaint(ask)


def test_a_path_in_a_file_starts_at_that_file_and_elsewhere_here(ask: Ask, home: Path) -> None:
    (home / "zenplan.toml").write_text("prices = 'tables/mine.csv'\n")
    assert ask(cwd=home / "work" / "deep")["prices"] == home / "tables" / "mine.csv"
    assert ask(ZENPLAN_PRICES="mine.csv")["prices"] == Path("mine.csv")
    (home / "zenplan.toml").write_text("prices = '/else/where.csv'\n")
    assert ask()["prices"] == Path("/else/where.csv")


def test_a_path_from_the_home_folder(ask: Ask, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HOME", str(home))
    (home / "zenplan.toml").write_text("prices = '~/mine.csv'\n")
    assert ask()["prices"] == home / "mine.csv"


# --- files that cannot be used


@pytest.mark.parametrize("name", ["work/zenplan.toml", "user.toml"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"gpu = H100\n", "line 1, column 7"),
        (b"top = 1\ntop = 2\n", "line 2"),
        (b'gpu = "', "end of document"),
        (b"gpu = '\xff'\n", "is not text in UTF-8 (byte 7)"),
        ("gpu = 'ü'".encode("utf-16"), "is not text in UTF-8 (byte 0)"),
        (b"\0\0\0", "is not TOML"),
        (b"#" * (MOST_BYTES + 1), "no more than 1.00 MB"),
        (b"top = " + b"9" * 5000, "a number that is too long"),
        (b"top = " + b"[" * 5000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_settings(ask: Ask, home: Path, name: str, content: bytes, expected: str) -> None:
    (home / name).write_bytes(content)
    text = complaint(ask, InputFileError)
    assert expected in text
    assert str(home / name) in text


def test_a_file_of_the_most_size_with_a_byte_order_mark(ask: Ask, home: Path) -> None:
    start = b"\xef\xbb\xbftop = 33\n#"
    (home / "user.toml").write_bytes(start + b"x" * (MOST_BYTES - len(start)))
    assert ask()["top"] == 33


@pytest.mark.parametrize("name", ["work/zenplan.toml", "user.toml"])
def test_things_that_are_no_file(ask: Ask, home: Path, name: str) -> None:
    (home / name).mkdir()
    assert "is a directory" in complaint(ask, InputFileError)
    (home / name).rmdir()
    (home / name).symlink_to("nowhere")
    assert "does not exist" in complaint(ask, InputFileError)
    (home / name).unlink()
    (home / name).symlink_to(home / name)
    assert "cannot be read" in complaint(ask, InputFileError)
    (home / name).unlink()
    os.mkfifo(home / name)
    assert "is not a regular file" in complaint(ask, InputFileError)


def test_a_file_that_may_not_be_read(ask: Ask, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    (home / "user.toml").write_text("top = 33")
    # Root may read every file, so its mode would not do.
    monkeypatch.setattr(os, "open", refuse)
    assert "user.toml cannot be read: Permission denied" in complaint(ask, InputFileError)


def test_the_toml_reader_is_loaded_only_for_a_file(home: Path) -> None:
    (home / "pyproject.toml").write_text("[tool.other]\n")
    code = (
        "import sys, pathlib; from zenplan.adapters.settings.settings import resolve;"
        f"home = pathlib.Path({str(home)!r}); resolve({{}}, {{'HOME': str(home)}}, home, home / 'none.toml');"
        "assert not {'tomllib', 'platformdirs', 'numpy', 'pluggy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the report


def test_the_report_says_where_each_value_comes_from(ask: Ask, home: Path) -> None:
    (home / "user.toml").write_text("prices = 'mine.csv'\n")
    report = config_report(ask({"billing": "spot"}, ZENPLAN_TOP="3"))
    assert report.document["schema"] == "zenplan.config/1"
    assert json.loads(json.dumps(report.document)) == report.document
    assert report.document["files"] == [str(home / "user.toml")]
    told = report.document["settings"]
    assert told["prices"] == {"value": str(home / "mine.csv"), "origin": str(home / "user.toml")}
    assert told["billing"] == {"value": "spot", "origin": "flag --billing"}
    assert told["top"] == {"value": 3, "origin": "ZENPLAN_TOP"}
    assert told["gpu"] == {"value": None, "origin": "default"}
    assert type(told["billing"]["value"]) is str
    assert [record["setting"] for record in report.records] == list(SETTINGS)
    (table,) = report.tables
    assert table.rows[0] == ("gpu", "–", "default", "the accelerators to plan for")
    assert any(str(home / "user.toml") in note for note in report.notes)


def test_the_report_of_no_files(ask: Ask) -> None:
    assert config_report(ask()).notes[0] == "settings files: none found"


@pytest.mark.parametrize("text", ["8-64", "8..64", "8 to 64", "8,64", "8, 64"])
def test_several_sizes_are_several_plans(text: str, ask: Ask) -> None:
    with pytest.raises(UsageError) as caught:
        ask({"gpus": text})
    assert "zenplan compare --gpus 8 --gpus 64" in caught.value.hint
