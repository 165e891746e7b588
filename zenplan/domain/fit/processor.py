"""What is assumed of a processor (CPU), of which no run was fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from zenplan.domain.fit.efficiency import Efficiency

PROCESSOR: Final = "a processor, of which no run was fitted"
# What that makes of an interval's width: as far as a factor of two and more either way (assumed).
WIDER: Final = 3.0


def on_processor(fitted: Efficiency) -> Efficiency:
    """The efficiency of a processor: the shares of peak and bandwidth that accelerators reach, in a wider interval.

    No pipeline of tensor cores has to fill along a product's inner dimension; and an operator's call, which a GPU's
    work hides, comes before its work on the same cores.
    """
    interval = fitted.interval
    return replace(
        fitted,
        fill_elements=0.0,
        operator_s=fitted.launch_s,
        launch_s=0.0,
        interval=replace(interval, factors={**interval.factors, PROCESSOR: WIDER}),
        source=f"{fitted.source}; assumed to hold on a processor",
    )
