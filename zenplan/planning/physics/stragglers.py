"""Stragglers: devices of one kind differ, and all wait for the slowest.

Of n devices whose times are normally distributed the slowest is expected z(n) standard deviations behind the mean: the
(n - 3/8) / (n + 1/4) quantile (Blom 1958, Statistical Estimates and Transformed Beta-Variables, section 6.9).
"""

from __future__ import annotations

import numpy as np

from zenplan.planning.physics.columns import Array


def slowest(devices: Array) -> Array:
    """z of each number of devices, shape (n,); 0 of one.

    The quantile is the rational approximation 26.2.23 of Abramowitz & Stegun 1964, within 0.00045.
    """
    t = np.sqrt(-2.0 * np.log(0.625 / (devices + 0.25)))
    above = 2.515517 + 0.802853 * t + 0.010328 * t**2
    below = 1.0 + 1.432788 * t + 0.189269 * t**2 + 0.001308 * t**3
    return np.where(devices > 1, t - above / below, 0.0)
