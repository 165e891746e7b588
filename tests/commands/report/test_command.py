"""``zenplan report``: a saved plan is the page of a fresh one; no plan, and a file that cannot be written, are said so."""

from __future__ import annotations

import copy
import json
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenplan.commands.estimate.saved_plan import MOST_BYTES

Call = Callable[..., Any]
ASKED = ("estimate", "--params", "1e9", "--explain")


@pytest.fixture(scope="session")
def saved(answer: Call) -> str:
    return str(answer(*ASKED, "--format", "json").out)


@pytest.fixture
def plan(saved: str, called: Call) -> dict[str, Any]:
    """The document, also in ``plan.json`` in the folder where commands are called."""
    Path("plan.json").write_text(saved, encoding="utf-8")
    return dict(json.loads(saved))


def refused(ended: Any, *told: str) -> None:
    """One line of what is wrong, one of what to do, exit code 1."""
    assert (ended.code, ended.out) == (1, "")
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert "a fault in zenplan" not in ended.err
    assert len(ended.err) < 1000
    for text in told:
        assert text in ended.err


def test_a_saved_plan_is_the_page_of_a_fresh_one(plan: Any, called: Call) -> None:
    ended = called("report", "plan.json", "-o", "plan.html")
    assert (ended.code, ended.err) == (0, "")
    fresh = called(*ASKED, "--format", "html").out
    assert fresh.startswith("<!doctype html>")
    assert Path("plan.html").read_text(encoding="utf-8") == fresh
    for argv in (("report", "plan.json"), ("report", "plan.json", "-o", "-")):
        assert called(*argv).out == fresh


def test_a_plan_that_nothing_meets_has_a_page_too(called: Call) -> None:
    ended = called("estimate", "--params", "1e9", "--budget", "0.01", "--format", "html")
    assert (ended.code, ended.err) == (3, "")
    assert 'class="missed"' in ended.out


def test_the_page_is_the_same_in_another_encoding(plan: Any, zenplan: Any) -> None:
    (zenplan.cwd / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    pages = {
        zenplan("report", "plan.json", environ=zenplan.environment(PYTHONIOENCODING=encoding)).out
        for encoding in ("utf-8", "latin-1", "ascii")
    }
    assert len(pages) == 1


# --- what is no plan


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "plan.json"),
        ("{", "plan.json"),
        ("not JSON", "plan.json"),
        ("[]", "plan.json"),
        ("null", "plan.json"),
        ('"zenplan.estimate/2"', "plan.json"),
        ("{}", "is no plan"),
        ('{"schema": 2}', "plan.json"),
        ('{"schema": "zenplan.prices/1"}', "is no plan"),
        ('{"schema": "zenplan.estimate/1"}', "version '1'"),
        ('{"schema": "zenplan.estimate/99"}', "version '99'"),
        ('{"schema": "zenplan.estimate/' + "9" * 5000 + '"}', "version"),
        ('{"schema": "zenplan.estimate/\\u001b[31m"}', "version"),
        ('{"schema": "zenplan.estimate/2"}', "missing"),
        ("[" * 100_000, "plan.json"),
        ('{"schema": "zenplan.estimate/2", "a": ' + "[" * 100_000, "plan.json"),
    ],
    ids=range(16),
)
def test_what_is_no_plan(text: str, told: str, called: Call) -> None:
    Path("plan.json").write_text(text, encoding="utf-8")
    ended = called("report", "plan.json", "-o", "plan.html")
    refused(ended, told)
    assert "\x1b" not in ended.err
    assert not Path("plan.html").exists()


def test_a_newer_zenplan_is_named_for_a_newer_plan(called: Call) -> None:
    Path("plan.json").write_text('{"schema": "zenplan.estimate/99"}', encoding="utf-8")
    refused(called("report", "plan.json"), "a newer zenplan")


def test_a_plan_that_is_cut_off_anywhere(saved: str, called: Call) -> None:
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        Path("plan.json").write_text(saved[: int(len(saved) * share)], encoding="utf-8")
        refused(called("report", "plan.json"), "plan.json")


def test_files_that_cannot_be_read(called: Call) -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("bytes.json").write_bytes(b"\xff\xfe{}")
    with Path("huge.json").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    for name in ("none.json", "folder", "pipe", "bytes.json", "huge.json", "/dev/zero", "x" * 300, "no/where.json"):
        refused(called("report", name))


def _set(document: Any, path: str, value: Any) -> None:
    *inner, last = path.split(".")
    for name in inner:
        document = document[int(name) if name.isdigit() else name]
    document[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("today", "2026-13-45"),
        ("today", "soon"),
        ("finish", "0000-01-01"),
        ("quotes", []),
        ("frontier", []),
        ("met", "yes"),
        ("more", 1),
        ("quotes.0.mfu", 1.5),
        ("quotes.0.devices", 0),
        ("quotes.0.devices", 1.5),
        ("quotes.0.provider", ""),
        ("quotes.0.labels", ["dearest"]),
        ("quotes.0.prices.on-demand", {"usd_per_h": -1.0, "as_of": None, "source": "a"}),
        ("quotes.0.prices.on-demand", {"usd_per_h": 1.0, "as_of": "2026-02-30", "source": "a"}),
        ("quotes.0.bills", []),
        ("quotes.0.bills.0.total_usd.mid", -1.0),
        ("quotes.0.bills.0.total_usd.mid", 1e300),
        ("quotes.0.bills.0.total_usd.high", 0.0),
        ("quotes.0.bills.0.wall_clock_s", {"low": 2.0, "mid": 1.0, "high": 3.0}),
        ("frontier.0.price_as_of", "2026-00-00"),
        ("quotes.0.memory.available_bytes", 0.0),
        ("workload.parameters", 1e200),
    ],
    ids=str,
)
def test_a_field_out_of_its_bounds(path: str, value: Any, plan: Any, called: Call) -> None:
    _set(plan, path, value)
    Path("plan.json").write_text(json.dumps(plan), encoding="utf-8")
    refused(called("report", "plan.json"), path.partition(".")[0])


