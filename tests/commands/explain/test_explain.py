"""``zenplan explain`` as its user sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import zenplan
from tests.commands.conftest import Ended
from zenplan.commands.explain.from_flags import write_picture
from zenplan.commands.explain.report import coloured, explanation_report
from zenplan.domain.measured.explanation import Attribution, Explanation, PartImportance, SampleExplanation
from zenplan.errors import UsageError

Called = Callable[..., Ended]


def of_text(*labels: str, **changes: Any) -> Explanation:
    values = tuple(0.1 * n for n in range(len(labels)))
    text = Attribution(
        name="x",
        values=values,
        shape=(len(labels),),
        labels=labels,
        given=values,
        given_shape=(len(labels),),
        tokens=True,
    )
    sample = SampleExplanation(
        number=0, target="a", score=1.0, baseline_score=0.0, inputs=(text,), completeness=0.01, randomised=0.1
    )
    given: dict[str, Any] = {"run": "r", "name": "m", "backend": "jax", "method": "gradients", "samples": (sample,)}
    return Explanation(**{**given, **changes})


def test_the_columns_that_tell_are_found(called: Called, rows_run: Path) -> None:
    done = called("explain", str(rows_run), "--samples", "12", "--format", "json", "-o", "why.html")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    tops = [
        max(zip(map(abs, each["inputs"][0]["values"]), each["inputs"][0]["labels"], strict=True))[1]
        for each in found["samples"]
    ]
    assert {*tops} <= {"age", "price"}
    assert [each["passed"] for each in found["checks"]] == [True, True]
    page = Path("why.html").read_text(encoding="utf-8")
    assert "<img" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_a_whole_part_is_shuffled(called: Called, rows_run: Path) -> None:
    done = called("explain", str(rows_run), "--method", "permutation", "--format", "csv")
    assert done.code == 0, done.err
    head, *lines = done.out.splitlines()
    assert head == "sample,input,place,label,value"
    values = {line.split(",")[3]: float(line.split(",")[4]) for line in lines}
    assert sorted(values, key=lambda name: values[name])[-2:] in (["price", "age"], ["age", "price"])


def test_a_text_of_ones_own(called: Called, texts_run: Path) -> None:
    done = called(
        "explain", str(texts_run), "--input", "the film was lovely", "--target", "positive", "--format", "json"
    )
    found = json.loads(done.out)
    (one,) = found["samples"][0]["inputs"]
    told = sorted(zip(one["values"], one["labels"], strict=True))
    assert found["samples"][0]["target"] == "positive"
    assert found["part"] == ""
    assert "lovely" in told[-1][1]
    done = called("explain", str(texts_run), "--samples", "1", "-o", "why.png")
    assert Path("why.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--input", '{"age": 1}'), "lacks"),
        (("--input", "nothing"), "neither a file nor JSON"),
        (("--steps", "3"), "64 or more"),
        (("--method", "magic"), "gradients"),
        (("--part", "other"), "part"),
        (("--target", "neither"), "no class 'neither'"),
        (("--target", "7"), "2 classes"),
        (("--samples", "-1"), "samples"),
        (("--method", "permutation", "--input", "{}"), "whole part"),
        (("-o", "why.docx"), "neither .html nor .png"),
    ],
)
def test_bad_input_gets_a_line_and_a_hint(called: Called, rows_run: Path, argv: tuple[str, ...], says: str) -> None:
    done = called("explain", str(rows_run), *argv)
    assert done.code in (1, 2)
    assert says in done.err
    assert done.err.count("error:") == 1
    assert len(done.err.strip().splitlines()) <= 2


def test_a_run_that_is_not_there_or_not_finished(called: Called, rows_run: Path, tmp_path: Path) -> None:
    assert called("explain", "no-such-run").code == 2
    other = tmp_path / "other"
    other.mkdir()
    for name in ("job.json", "result.json"):
        (other / name).write_bytes((rows_run / name).read_bytes())
    status = json.loads((rows_run / "status.json").read_text())
    (other / "status.json").write_text(json.dumps({**status, "state": "stopped", "step": 3}))
    done = called("explain", str(other))
    assert (done.code, "not finished, but stopped: step 3" in done.err, "--resume" in done.err) == (2, True, True)
    (other / "status.json").write_text(json.dumps(status))
    done = called("explain", str(other))
    assert (done.code in (1, 2), "is gone" in done.err) == (True, True)
    (other / "model").mkdir()
    (other / "model" / "model.keras").write_bytes(b"no zip")
    done = called("explain", str(other))
    assert (done.code in (1, 2), done.err.count("error:")) == (True, 1)


def test_a_failed_check_is_said_first_and_by_the_exit_code() -> None:
    sample = of_text("a", "b").samples[0]
    bad = of_text(samples=(replace(sample, completeness=0.4),), name="m")
    assert bad.believable is False
    assert "Do not believe it" in explanation_report(bad).verdict
    assert of_text("a", "b").believable is True
    assert of_text(samples=(replace(sample, completeness=None, randomised=None),)).believable is None


def test_what_a_page_and_a_terminal_are_given_cannot_break_them(tmp_path: Path) -> None:
    hostile = of_text("<script>alert(1)</script>", "\x1b[2J", "\u202eabc", "fine")
    write_picture(tmp_path / "why.html", hostile)
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\x1b[2J" not in coloured(hostile)
    with pytest.raises(UsageError):
        write_picture(tmp_path / "why.txt", hostile)
    table = str(zenplan.Explanation(**{n: getattr(hostile, n) for n in hostile.__dataclass_fields__}))
    assert "\x1b" not in table


def test_an_image_has_its_picture(tmp_path: Path) -> None:
    image = Attribution(
        name="x",
        values=tuple(float(n) for n in range(4)),
        shape=(2, 2),
        given=tuple(float(n) for n in range(16)),
        given_shape=(4, 4, 1),
    )
    assert image.is_image
    found = of_text("a", "b", samples=(), importance=PartImportance(loss=1.0, samples=4, inputs=(image,)))
    write_picture(tmp_path / "why.png", found)
    assert (tmp_path / "why.png").stat().st_size > 100


def test_a_check_that_was_not_made_is_said_with_its_reason() -> None:
    whole = of_text(*"abcdefgh")
    assert whole.not_checked == ""
    (sample,) = whole.samples
    unmade = replace(whole, samples=(replace(sample, randomised=None),))
    assert "was not checked" in unmade.not_checked
    few = of_text("a", "b", "c", samples=(replace(of_text("a", "b", "c").samples[0], randomised=None),))
    # Of the three the first adds nothing.
    assert "2 places" in few.not_checked
    report = explanation_report(few)
    assert "not made" in report.verdict
    assert any("2 places" in note for note in report.notes)
