"""``zenplan calibrations``: list, show, share and remove; what a shared file may not hold."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from zenplan.adapters.store.store import CalibrationStore
from zenplan.domain.measured.calibration import (
    DONE,
    MODEL,
    PROGRAM,
    SWEEP,
    UNFINISHED,
    Calibration,
    Fingerprint,
    Measured,
    Point,
    Sample,
    Stored,
)
from zenplan.errors import FailureKind

SCHEMAS = Path(__file__).parents[3] / "zenplan" / "data" / "schemas"
FINGERPRINT = Fingerprint(
    device="Intel(R) Xeon(R) Processor @ 2.90GHz",
    kind="cpu",
    threads=1,
    backend="tensorflow",
    versions={"keras": "3.15.1", "tensorflow": "2.21.0", "python": "3.11.7"},
    precision="fp32",
    compiled=True,
)


def ran(depth: int, step_s: float, **more: Any) -> Measured:
    point = Point(
        key=f"depth={depth} batch=8",
        depth=depth,
        batch=8,
        features={"products": 1e9 * depth},
        predicted_bytes=1e8 * depth,
    )
    samples = tuple(Sample(round=n, wall_s=step_s * 1.02, cpu_s=step_s * (1 + n / 500)) for n in range(5))
    return Measured(point=point, samples=samples, setup_s=2.5, **more)


ONE = Calibration(
    id="abcdefgh",
    kind=MODEL,
    subject="transformer:layers=12",
    family="decoder",
    stand_in="its blocks, random data",
    fingerprint=FINGERPRINT,
    target=Point(key="depth=12 batch=8", depth=12, batch=8),
    parameters=10e6,
    flop_per_sample=6e9,
    taken_at=datetime(2026, 10, 2, 7, 8, 9, tzinfo=UTC),
    measured=(
        ran(1, 0.1, peak_bytes=2e8),
        ran(2, 0.15),
        ran(4, 0.25),
        Measured(
            point=Point(key="depth=8 batch=8", depth=8, batch=8),
            failure="out of memory",
            failure_kind=FailureKind.OUT_OF_MEMORY,
        ),
        Measured(point=Point(key="depth=12 compiled", role=PROGRAM, depth=12, batch=8), program_bytes=1e9),
    ),
    notes=("busy: other programs took 30 % of the processors",),
)
SWEPT = Calibration(
    id="sweepaaa",
    kind=SWEEP,
    subject="all",
    family="all",
    fingerprint=replace(FINGERPRINT, backend="torch", compiled=False),
    taken_at=datetime(2026, 10, 1, tzinfo=UTC),
    measured=(Measured(point=Point(key="product 512", role="operator", batch=8)),),
)


def store() -> CalibrationStore:
    return CalibrationStore.open(Path(os.environ["HOME"]) / ".local/share/zenplan/calibrations.sqlite")


@pytest.fixture
def filled(called: Callable[..., Any]) -> Callable[..., Any]:
    """The command line, with two calibrations in its store."""
    with store() as opened:
        opened.insert([Stored(calibration=ONE, state=DONE), Stored(calibration=SWEPT, state=UNFINISHED)])
    return called


def wrong(document: Any) -> list[str]:
    name = document["schema"].removeprefix("zenplan.").removesuffix("/1")
    schema = json.loads((SCHEMAS / f"{name}-1.json").read_text(encoding="utf-8"))
    errors = Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(document)
    return [f"{list(e.absolute_path)}: {e.message}" for e in errors]


# --- list and show


def test_the_list(filled: Callable[..., Any]) -> None:
    ended = filled("calibrations", "list")
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, ended.lines)) <= 80
    assert ended.out.index("abcdefgh") < ended.out.index("sweepaaa")
    assert "goes on with it" in ended.out
    first, second = filled("calibrations", "list", "--format", "markdown").lines[2:4]
    assert first.endswith("| tensorflow compiled, fp32 | transformer:layers=12 | done, 3 of 4 points, 1 note |")
    assert second.endswith("| torch eager, fp32 | all (sweep) | unfinished, 0 of 1 points |")


def test_the_list_for_programs(filled: Callable[..., Any]) -> None:
    document = json.loads(filled("calibrations", "list", "--format", "json").out)
    assert wrong(document) == []
    assert [c["id"] for c in document["calibrations"]] == ["abcdefgh", "sweepaaa"]
    rows = list(csv.DictReader(io.StringIO(filled("calibrations", "list", "--format", "csv").out)))
    assert [(r["id"], r["state"], r["samples"]) for r in rows] == [
        ("abcdefgh", "done", "15"),
        ("sweepaaa", "unfinished", "0"),
    ]
    assert "| abcdefgh |" in filled("calibrations", "list", "--format", "markdown").out


def test_what_is_exported_is_what_its_schema_says(filled: Callable[..., Any]) -> None:
    document = json.loads(filled("calibrations", "export", "-").out)
    assert wrong(document) == []
    assert document == json.loads(filled("calibrations", "list", "--format", "json").out)
    run = document["calibrations"][0]["measured"][0]
    assert {"step_s", "spread", "clock"} & {*run, *document["calibrations"][0]} == set()
    # Files of the first version have no kind of failure; nothing else may be missing.
    del run["failure_kind"], run["failure_type"]
    assert wrong(document) == []
    del run["failure"]
    assert wrong(document)


def test_an_empty_list_makes_no_store(called: Callable[..., Any]) -> None:
    ended = called("calibrations", "list")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "no calibrations: 'zenplan calibrate' takes one\n"
    assert wrong(json.loads(called("calibrations", "list", "--format", "json").out)) == []
    assert called("calibrations", "list", "--format", "csv").out == ""
    assert list(Path(os.environ["HOME"]).iterdir()) == []


def test_one_with_its_points_and_its_prediction(filled: Callable[..., Any]) -> None:
    ended = filled("calibrations", "show", "abcd")
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, ended.lines)) <= 80
    rows = {line.split("  ")[0]: line for line in ended.lines}
    assert "not measured" in rows["depth=2 batch=8"]
    for cell in ("100 ms", "200 MB", "100 MB", "2.50 s"):
        assert cell in rows["depth=1 batch=8"]
    for words in (
        "out of memory",
        "(compiled only)",
        "processor's clock",
        "80 % interval",
        "busy: other programs",
        "2026-10-02 07:08 UTC, here",
        "tensorflow 2.21.0",
    ):
        assert words in ended.out, words


def test_one_for_programs(filled: Callable[..., Any]) -> None:
    document = json.loads(filled("calibrations", "show", "abcdefgh", "--format", "json").out)
    assert wrong(document) == []
    # 50 ms before the blocks and 50 ms each.
    assert document["prediction"]["step_s"]["mid"] == pytest.approx(0.65, rel=0.02)
    assert document["measured"][1]["step_s"] == pytest.approx(0.15, rel=0.01)
    rows = list(csv.DictReader(io.StringIO(filled("calibrations", "show", "abcd", "--format", "csv").out)))
    assert [r["failure"] for r in rows] == ["", "", "", "out of memory", ""]
    assert rows[1]["peak_bytes"] == ""


def test_a_sweep_has_no_prediction(filled: Callable[..., Any]) -> None:
    document = json.loads(filled("calibrations", "show", "sweep", "--format", "json").out)
    assert wrong(document) == []
    assert (document["prediction"], document["no_prediction"]) == (None, "")


def test_too_little_for_a_prediction_is_said(called: Callable[..., Any]) -> None:
    with store() as opened:
        opened.insert([Stored(calibration=replace(ONE, measured=()), state=UNFINISHED)])
    ended = called("calibrations", "show", "abcdefgh")
    assert ended.code == 0
    assert "no prediction: " in ended.out


def test_an_unknown_one_is_an_error(filled: Callable[..., Any]) -> None:
    for command in (("show", "zzzzzzzz"), ("rm", "zzzzzzzz"), ("export", "-", "zzzzzzzz"), ("show", "abc")):
        ended = filled("calibrations", *command)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith(f"error: unknown calibration '{command[-1]}'\nhint: ")
    assert "did you mean abcdefgh?" in filled("calibrations", "rm", "abcdefgg").err


def test_those_that_are_removed_are_gone(filled: Callable[..., Any]) -> None:
    assert filled("calibrations", "rm", "abcdefgh", "nowhere2").code == 2
    assert filled("calibrations", "rm", "abcd", "abcdefgh", "sweepaaa").out == "removed: abcdefgh, sweepaaa\n"
    assert "no calibrations" in filled("calibrations", "list").out


def test_a_store_that_cannot_be_used_is_said_in_one_line(called: Callable[..., Any]) -> None:
    path = Path(os.environ["HOME"]) / ".local/share/zenplan/calibrations.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all" * 300)
    ended = called("calibrations", "list")
    assert (ended.code, len(ended.err.splitlines())) == (0, 1)
    assert ended.err == f"warning: {path} is damaged: going on without its calibrations\n"
    ended = called("calibrations", "rm", "abcdefgh")
    assert (ended.code, len(ended.err.splitlines())) == (2, 3)
    assert ended.err.startswith("warning: calibrations.sqlite is damaged: it is kept as calibrations.sqlite.kept-")


# --- export and import


def as_shared(c: Calibration) -> Calibration:
    """What arrives: a failure's text stays where it was measured."""
    measured = tuple(replace(m, failure=m.failure_kind) for m in c.measured)
    assert [m.failure for m in measured if m.failure] == ["out_of_memory"]
    return replace(c, measured=measured)


