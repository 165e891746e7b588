"""What was left out of a fit was not seen by it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.coefficients import GENERATION
from zenplan.errors import InputFileError
from zenplan.fitting.fit import errors_of
from zenplan.fitting.left_out import (
    NEW,
    fitted_stages,
    interval_of,
    left_out,
    observed_errors,
    part_of,
    with_intervals,
)
from zenplan.fitting.prior import Stage, start
from zenplan.fitting.published import (
    MAX_ROWS,
    Box,
    generation,
    locked,
    published_runs,
    publisher,
    rows_of,
    source,
    study,
    thinned,
)
from zenplan.planning.physics.interval import BEYOND, UNSEEN


def predicted(errors: list[tuple[Run, float]]) -> dict[str, float]:
    """ln of the predicted speed of each run, by id."""
    return {run.measured.id: error + math.log(run.tokens_per_s) for run, error in errors}


def test_a_source_that_is_left_out_is_never_seen(toy: list[Run], stage: Stage) -> None:
    """Its measured speeds may be anything: what is predicted for it stays to the last bit, for others it moves."""
    wrong = [replace(r, tokens_per_s=r.tokens_per_s * (3.0 if source(r) == "maker1:log" else 1.0)) for r in toy]
    before, after = (predicted(left_out(runs, source, stage, start(), processes=1)) for runs in (toy, wrong))
    own = {r.measured.id for r in toy if source(r) == "maker1:log"}
    assert len(own) == 3
    assert all(after[name] == pytest.approx(before[name], abs=1e-12) for name in own)
    assert all(abs(after[name] - before[name]) > 1e-4 for name in before.keys() - own)


def test_every_run_is_left_out_once(toy: list[Run], stage: Stage) -> None:
    found = left_out(toy, source, stage, start(), processes=1)
    assert sorted(run.measured.id for run, _ in found) == sorted(run.measured.id for run in toy)
    # The toy is lawful, so that the others' rows say what the missing ones are.
    assert max(abs(error) for _, error in found) < 0.05


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking where a test runner has threads
def test_processes_find_the_same(toy: list[Run], stage: Stage) -> None:
    alone, together = (left_out(toy, source, stage, start(), processes=n) for n in (1, 2))
    assert [(run.measured.id, error) for run, error in alone] == [(run.measured.id, error) for run, error in together]


def test_where_nothing_is_left_the_fit_is_where_it_began(toy: list[Run], stage: Stage) -> None:
    found = left_out(toy, lambda run: "all", stage, start(), processes=1)
    assert found == errors_of(toy, start())


def test_a_generation_that_is_left_out_has_the_trait_of_one_that_is_not_known(toy: list[Run], stage: Stage) -> None:
    observed = observed_errors(toy, stage, start(), processes=1)
    # Nobody of them has a second document, or a second model.
    assert observed.keys() == {NEW, "generation"}
    assert all(UNSEEN["generation"] in each.traits for each in observed["generation"])
    assert not any(UNSEEN["generation"] in each.traits for each in observed[NEW])
    # Its own factor is not known, which costs what the generations differ by: 0.9 to 1.1, mostly in products.
    by_generation = np.median([abs(each.error) for each in observed["generation"]])
    assert by_generation > 3 * np.median([abs(each.error) for each in observed[NEW]])


def test_runs_above_the_scale_are_predicted_from_those_below(toy: list[Run], stage: Stage) -> None:
    def on_nodes(run: Run, nodes: int) -> Run:
        cluster = replace(run.cluster, nodes=nodes, used=8 * nodes, network_bytes_per_s=50e9)
        layouts = tuple(replace(layout, dp=8 * nodes) for layout in run.layouts)
        return replace(run, cluster=cluster, layouts=layouts)

    large = [on_nodes(run, 32) if i < 2 else run for i, run in enumerate(toy)]
    observed = observed_errors(large, stage, start(), processes=1)
    assert [each.run.devices for each in observed["scale"]] == [256, 256]
    assert all(each.traits[BEYOND] == pytest.approx(math.log10(256 / 8)) for each in observed["scale"])


def test_all_stages_follow_each_other(folder: Path, stage: Stage) -> None:
    later = replace(stage, common=("attention",), groups={})
    first, second = fitted_stages(folder, (stage, later), processes=1)
    assert second.begin == first.fitted
    assert second.fitted.all["matmul"] == first.fitted.all["matmul"]
    assert second.fitted.all["attention"] != first.fitted.all["attention"]
    whole = with_intervals(first, second)
    assert whole.all == second.fitted.all
    assert whole.interval == interval_of(first.observed)
    assert whole.other_interval == interval_of(second.observed)
    assert whole.interval.basis == "80 % of 12 published runs of 4 publishers, each left out of the fit"
    assert {f"{GENERATION}/Ampere", f"{GENERATION}/Hopper"} <= whole.interval.seen


# --- the runs that are read


def test_a_row_that_cannot_be_predicted_is_no_run(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "toy.csv").read_text(encoding="utf-8").splitlines()
    lines[3] = lines[3].replace("A100-SXM4-80GB", "Abacus-1")
    (tmp_path / "toy.csv").write_text("\n".join(lines), encoding="utf-8")
    found = published_runs([tmp_path / "toy.csv"], start())
    assert [run.measured.id for run in found] == [f"toy-{i:02d}" for i in range(12) if i != 2]


def test_a_table_that_is_not_there_is_an_error(tmp_path: Path, stage: Stage) -> None:
    with pytest.raises(InputFileError, match=r"toy\.csv"):
        fitted_stages(tmp_path, (stage,), processes=1)
    (tmp_path / "toy.csv").write_text("id,speed\n1,2\n", encoding="utf-8")
    with pytest.raises(InputFileError, match="no column accelerator"):
        rows_of(tmp_path / "toy.csv")


def test_a_long_source_is_thinned_evenly(toy: list[Run], as_if: Callable[..., Run]) -> None:
    long = [as_if(toy[0], id=str(i), source="long") for i in range(4 * MAX_ROWS)]
    short = [as_if(toy[1], id="short")]
    kept = [run.measured.id for run in thinned([*long, *short])]
    assert kept == [*map(str, range(0, 4 * MAX_ROWS, 4)), "short"]


def test_small_models_over_a_network_that_nobody_named_teach_nothing(toy: list[Run], as_if: Callable[..., Run]) -> None:
    over_nodes = replace(toy[0], cluster=replace(toy[0].cluster, node_devices=4, nodes=2, network_bytes_per_s=25e9))
    convnet = as_if(over_nodes, family="convnet")
    named = as_if(convnet, network_bytes_per_s=25e9 / 8)
    assert thinned([convnet, named, over_nodes]) == [named, over_nodes]


def test_logs_of_one_folder_are_one_study(toy: list[Run], as_if: Callable[..., Run]) -> None:
    logs = [as_if(toy[0], family="convnet", source=f"nvidia/examples:resnet/{n}.json") for n in ("a100", "v100")]
    assert {study(run) for run in logs} == {"nvidia/examples:resnet"}
    assert {source(run) for run in logs} == {"nvidia/examples:resnet/a100.json", "nvidia/examples:resnet/v100.json"}
    # Of language models a document is a study of its own, and of a source that nobody knows, a publisher too.
    assert study(toy[0]) == publisher(toy[0]) == source(toy[0])
    assert publisher(as_if(toy[0], publisher="NVIDIA")) == "NVIDIA"
    assert {generation(run) for run in toy} == {"Ampere", "Hopper"}


def test_the_locked_box_is_read_alone_or_not_at_all(tmp_path: Path) -> None:
    table = tmp_path / "runs.csv"
    published = Path(__file__).parents[2] / "benchmarks" / "published" / "language_models.csv"
    with published.open(encoding="utf-8") as file:
        header, *rows = file.readlines()
    some = [next(row for row in rows if maker in row) for maker in ("NVIDIA/Megatron-LM", "InternLM/", "mosaicml/")]
    table.write_text("".join([header, *some]), encoding="utf-8")
    (tmp_path / "publishers.csv").write_text("source,publisher\nNVIDIA/,NVIDIA\nmosaicml/,MosaicML\n", encoding="utf-8")
    (tmp_path / "locked_box.csv").write_text("publisher,locked\nNVIDIA,no\nMosaicML,yes\n", encoding="utf-8")
    assert locked(tmp_path) == {"MosaicML"}
    found = {box: [publisher(run) for run in published_runs([table], start(), box)] for box in Box}
    # Whoever is not in the list of publishers is not locked.
    assert found[Box.CLOSED][0] == "NVIDIA"
    assert found[Box.CLOSED][1].startswith("InternLM/")
    assert found[Box.ONLY] == ["MosaicML"]
    assert found[Box.OPEN] == [*found[Box.CLOSED], "MosaicML"]


def test_of_a_known_publisher_a_document_is_left_out_or_a_model(toy: list[Run], as_if: Callable[..., Run]) -> None:
    two = [as_if(toy[0], publisher="A", source=f"a:{name}@{commit}") for name, commit in (("x", 1), ("x", 2), ("y", 3))]
    one = [as_if(toy[0], publisher="B", source="b:z", layers=layers) for layers in (12, 24)]
    part = part_of([*two, *one])
    # Two revisions of a document are one; of a publisher with one document a model is left out.
    assert part(two[0]) == part(two[1]) != part(two[2])
    assert part(one[0]) != part(one[1])
