"""Coefficients: the few fitted numbers of the step-time model, and the groups that differ from the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zenplan.domain import checks
from zenplan.domain.fit.attention import usual_kernel
from zenplan.domain.fit.efficiency import Efficiency, Interval
from zenplan.domain.fit.processor import on_processor
from zenplan.domain.model.workload import LANGUAGE
from zenplan.domain.precision import Precision
from zenplan.domain.software import Software
from zenplan.errors import DataError

# Coefficients that only other than language models have, and the field of ``Efficiency`` that each is for them: what
# streams reach where they are counted kernel by kernel, and the time of the loop between two steps.
OTHERS = {"streams": "memory", "loop_s": "host_s"}
# What groups a coefficient may differ by.
GENERATION, SOFTWARE, PRECISION, FAMILY = "generation", "software", "precision", "family"


def software_group(software: Software | None, family: str) -> str:
    """The group that coefficients know a kind of software by; empty where it is not known.

    Fused kernels that are put into Hugging Face's models change what is moved, which is counted, and leave the products
    to the same library. On JAX no other models than language models were published: TensorFlow's XLA is the nearest.
    """
    stands_for = {Software.PATCHED: Software.EAGER}
    if family not in LANGUAGE:
        stands_for[Software.JAX] = Software.XLA
    return f"{SOFTWARE}/{stands_for.get(software, software)}" if software else ""


def precision_class(dtype: str) -> str:
    """The class that coefficients know: 16-bit formats run alike."""
    return "16-bit" if dtype in ("fp16", "bf16") else dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """One fitted number.

    Attributes:
        value: for all runs together.
        unit, meaning: what it is.
        least, most: physical bounds, which a group's own value keeps too.
        factors: ``generation/Ampere`` to what that group's own value is times the common one.
    """

    name: str
    value: float
    unit: str
    meaning: str
    least: float
    most: float
    factors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.named("coefficient", name=self.name, meaning=self.meaning)
        if not self.least <= self.value <= self.most:
            raise DataError(f"coefficient {self.name}: {self.value:g} is not in {self.least:g}..{self.most:g}")

    def of(self, *groups: str) -> float:
        """The value for a run that is in these groups; a group that was not measured has the common one."""
        value = self.value
        for group in groups:
            value *= self.factors.get(group, 1.0)
        return min(self.most, max(self.least, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """All of them, and how far left-out runs were from the model.

    Attributes:
        interval: how far the runs of language models that were left out of the fit were from it.
        other_interval: the same of the other families.
        source: which fit, on what, when.
    """

    all: Mapping[str, Coefficient]
    interval: Interval
    other_interval: Interval
    source: str

    def of(
        self,
        architecture: str,
        precision: Precision,
        software: Software | None,
        family: str,
        processor: bool = False,
    ) -> Efficiency:
        """The efficiency of an architecture, in a precision, under a kind of software (None: not known), for a
        family of models (as in ``Workload.family``). The common values are those of language models; no run on a
        processor was fitted."""
        where = (
            f"{GENERATION}/{architecture}",
            software_group(software, family),
            f"{FAMILY}/{family}",
            f"{PRECISION}/{precision_class(precision.matmul_dtype)}",
        )
        values = {name: c.of(*where) for name, c in self.all.items() if name not in OTHERS}
        if family not in LANGUAGE:
            values |= {field: self.all[name].of(*where) for name, field in OTHERS.items()}
        wide = (*where[:3], f"{PRECISION}/{precision_class(precision.other_dtype)}")
        interval = self.interval if family in LANGUAGE else self.other_interval
        found = Efficiency(
            architecture=architecture,
            **values,
            wide_matmul=self.all["matmul"].of(*wide),
            kernel=usual_kernel(architecture, software),
            interval=interval,
            source=self.source,
            correction=None,
        )
        return on_processor(found) if processor else found
