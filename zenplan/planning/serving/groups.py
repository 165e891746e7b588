"""What a replica has in common with others: the groups by which serving coefficients may differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from zenplan.domain.fit.efficiency import Interval
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.serving.deployment import Deployment
from zenplan.domain.serving.efficiency import ServingFit

GENERATION, SOFTWARE, COMPUTED, WEIGHTS, LINK = "generation", "software", "computed", "weights", "link"
# Until version 0.6 of September 2024 vLLM sent the inputs of each step to its workers through Ray: on several devices it is
# other software (its release notes).
_EARLY = "vLLM before 0.6, several devices"


def groups_of(on: Deployment, version: str = "") -> Mapping[str, str]:
    """The groups by kind; the reference of a kind, and what is not known, has none.

    Args:
        on: the replica.
        version: of its software, as its maker or a date says it; empty where it is not known.
    """
    linked = on.joined and on.accelerator.link != "pcie" and on.tp <= on.accelerator.link_devices
    found = {
        GENERATION: on.accelerator.architecture,
        SOFTWARE: _EARLY if on.software == "vLLM" and on.devices > 1 and _is_early(version) else on.software,
        COMPUTED: "" if on.computed_in in ("bf16", "fp16") else on.computed_in,
        WEIGHTS: "" if on.weights in ("bf16", "fp16") else on.weights,
        LINK: "" if linked else "pcie",
    }
    return {kind: f"{kind}/{name}" for kind, name in found.items() if name}


# Of a range, where no serving on the accelerator's generation was published: our assumption.
_UNSEEN: Final = 2.0


def seen_on(fit: ServingFit, sheet: Accelerator) -> ServingFit:
    """The fit with its ranges for an accelerator: wider where none of its generation was in it."""
    if f"{GENERATION}/{sheet.architecture}" in fit.all["memory"].factors:
        return fit

    def wider(interval: Interval) -> Interval:
        basis = f"{interval.basis}; twice as wide, as none is on {sheet.architecture}"
        return replace(interval, new=_UNSEEN * interval.new, known=_UNSEEN * interval.known, basis=basis)

    return replace(fit, throughput=wider(fit.throughput), ttft=wider(fit.ttft), tpot=wider(fit.tpot))


def _is_early(version: str) -> bool:
    date = re.match(r"(20\d\d)-(\d\d)", version)
    if date:
        return (int(date[1]), int(date[2])) < (2024, 9)
    number = re.search(r"(\d+)\.(\d+)", version)
    return number is not None and (int(number[1]), int(number[2])) < (0, 6)