def exported(filled: Callable[..., Any]) -> Any:
    return json.loads(filled("calibrations", "export", "-").out)


def test_what_is_exported_is_imported_elsewhere(filled: Callable[..., Any]) -> None:
    assert filled("calibrations", "export", "team.json").out == "exported to team.json: abcdefgh, sweepaaa\n"
    assert wrong(json.loads(Path("team.json").read_text(encoding="utf-8"))) == []
    assert [file.name for file in Path().iterdir()] == ["team.json"]
    assert filled("calibrations", "rm", "abcdefgh").code == 0
    ended = filled("calibrations", "import", "team.json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "imported: abcdefgh\nhere already: sweepaaa\n"
    with store() as opened:
        there = opened.entry("abcdefgh")
        assert there.calibration == as_shared(ONE)
        assert there.state == DONE
        assert there.origin == f"imported from team.json on {datetime.now(UTC).date()}"
        assert opened.entry("sweepaaa").origin == ""
    shown = filled("calibrations", "show", "abcdefgh").out
    assert "imported from team.json" in shown
    assert "here" not in shown.split("taken")[1].split("state")[0]


def test_some_are_exported(filled: Callable[..., Any]) -> None:
    document = json.loads(filled("calibrations", "export", "-", "swee").out)
    assert [c["id"] for c in document["calibrations"]] == ["sweepaaa"]


def test_the_same_id_with_other_content_is_refused(filled: Callable[..., Any]) -> None:
    document = exported(filled)
    document["calibrations"][1]["notes"] = ["another"]
    document["calibrations"][0]["id"] = "newnewne"
    Path("team.json").write_text(json.dumps(document))
    ended = filled("calibrations", "import", "team.json")
    assert (ended.code, ended.out) == (2, "")
    assert "calibration sweepaaa is here already, with other content" in ended.err
    assert "newnewne" not in filled("calibrations", "list").out


def test_an_export_that_cannot_be_written_leaves_the_file_as_it_was(filled: Callable[..., Any]) -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    for name, said in (
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("no/where", "cannot be written"),
    ):
        ended = filled("calibrations", "export", name)
        assert (ended.code, ended.out) == (1, "")
        assert said in ended.err
    assert sorted(file.name for file in Path().iterdir()) == ["folder", "pipe"]


def test_an_export_goes_through_a_link(filled: Callable[..., Any]) -> None:
    Path("real.json").write_text("old")
    Path("link.json").symlink_to("real.json")
    assert filled("calibrations", "export", "link.json").code == 0
    assert Path("link.json").is_symlink()
    assert json.loads(Path("real.json").read_text(encoding="utf-8"))["schema"] == "zenplan.calibrations/1"


def target(document: Any) -> Any:
    return document["calibrations"][0]["target"]


def point(document: Any) -> Any:
    return document["calibrations"][0]["measured"][0]


SPOILED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no schema": (lambda d: d.pop("schema"), "no schema zenplan.calibrations/1"),
    "newer": (lambda d: d.update(schema="zenplan.calibrations/2"), "it is of version 2, and this zenplan reads 1"),
    "another schema": (lambda d: d.update(schema="zenplan.estimate/2"), "no schema zenplan.calibrations/1"),
    "lacks": (
        lambda d: d["calibrations"][0].pop("fingerprint"),
        "calibration abcdefgh: Object missing required field `fingerprint`",
    ),
    "extra": (lambda d: point(d).update(code="x"), "code is no field of it"),
    "no list": (lambda d: d.update(calibrations={}), "calibrations must be a list"),
    "id": (lambda d: d["calibrations"][0].update(id="../../etc"), "8 letters"),
    "text for number": (
        lambda d: point(d)["samples"][0].update(wall_s="1"),
        "got `str` - at `$.measured[0].samples[0].wall_s`",
    ),
    "true for number": (
        lambda d: point(d)["samples"][0].update(wall_s=True),
        "got `bool` - at `$.measured[0].samples[0].wall_s`",
    ),
    "too large": (
        lambda d: point(d)["samples"][0].update(wall_s=10**400),
        "out of range - at `$.measured[0].samples[0].wall_s`",
    ),
    "zero": (lambda d: point(d)["samples"][0].update(wall_s=0), "wall_s must be above zero"),
    "negative": (lambda d: point(d)["samples"][0].update(cpu_s=-1), "cpu_s must be zero or above"),
    "no time at all": (lambda d: point(d)["samples"][0].update(wall_s=1e-12), "wall_s is 1e-12, and may be 1e-06 to"),
    "a month": (lambda d: point(d)["samples"][0].update(wall_s=2.6e6), "wall_s is 2.6e+06"),
    "no processor": (lambda d: point(d)["samples"][0].update(cpu_s=0), "cpu_s is 0"),
    "too fast": (lambda d: point(d)["point"]["features"].update(products=1e22), "1e+23 products a second is more"),
    "too fast as a whole": (
        lambda d: (d["calibrations"][0].update(flop_per_sample=1e19), point(d)["point"].update(depth=None)),
        "FLOP a second is more",
    ),
    "memory": (lambda d: point(d).update(peak_bytes=1e30), "peak_bytes is 1e+30"),
    "negative memory": (lambda d: point(d).update(peak_bytes=-1), "peak_bytes must be zero or above"),
    "clock": (lambda d: point(d)["samples"][0].update(clock_hz=1e13), "clock_hz is 1e+13"),
    "batch": (lambda d: point(d)["point"].update(batch=0), "batch must be above zero"),
    "role": (lambda d: point(d)["point"].update(role="shell"), "role is 'shell'"),
    "two keys": (lambda d: d["calibrations"][0]["measured"].append(point(d)), "two points have one key"),
    "two ids": (lambda d: d["calibrations"].append(d["calibrations"][0]), "calibration abcdefgh is there twice"),
    "long": (lambda d: d["calibrations"][0].update(subject="x" * 2000), "no more than 1,000 letters"),
    "escape": (lambda d: d["calibrations"][0].update(subject="\x1b[2J"), "without control characters"),
    "no zone": (lambda d: d["calibrations"][0].update(taken_at="2026-10-02T07:08:09"), "must have its time zone"),
    "no time": (lambda d: d["calibrations"][0].update(taken_at="yesterday"), "datetime - at `$.taken_at`"),
    "future": (
        lambda d: d["calibrations"][0].update(taken_at=(datetime.now(UTC) + timedelta(days=3)).isoformat()),
        "yet to come",
    ),
    "state": (lambda d: d["calibrations"][0].update(state="good"), "state is 'good', not one of running"),
    "threads": (lambda d: d["calibrations"][0]["fingerprint"].update(threads=10**9), "threads is 1e+09"),
    "many names": (lambda d: point(d)["point"].update(features={str(n): 1 for n in range(201)}), "no more than 200"),
    "huge count": (lambda d: point(d)["point"].update(batch=10**400), "batch must be zero or above and below 1e+12"),
    "infinite": (lambda d: point(d).update(setup_s=float("1e999")), "Infinity is no number"),
    "origin": (lambda d: d["calibrations"][0].update(origin="a\nb"), "origin must be on one line"),
    "target's memory": (lambda d: target(d).update(predicted_bytes=1e30), "target: predicted_bytes is 1e+30"),
    "target's work": (lambda d: target(d).update(features={"products": 1e30}), "target: products is 1e+30"),
    "target's FLOP": (
        lambda d: (target(d).update(batch=10**11), d["calibrations"][0].update(flop_per_sample=1e20)),
        "target: FLOP is 1e+31",
    ),
    "first day": (lambda d: d["calibrations"][0].update(taken_at="0001-01-01T00:00:00+05:00"), "from year 2 to 9998"),
    "last day": (lambda d: d["calibrations"][0].update(taken_at="9999-12-31T23:59:59-05:00"), "from year 2 to 9998"),
    "model without target": (lambda d: d["calibrations"][0].update(target=None), "one of a model has a target"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_file_with_impossible_values_is_refused_whole(name: str, filled: Callable[..., Any]) -> None:
    spoil, said = SPOILED[name]
    document = exported(filled)
    filled("calibrations", "rm", "abcdefgh", "sweepaaa")
    spoil(document)
    Path("team.json").write_text(json.dumps(document))
    ended = filled("calibrations", "import", "team.json")
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 2
    assert "no calibrations" in filled("calibrations", "list").out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON"),
        ("[1, 2", "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"schema": NaN}', "NaN is no number"),
        ('{"schema": -Infinity}', "-Infinity is no number"),
        ('{"a": 1, "a": 2}', "a is there twice in one object"),
        ('{"schema": ' + "9" * 5000 + "}", "a number that is too long"),
        ("[]", "no schema"),
        ('"text"', "no schema"),
        ("\x00", "is not JSON"),
    ],
)
def test_a_file_that_is_no_such_document_is_refused(content: str, said: str, called: Callable[..., Any]) -> None:
    Path("team.json").write_text(content)
    ended = called("calibrations", "import", "team.json")
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 2


def test_what_was_exported_is_imported_however_much_it_is(called: Callable[..., Any]) -> None:
    """Some sixty sweeps: more than ten thousand points."""
    many = [
        replace(SWEPT, id=f"sweep{a}{b}{c}", measured=tuple(swept(170))) for a in "abcd" for b in "abcd" for c in "abcd"
    ]
    with store() as opened:
        opened.insert([Stored(calibration=c, state=DONE) for c in many])
    assert called("calibrations", "export", "all.json").code == 0
    (Path(os.environ["HOME"]) / ".local/share/zenplan/calibrations.sqlite").unlink()
    ended = called("calibrations", "import", "all.json")
    assert (ended.code, ended.err) == (0, "")
    with store() as opened:
        found = sorted(opened.all(), key=lambda c: c.id)
    assert sum(len(c.measured) for c in found) == 64 * 170
    assert found == sorted(many, key=lambda c: c.id)


def swept(count: int) -> Iterator[Measured]:
    for n in range(count):
        point = Point(key=f"product {n}", role="operator", batch=8, features={"products": 1e9})
        yield Measured(point=point, samples=(Sample(round=0, wall_s=0.1, cpu_s=0.1),))


def test_no_more_is_exported_than_is_imported(filled: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("team.json").write_text("good", encoding="utf-8")
    size = len(filled("calibrations", "export", "-").out.encode())
    monkeypatch.setattr("zenplan.commands.calibrations.document.MOST_BYTES", size)
    assert filled("calibrations", "export", "-").code == 0
    monkeypatch.setattr("zenplan.commands.calibrations.document.MOST_BYTES", size - 1)
    ended = filled("calibrations", "export", "team.json")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 2)
    assert "name their ids" in ended.err
    assert Path("team.json").read_text(encoding="utf-8") == "good"
    assert filled("calibrations", "export", "team.json", "abcdefgh").code == 0


SECRET = "building models:build raised OperationalError: no route to postgres://me:hunter2@db (/home/me/models.py:3)"


def test_what_is_shared_has_no_text_of_the_users_code(called: Callable[..., Any]) -> None:
    failed = Measured(point=Point(key="depth=2 batch=8", depth=2, batch=8), failure=SECRET)
    told = replace(
        failed,
        point=replace(failed.point, key="depth=4 batch=8"),
        failure_kind=FailureKind.RAISED,
        failure_type="OperationalError",
    )
    mine = replace(ONE, subject="/home/me/secret project/unet.keras", measured=(failed, told))
    with store() as opened:
        opened.insert([Stored(calibration=mine, state=DONE)])
    for argv in (("export", "-"), ("list", "--format", "json")):
        document = json.loads(called("calibrations", *argv).out)
        assert wrong(document) == []
        assert "hunter2" not in str(document)
        assert "/home" not in str(document)
        (one,) = document["calibrations"]
        assert one["subject"] == "unet.keras"
        assert [m["failure"] for m in one["measured"]] == ["failed", "raised: OperationalError"]
        assert [m["failure_kind"] for m in one["measured"]] == ["", "raised"]
    # Here, where it was measured, it is told in full.
    assert "hunter2" in called("calibrations", "show", "abcdefgh", "--format", "json").out
    # One's own file is no other content, and what was imported is shared again as it came.
    assert called("calibrations", "export", "mine.json").code == 0
    assert called("calibrations", "import", "mine.json").out == "imported: none\nhere already: abcdefgh\n"
    called("calibrations", "rm", "abcdefgh")
    assert called("calibrations", "import", "mine.json").code == 0
    again = json.loads(called("calibrations", "export", "-").out)["calibrations"][0]
    assert again["measured"] == one["measured"]


def test_a_file_of_the_time_before_kinds_of_failures_is_imported(filled: Callable[..., Any]) -> None:
    document = exported(filled)
    for each in document["calibrations"]:
        for measured in each["measured"]:
            measured.pop("failure_kind")
            measured["failure"] = measured["failure"] and "out of memory"
    filled("calibrations", "rm", "abcdefgh", "sweepaaa")
    Path("team.json").write_text(json.dumps(document), encoding="utf-8")
    assert filled("calibrations", "import", "team.json").code == 0
    with store() as opened:
        assert [m.failure for m in opened.get("abcdefgh").measured if m.failure] == ["out of memory"]


@pytest.mark.parametrize("bad", ["damaged", "newer", "held"])
def test_an_export_of_a_store_that_cannot_be_read_keeps_the_file(
    bad: str, filled: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert filled("calibrations", "export", "team.json").code == 0
    before = Path("team.json").read_bytes()
    path = Path(os.environ["HOME"]) / ".local/share/zenplan/calibrations.sqlite"
    monkeypatch.setattr("zenplan.adapters.store.opening._SILENT_S", 0.05)
    monkeypatch.setattr("zenplan.adapters.store.opening._PATIENCE_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        if bad == "newer":
            db.execute("PRAGMA user_version = 99")
        elif bad == "held":
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("BEGIN IMMEDIATE")
        else:
            path.write_bytes(b"no database at all" * 300)
        for name in ("team.json", "-"):
            ended = filled("calibrations", "export", name)
            assert (ended.code, ended.out) == (1, "")
            said = [line for line in ended.err.splitlines() if not line.startswith("waiting for ")]
            assert len(said) == 2
            assert said[0].startswith("error: nothing is exported: ")
            assert said[1].startswith("hint: ")
    assert Path("team.json").read_bytes() == before


def test_a_damaged_row_is_named_and_the_rest_is_exported(filled: Callable[..., Any]) -> None:
    path = Path(os.environ["HOME"]) / ".local/share/zenplan/calibrations.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE measured SET checksum = 0 WHERE record = 'abcdefgh' AND kind = 'note'")
    line = "calibration abcdefgh: 1 of its rows is damaged (note)"
    assert f"left out: {line}" in " ".join(filled("calibrations", "list").out.split())
    for argv in (("export", "team.json"), ("show", "abcdefgh")):
        ended = filled("calibrations", *argv)
        assert (ended.code, ended.err) == (0, f"warning: left out: {line}\n")
    document = json.loads(Path("team.json").read_text(encoding="utf-8"))
    assert document["left_out"] == [line]
    assert [len(c["measured"]) for c in document["calibrations"]] == [5, 1]
    assert filled("calibrations", "rm", "abcdefgh").code == 0
    assert "left out" not in filled("calibrations", "list").out


def test_what_is_no_regular_file_is_refused(called: Callable[..., Any]) -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    with Path("large").open("wb") as file:
        file.truncate(65 * 10**6)
    Path("loop").symlink_to("loop")
    Path("binary").write_bytes(b"\xff\xfe\x00")
    for name, said in (
        ("folder", "is a directory"),
        ("pipe", "not a regular file"),
        ("large", "no more than 64.0 MB"),
        ("loop", "cannot be read"),
        ("nowhere", "does not exist"),
        ("binary", "not text"),
    ):
        ended = called("calibrations", "import", name)
        assert (ended.code, ended.out) == (1, "")
        assert said in ended.err, name
