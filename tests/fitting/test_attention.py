"""The fit of kernels of attention to published measurements of them."""

from pathlib import Path
from statistics import median

import pytest

from zenplan.domain.fit.attention import KERNELS
from zenplan.fitting.attention import fitted_kernel, kernel_errors, kernel_rows, left_out_kernels

ROWS = kernel_rows(Path(__file__).parents[2] / "benchmarks" / "published" / "attention_kernels.csv")
MEASURED = sorted({r.kernel for r in ROWS})


def test_every_row_is_of_a_kernel_that_is_known_and_has_a_source() -> None:
    assert set(MEASURED) == {name for name, k in KERNELS.items() if not k.source.startswith("assumed")}
    assert all(r.source and r.forward | r.backward for r in ROWS)
    assert all(r.flop_per_s < (r.accelerator.peak("bf16") or 0) for r in ROWS)


@pytest.mark.parametrize("name", MEASURED)
def test_the_figures_are_those_that_the_fit_comes_out_with(name: str) -> None:
    rows, kernel = [r for r in ROWS if r.kernel == name], KERNELS[name]
    errors = sorted(abs(kernel_errors(rows, kernel)))
    again = sorted(abs(kernel_errors(rows, fitted_kernel(rows, kernel))))
    assert median(errors) == pytest.approx(median(again), abs=0.015)
    assert median(errors) < 0.10


def test_the_law_carries_to_accelerators_that_it_has_not_seen() -> None:
    found = left_out_kernels(ROWS)
    of_nvidia = [abs(e) for r, e in found if r.accelerator.vendor == "NVIDIA"]
    assert len(of_nvidia) > 400
    assert median(of_nvidia) < 0.10


def test_windows_are_predicted_within_a_fifth_in_the_median() -> None:
    rows = [r for r in ROWS if r.op.window]
    errors = [abs(float(kernel_errors([r], KERNELS[r.kernel])[0])) for r in rows]
    assert len(rows) == 30
    assert median(errors) < 0.2
