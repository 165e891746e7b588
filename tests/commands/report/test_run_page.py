"""``zenplan report RUN``: a training run as a page."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def headings(page: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", page)


def test_a_finished_run_has_all_sections(called: Call, rows_run: Path) -> None:
    done = called("report", str(rows_run), "-o", "run.html")
    assert (done.code, done.err) == (0, "")
    page = Path("run.html").read_text(encoding="utf-8")
    first = ["Loss", "Metrics", "Predicted and actual", "Data", "Which classes are taken for which"]
    assert headings(page)[:6] == [*first, "What its answers come from"]
    assert headings(page)[-1] == "Limits"
    result = json.loads((rows_run / "result.json").read_text())
    # The matrix and the run's own figure are of the same samples.
    matrix = page.partition("Which classes are taken for which")[2].partition("<h2>")[0]
    right = [float(each) for each in re.findall(r"(\d+(?:\.\d+)?) %</td></tr>", matrix)]
    assert len(right) == 2
    assert (result["metrics"]["test"]["accuracy"] == 1.0) == (min(right) == 100.0)
    assert "src=" not in page.replace('src="data:', "")


def test_without_its_model_no_worker_is_asked(called: Call, rows_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(rows_run, copy)
    shutil.rmtree(copy / "model")
    done = called("report", str(copy), "--no-model")
    assert done.code == 0
    assert headings(done.out)[-1] == "Limits"
    done = called("report", str(copy))
    assert done.code == 0
    assert "What the model answers" in headings(done.out)
    assert "is gone" in done.out


def test_one_that_was_stopped_says_so_and_a_name_cannot_break_the_page(
    called: Call, rows_run: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(rows_run, copy)
    for name in ("status.json", "result.json"):
        text = json.loads((copy / name).read_text())
        inner = text if name == "status.json" else text["status"]
        inner |= {"state": "stopped", "reason": "sigint", "step": 7, "name": "<script>alert(1)</script>"}
        (copy / name).write_text(json.dumps(text))
    done = called("report", str(copy))
    assert done.code == 0
    assert "<script>" not in done.out
    assert "stopped" in done.out
    assert "not finished, but stopped: step 7" in done.out


def test_neither_a_plan_nor_a_run(called: Call) -> None:
    for subject in ("nothing", "gone.json", "a run", "ab"):
        done = called("report", subject)
        assert (done.code, done.err.count("error:")) == (2 if subject == "nothing" else 1, 1)
        assert subject in done.err.splitlines()[0]
        assert "run" in done.err.splitlines()[1]
