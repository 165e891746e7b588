"""Tables of measured runs, scored: from files to nouns."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.runs.rows import measured_run
from zenplan.adapters.runs.table import TableRow
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, runs
from zenplan.commands.backtest.use_case import backtest, score_runs
from zenplan.domain.answer.backtest import Backtest, Kind, ScoredRow
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import MeasuredRun
from zenplan.planning.physics.interval import spread_of

PUBLISHED = Path(__file__).parents[3] / "benchmarks" / "published"
CATALOGUE = Catalogue(accelerators=read_accelerators())
ROW = {
    "id": "gpt",
    "source": "paper",
    "family": "decoder",
    "model": "GPT-1.3B",
    "params": "1.3e9",
    "layers": "24",
    "width": "2048",
    "heads": "16",
    "ff_width": "8192",
    "vocab": "50304",
    "seq_len": "2048",
    "accelerator": "A100-SXM4-80GB",
    "devices": "8",
    "precision": "bf16",
    "framework": "Megatron-LM 2023",
    "global_batch": "64",
    "micro_batch": "4",
    "dp": "8",
    "tp": "1",
    "pp": "1",
    "zero_stage": "1",
    "recompute": "none",
    "tokens_per_s_per_device": "15000",
}


def scored(path: Path, rows: Sequence[Mapping[str, str]], by: Sequence[str] = ()) -> Backtest:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    return backtest(path, CATALOGUE, read_coefficients(), by)


def test_a_run_is_predicted_from_what_its_row_says(tmp_path: Path) -> None:
    found = scored(tmp_path / "t.csv", [ROW])
    (row,) = found.rows
    assert (found.kinds, row.kind) == ((Kind.THROUGHPUT,), Kind.THROUGHPUT)
    assert (row.id, row.line, row.source, row.generation, row.scale) == ("gpt", 2, "paper", "Ampere", "one node")
    assert (row.size, row.software, row.precision, row.devices) == ("1B to 20B", "fused", "bf16", 8)
    assert row.layout.startswith("dp8 mb4×2 ZeRO-1")
    # One sample is one sequence.
    assert row.measured == pytest.approx(15000 / 2048)
    assert row.tokens_per_sample == 2048
    # 6·N·D at 100 % of 312 TFLOP/s is a bound; a tenth of it would be a fault.
    bound = 312e12 / (6 * 1.3e9) / 2048
    assert 0.1 * bound < row.predicted.low < row.predicted.mid < row.predicted.high < bound
    assert row.error == pytest.approx(math.log(row.predicted.mid / row.measured))


def test_the_interval_is_that_of_the_times_turned_round() -> None:
    (run,) = (r for r in runs([measured_run(ROW, CATALOGUE)], read_coefficients()) if isinstance(r, Run))
    times = spread_of(run.plan, run.cluster)
    (row,) = score_runs([TableRow(2, ROW)], CATALOGUE, read_coefficients())
    assert isinstance(row, ScoredRow)
    assert row.predicted.mid / row.predicted.low == pytest.approx(times.high)
    assert row.predicted.mid / row.predicted.high == pytest.approx(times.low)


def test_the_measurement_does_not_change_the_prediction(tmp_path: Path) -> None:
    # Also where the row leaves the layout open.
    free = ROW | dict.fromkeys(("micro_batch", "dp", "tp", "pp", "zero_stage", "recompute", "global_batch"), "")
    for row in (ROW, free):
        both = scored(tmp_path / "t.csv", [row, row | {"tokens_per_s_per_device": "100"}]).rows
        assert both[0].predicted == both[1].predicted
        assert both[0].layout == both[1].layout
        assert both[1].measured == pytest.approx(100 / 2048)


def test_samples_do_where_tokens_are_not_there(tmp_path: Path) -> None:
    (row,) = scored(tmp_path / "t.csv", [ROW | {"tokens_per_s_per_device": "", "samples_per_s_per_device": "7"}]).rows
    assert row.measured == pytest.approx(7)


def test_both_tables_of_columns_say_the_same(tmp_path: Path) -> None:
    ours = ROW | {
        "devices": "16",
        "dp": "16",
        "node_devices": "8",
        "network_gbit_per_s_per_device": "200",
        "gated": "no",
    }
    theirs = {k: v for k, v in ours.items() if k not in ("width", "ff_width", "node_devices", "gated")}
    del theirs["network_gbit_per_s_per_device"]
    theirs |= {"d_model": "2048", "d_ff": "8192", "network": "NVLink3 + 8x200G HDR IB/node", "notes": "ignored"}
    (a,), (b,) = (scored(tmp_path / "t.csv", [row]).rows for row in (ours, theirs))
    assert a.predicted == b.predicted
    assert a.scale == "several nodes"


def test_every_row_is_scored_or_skipped_with_its_line(tmp_path: Path) -> None:
    bad = [
        ({"params": "many"}, "params is not a number: 'many'"),
        ({"devices": "-8"}, "devices must be above zero"),
        ({"seq_len": "nan"}, "seq_len must be above zero"),
        ({"dp": "4"}, "tp·pp·dp = 4, not 8 devices"),
        ({"dp": "4", "tp": "", "pp": ""}, "= 4, not 8 devices"),
        ({"accelerator": "H1000"}, "unknown accelerator 'H1000'"),
        ({"tokens_per_s_per_device": ""}, "no measurement"),
        ({"family": "cnn"}, "family convnet: no built-in model has the name GPT-1.3B, and flop_per_sample or"),
        ({"family": "rnn", "layers": ""}, "family recurrent: no built-in model has the name GPT-1.3B"),
        ({"family": "fuzzy"}, "family fuzzy cannot be predicted yet"),
        ({"precision": "fp8"}, "no fp8 peak"),
        ({"precision": "int3"}, "precision 'int3' is not known"),
        ({"seq_len": ""}, "no seq_len"),
        ({"params": "7B"}, "params of 7.00B, but the shape has 1.31B"),
        ({"params": "7B", "model": "gpt2-xl", "layers": ""}, "params of 7.00B, but the published gpt2-xl has 1.5"),
        ({"tokens_per_s_per_device": "60000"}, "faster than the device's peak: 1.6 times the dense bf16"),
    ]
    rows = [ROW, *(ROW | {"id": f"bad {i}"} | change for i, (change, _) in enumerate(bad)), ROW]
    found = scored(tmp_path / "t.csv", rows)
    assert [r.line for r in found.rows] == [2, len(bad) + 3]
    assert [(s.id, s.line) for s in found.skipped] == [(f"bad {i}", i + 3) for i in range(len(bad))]
    for skip, (_, reason) in zip(found.skipped, bad, strict=True):
        assert reason in skip.reason


def test_what_is_assumed_is_said(tmp_path: Path) -> None:
    (row,) = scored(tmp_path / "t.csv", [ROW | {"micro_batch": "", "framework": "", "family": ""}]).rows
    assert "family is empty: decoder, as it has the shape of one" in row.assumed
    assert any(text.startswith("micro_batch is empty") for text in row.assumed)


def test_a_lora_row_is_predicted_with_adapters(tmp_path: Path) -> None:
    full, lora = scored(tmp_path / "t.csv", [ROW, ROW | {"task": "lora"}]).rows
    # No gradients of frozen weights, 4·N·D for 6·N·D, but thin products and their launches beside.
    assert full.predicted.mid < lora.predicted.mid < 1.5 * full.predicted.mid
    assert any(text.startswith("lora_rank is empty") for text in lora.assumed)


def test_groups_and_progress(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"source": "other", "accelerator": "H100-SXM5-80GB"}] * 2_100
    path = tmp_path / "t.csv"
    groups = scored(path, rows, ["source", "generation"]).groups
    assert [(g.by, g.name, g.sources, g.summary.rows) for g in groups] == [
        ("all", "all", 2, 4_200),
        ("source", "other", 1, 2_100),
        ("source", "paper", 1, 2_100),
        ("generation", "Ampere", 1, 2_100),
        ("generation", "Hopper", 1, 2_100),
    ]
    shares: list[float] = []
    again = backtest(path, CATALOGUE, read_coefficients(), progress=shares.append)
    assert len(again.rows) == 4_200
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_published_runs_are_near_their_predictions() -> None:
    found = backtest(PUBLISHED / "language_models.csv", CATALOGUE, read_coefficients())
    assert len(found.rows) > 600
    summary = found.groups[0].summary
    # They were fitted to these; a fault of the command would show as far worse.
    assert summary.median < 0.15
    assert summary.coverage is not None
    assert summary.coverage > 0.7


def test_whole_runs_are_scored_in_gpu_hours(tmp_path: Path) -> None:
    llama = {
        "id": "l",
        "source": "card",
        "family": "meta",
        "model": "Llama-2-7B",
        "arch": "dense",
        "params": "6.738e9",
        "tokens": "2e12",
        "gpu": "A100-SXM4-80GB",
        "n_gpus": "",
        "gpu_hours": "184320",
        "seq_len": "4096",
    }
    found = scored(tmp_path / "t.csv", [llama, llama | {"tokens": "lots"}, llama | {"n_gpus": "1024"}])
    assert found.kinds == (Kind.WHOLE_RUN,)
    first, second = found.rows
    assert (first.kind, first.measured, first.devices, second.devices) == (Kind.WHOLE_RUN, 184320, None, 1024)
    assert first.steady
    assert first.steady.mid < first.predicted.mid
    assert 0.5 < first.predicted.mid / first.measured < 2
    assert [(s.line, "tokens" in s.reason) for s in found.skipped] == [(3, True)]
    assert found.groups[0].steady
    odd = scored(tmp_path / "t.csv", [llama | {"gpu": "A100-80GB-?"}, llama | {"gpu": "H100-SXM-80GB"}])
    assert odd.rows[0].assumed[0] == "A100-80GB-?: the form factor is not stated: A100-SXM4-80GB"
    assert "did you mean H100-SXM5-80GB" in odd.skipped[0].reason


def test_rows_need_no_file() -> None:
    rows = [TableRow(7, ROW), TableRow(9, problem="broken"), TableRow(8, ROW | {"devices": "x"})]
    scored_row, *skipped = score_runs(rows, CATALOGUE, read_coefficients())
    assert isinstance(scored_row, ScoredRow)
    assert scored_row.line == 7
    assert [(s.line, s.id) for s in skipped] == [(9, "line 9"), (8, "gpt")]


def test_a_table_may_have_both_kinds_of_rows(tmp_path: Path) -> None:
    whole = {
        "id": "w",
        "model": "Llama-2-7B",
        "family": "decoder",
        "params": "6.738e9",
        "tokens": "2e12",
        "seq_len": "4096",
        "accelerator": "A100-SXM4-80GB",
        "devices": "256",
        "precision": "bf16",
        "gpu_hours": "184320",
    }
    found = scored(tmp_path / "t.csv", [ROW, whole, ROW | {"gpu_hours": "-"}])
    assert [(r.line, r.kind) for r in found.rows] == [(2, Kind.THROUGHPUT), (3, Kind.WHOLE_RUN), (4, Kind.THROUGHPUT)]
    assert set(found.kinds) == {Kind.THROUGHPUT, Kind.WHOLE_RUN}
    alone = scored(tmp_path / "t.csv", [whole | {"seq_len": "4k"}]).rows[0]
    assert "seq_len of 4k: 4,096 tokens" in alone.assumed
    assert found.rows[1].predicted == alone.predicted


def test_rows_that_are_alike_are_predicted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(measured: Collection[MeasuredRun], *rest: Any) -> Any:
        asked.append(len(measured))
        return runs(measured, *rest)

    monkeypatch.setattr("zenplan.commands.backtest.use_case.runs", counted)
    faster = ROW | {"id": "b", "tokens_per_s_per_device": "16000"}
    wider = ROW | {"micro_batch": "8"}
    found = score_runs(
        [TableRow(i, row) for i, row in enumerate((ROW, faster, wider, ROW), 2)], CATALOGUE, read_coefficients()
    )
    rows = [row for row in found if isinstance(row, ScoredRow)]
    assert asked == [2]
    assert [row.id for row in rows] == ["gpt", "b", "gpt", "gpt"]
    assert [round(row.measured * 2048) for row in rows] == [15000, 16000, 15000, 15000]
    assert rows[0].predicted == rows[1].predicted == rows[3].predicted != rows[2].predicted


def test_params_may_leave_out_the_embedding() -> None:
    # 24 · 12 · 2048² weights in the layers, 50304 · 2048 in the embedding.
    for params in ("1.208e9", "1.311e9", "1.414e9"):
        (row,) = score_runs([TableRow(2, ROW | {"params": params})], CATALOGUE, read_coefficients())
        assert isinstance(row, ScoredRow)


def test_experts_that_devices_do_not_share_evenly_are_noted() -> None:
    mixture = ROW | {
        "family": "moe-decoder",
        "model": "mixtral-8x7b",
        "params": "",
        "ep": "3",
        "devices": "12",
        "dp": "12",
        "global_batch": "48",
        "tokens_per_s_per_device": "100",
    }
    (row,) = score_runs([TableRow(2, mixture)], CATALOGUE, read_coefficients())
    assert isinstance(row, ScoredRow)
    assert row.notes == ("ep = 3 does not divide the 8 experts",)


CONVNET = {
    "id": "r50",
    "source": "paper",
    "family": "cnn",
    "model": "resnet50 (tf_cnn_benchmarks)",
    "sample_unit": "images",
    "params": "25.6e6",
    "flop_per_sample_fwd": "7.7e9",
    "input": "224x224x3",
    "accelerator": "V100-SXM2-16GB",
    "devices": "8",
    "precision": "fp16",
    "framework": "tensorflow",
    "global_batch": "1024",
    "samples_per_s_per_device": "700",
}


def test_a_convnet_is_scored_in_images(tmp_path: Path) -> None:
    (row,) = scored(tmp_path / "t.csv", [CONVNET]).rows
    assert (row.family, row.unit, row.tokens_per_sample, row.measured) == ("convnet", "images", None, 700)
    assert row.layout == "dp8 mb128×1"
    assert row.predicted.low < row.predicted.mid < row.predicted.high


def test_a_model_of_other_flop_than_the_row_is_no_model_of_it(tmp_path: Path) -> None:
    rows = [CONVNET | {"flop_per_sample_fwd": "30e9"}, CONVNET | {"params": "60e6"}]
    first, second = scored(tmp_path / "t.csv", rows).skipped
    assert first.reason.startswith("flop_per_sample of 30.0B, but resnet50")
    assert "params of 60.0M" in second.reason


def test_only_in_fp32_may_a_convolution_be_faster_than_its_flop(tmp_path: Path) -> None:
    # VGG16 on a 2080 Ti: 1.3 times the peak by the FLOP of direct convolutions, with Winograd's it is not.
    vgg = CONVNET | {
        "model": "vgg16",
        "params": "138e6",
        "flop_per_sample_fwd": "30.9e9",
        "devices": "1",
        "global_batch": "56",
        "accelerator": "RTX-2080-Ti",
    }
    fast = [
        vgg | {"precision": "fp32", "samples_per_s_per_device": "190"},
        vgg | {"precision": "fp16", "samples_per_s_per_device": "760"},
    ]
    found = scored(tmp_path / "t.csv", fast)
    assert [row.precision for row in found.rows] == ["fp32"]
    assert "faster than the device's peak: 1.3 times" in found.skipped[0].reason


GEMM = {
    "id": "g",
    "source": "bench",
    "op": "GEMM",
    "gpu": "V100-PCIe-16GB?",
    "precision": "fp32",
    "m": "4096",
    "n": "1024",
    "k": "4096",
    "spec": "",
    "batch": "",
    "hidden": "",
    "timesteps": "",
    "fwd_ms": "2.7",
    "bwd_inputs_ms": "",
    "bwd_weights_ms": "",
}
CONV = GEMM | {
    "id": "c",
    "op": "CONV",
    "m": "",
    "n": "",
    "k": "",
    "batch": "16",
    "fwd_ms": "0.4",
    "spec": "W=56,H=56,C=64,K=64,S=3,R=3,pad=1/1,stride=1/1",
    "bwd_inputs_ms": "0.5",
    "bwd_weights_ms": "0.6",
}


def test_operators_have_a_row_for_each_pass(tmp_path: Path) -> None:
    bad = [GEMM | {"k": ""}, CONV | {"fwd_ms": "", "bwd_inputs_ms": "", "bwd_weights_ms": ""}, GEMM | {"op": "FFT"}]
    found = scored(tmp_path / "t.csv", [GEMM, bad[0], CONV, *bad[1:]], ("family", "task"))
    assert found.kinds == (Kind.OPERATOR,)
    assert [(r.line, r.family, r.task, r.measured) for r in found.rows] == [
        (2, "GEMM", "forward", 2.7),
        (4, "CONV", "forward", 0.4),
        (4, "CONV", "input gradient", 0.5),
        (4, "CONV", "weight gradient", 0.6),
    ]
    assert {g.name for g in found.groups} >= {"GEMM", "CONV", "forward", "weight gradient"}
    assert [(s.line, s.reason) for s in found.skipped] == [
        (3, "k is empty"),
        (5, "no measurement: fwd_ms, bwd_inputs_ms, bwd_weights_ms are empty"),
        (6, "operator 'FFT' cannot be predicted"),
    ]
    assert all(0.25 < row.predicted.mid / row.measured < 3 for row in found.rows)


@pytest.mark.parametrize(("name", "most_skipped"), [("keras_backends.csv", 1), ("operators.csv", 0)])
def test_every_published_row_can_be_predicted(name: str, most_skipped: int) -> None:
    found = backtest(PUBLISHED / name, CATALOGUE, read_coefficients())
    assert len(found.skipped) <= most_skipped, found.skipped[0]
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as file:
        rows = sum(1 for _ in csv.DictReader(file))
    assert len({row.line for row in found.rows}) + len(found.skipped) == rows
