"""What of a reservation or a savings plan no run uses, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from zenplan.domain.answer.estimate import Part
from zenplan.domain.market.offer import Terms
from zenplan.domain.provenance import Origin
from zenplan.planning.physics.columns import Array
from zenplan.units import HOUR_S

UNUSED: Final = "commitment not used"
# Less than this share of what is used is a rounding error of floats.
_LEAST: Final = 1e-9


def unused_usd(terms: Sequence[Terms | None], compute_usd: Array, usd_per_h: Array) -> Array:
    """Dollars of terms that are taken for a run and that it does not use, shape (3, n).

    Args:
        terms: each run's.
        compute_usd: of the machines while the run has them, shape (3, n).
        usd_per_h: of all machines of a run, shape (n,).
    """
    unused: Array = np.zeros_like(compute_usd)
    if not any(each and each.committed for each in {id(each): each for each in terms}.values()):
        return unused
    for index, each in enumerate(terms):
        bound = each.committed if each else None
        if bound and bound.term_s is not None:
            whole = (usd_per_h[index] if bound.usd_per_h is None else bound.usd_per_h) * bound.term_s / HOUR_S
            unused[:, index] = np.maximum(whole - compute_usd[:, index], 0.0)
    return unused


def unused_parts(terms: Terms | None, usd: Array) -> tuple[Part, ...]:
    """The same of one run, as a part of its bill; none where all is used.

    Args:
        terms: of the run.
        usd: low, middle and high, shape (3,).
    """
    bound = terms.committed if terms else None
    if bound is None or not usd.any():
        return ()
    low, mid, high = (float(each) for each in usd)
    why = f"{bound.what}: whoever takes it pays for all of it, used or not"
    return (Part(name=UNUSED, low_usd=low, mid_usd=mid, high_usd=high, origin=Origin.GIVEN, why=why),)


def paid_anyway(terms: Terms | None, compute_usd: Array, billed_s: Array) -> Part | None:
    """What is paid of a commitment that has begun, while a run has machines of it, for what the run does not use.

    It is paid without the run as well, and so it is no part of the run's total.

    Args:
        terms: of the run.
        compute_usd, billed_s: of its machines, shape (3,).
    """
    bound = terms.committed if terms else None
    if bound is None or bound.term_s is not None or bound.usd_per_h is None or not np.isfinite(compute_usd).all():
        return None
    low, mid, high = (float(each) for each in bound.usd_per_h * billed_s / HOUR_S - compute_usd)
    if high <= _LEAST * float(compute_usd[2]):
        return None
    why = f"what the run does not use of the {bound.what} while it lasts; in no total"
    return Part(name=UNUSED, low_usd=low, mid_usd=mid, high_usd=high, origin=Origin.GIVEN, why=why)