@pytest.mark.parametrize(
    "own",
    [("--gpu", "H20"), ("--gpu", "H20", "--usd-per-hour", "0"), ("--gpu", "H100", "--usd-per-hour", "0")],
    ids=str,
)
def test_a_plan_without_a_price_or_for_nothing_has_a_page(own: tuple[str, ...], called: Call) -> None:
    asked = ("estimate", "--params", "1e9", "--gpus", "8", *own)
    page = called(*asked, "--format", "html")
    assert (page.code, page.err) == (0, "")
    saved = called(*asked, "--save", "plan.json")
    assert saved.code == 0
    again = called("report", "plan.json")
    assert again.code == 0
    assert ("not known" in again.out) or "--usd-per-hour" in own


def test_one_plan_of_the_frontier_without_a_price_is_not_drawn(plan: Any, called: Call) -> None:
    _set(plan, "frontier.0.total_usd", None)
    Path("plan.json").write_text(json.dumps(plan), encoding="utf-8")
    assert called("report", "plan.json").code == 0


def test_what_a_terminal_would_take_for_a_command_is_taken_out(plan: Any, called: Call) -> None:
    plan["workload"]["name"] = "a\x1b[31m\u202eb"
    Path("plan.json").write_text(json.dumps(plan), encoding="utf-8")
    page = called("report", "plan.json").out
    assert "\x1b" not in page
    assert "\\u202e" not in page


# --- where nothing can be written


def test_a_target_that_cannot_be_written(plan: Any, called: Call) -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("circle").symlink_to("circle")
    before = sorted(path.name for path in Path().iterdir())
    for name in ("folder", "pipe", "no/where.html", "plan.json/in.html", "circle", "/dev/full", "x" * 300, "a\0b"):
        refused(called("report", "plan.json", "-o", name))
        assert sorted(path.name for path in Path().iterdir()) == before


def test_the_plan_itself_is_no_target(plan: Any, called: Call) -> None:
    Path("link.html").symlink_to("plan.json")
    before = Path("plan.json").read_bytes()
    for name in ("plan.json", "./plan.json", "link.html"):
        ended = called("report", "plan.json", "-o", name)
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 2)
        assert Path("plan.json").read_bytes() == before


def test_an_empty_name_is_no_target(plan: Any, called: Call) -> None:
    refused(called("report", "plan.json", "-o", ""))


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_target_that_may_only_be_read(what: str, plan: Any, called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("kept")
    folder.mkdir()
    target = folder / "plan.html"
    target.write_text("old", encoding="utf-8")
    (target if what == "file" else folder).chmod(0o444 if what == "file" else 0o555)
    if os.geteuid() == 0:
        # Nothing is forbidden to root: the system is asked, and answers as it would anybody else.
        def access(path: Any, mode: int) -> bool:
            return bool(Path(path).stat().st_mode & mode << 6)

        monkeypatch.setattr(os, "access", access)
        if what == "folder":
            pytest.skip("root may write in every folder")
    refused(called("report", "plan.json", "-o", str(target)))
    assert target.read_text(encoding="utf-8") == "old"
    folder.chmod(0o755)


def test_a_full_disk_leaves_the_file_as_it_was(plan: Any, zenplan: Any) -> None:
    (zenplan.cwd / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    target = zenplan.cwd / "plan.html"
    target.write_text("old", encoding="utf-8")

    def small() -> None:
        # Files may not grow beyond that, as on a full disk; the signal for it would end the process.
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    # Nor may what Python compiles: it would keep half of a module.
    environ = zenplan.environment(PYTHONDONTWRITEBYTECODE="1")
    ended = zenplan("report", "plan.json", "-o", "plan.html", environ=environ, preexec_fn=small)
    assert ended.code == 1
    assert "cannot be written" in ended.err
    assert target.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in zenplan.cwd.iterdir()) == ["plan.html", "plan.json"]


def test_a_file_that_is_there_is_replaced_and_keeps_its_permissions(plan: Any, called: Call) -> None:
    Path("real.html").write_text("old", encoding="utf-8")
    Path("real.html").chmod(0o640)
    Path("link.html").symlink_to("real.html")
    assert called("report", "plan.json", "-o", "link.html").code == 0
    assert Path("link.html").is_symlink()
    assert Path("real.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert stat.S_IMODE(Path("real.html").stat().st_mode) == 0o640


def test_a_plan_without_a_price_has_a_page_of_its_time(called: Call) -> None:
    assert called("estimate", "--params", "1e9", "--gpu", "Gaudi2", "--save", "plan.json").code == 0
    ended = called("report", "plan.json")
    assert (ended.code, ended.err) == (0, "")
    assert "Sensitivity of time" in ended.out
    assert 'class="frontier"' not in ended.out


def test_a_plan_whose_price_was_taken_out(plan: Any, called: Call) -> None:
    for place in ("bills", "frontier"):
        spoilt = copy.deepcopy(plan)
        for each in spoilt["quotes"][0]["bills"] if place == "bills" else spoilt["frontier"]:
            each["total_usd"] = None
        Path("plan.json").write_text(json.dumps(spoilt), encoding="utf-8")
        ended = called("report", "plan.json")
        assert (ended.code, ended.err) == (0, "")
