"""Fit the kernels of attention to published measurements of them alone, and print how well that carries.

    python benchmarks/attention_kernels.py

What is printed goes into ``KERNELS`` of ``zenplan/domain/fit/attention.py``.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from tables import PUBLISHED

from zenplan.domain.fit.attention import KERNELS
from zenplan.fitting.attention import fitted_kernel, kernel_errors, kernel_rows, left_out_kernels


def main() -> None:
    """Print each kernel's figures, then the errors by accelerator, fitted and with the accelerator left out."""
    rows = kernel_rows(PUBLISHED / "attention_kernels.csv")
    left_out = defaultdict(list)
    for row, error in left_out_kernels(rows):
        left_out[row.kernel, row.accelerator.name].append(error)
    for name in KERNELS:
        of_kernel = [r for r in rows if r.kernel == name]
        if not of_kernel:
            continue
        k = fitted_kernel(of_kernel, KERNELS[name])
        print(
            f"{name:10s} forward={k.forward:.3g} backward={k.backward:.3g} softmax={k.softmax:.3g} ramp={k.ramp_keys:.0f}"
        )
        errors = kernel_errors(of_kernel, k)
        for accelerator in dict.fromkeys(r.accelerator.name for r in of_kernel):
            fitted = np.array([e for r, e in zip(of_kernel, errors, strict=True) if r.accelerator.name == accelerator])
            apart = np.abs(left_out.get((name, accelerator), [np.nan]))
            print(
                f"    {accelerator:16s} {len(fitted):4d} rows, median |ln error| {np.median(abs(fitted)):.3f} "
                f"({np.median(fitted):+.3f}), accelerator left out {np.median(apart):.3f}"
            )


if __name__ == "__main__":
    main()
