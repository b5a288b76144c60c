# SPDX-License-Identifier: Apache-2.0
"""How long the last of several machines takes: a batch is over when its last machine is. Pure.

A spread's `low`, `likely` and `high` are read as the 5th, 50th and 95th percentile. Below the middle the time
is taken as normal, above it as lognormal, since boot times have a long tail; beyond the 95th percentile,
where nothing is known, it goes on as steeply as it is there.
"""

from __future__ import annotations

import math
from functools import lru_cache

from orchestrator.domain.forecast.course import Spread

LOW_SHARE, HIGH_SHARE = 0.05, 0.95
# The mean over the unit interval is taken at so many midpoints: of few machines the spread is wider.
_MIDPOINTS_OF_FEW, _MIDPOINTS = 64, 16
_FEW = 16
# A middle that is a tiny part of the high end says nothing of how the times between are spread.
_LEAST_SHARE = 0.01
# Less than that is no difference, and too little to divide by.
_LEAST_S = 1e-6


def quantile(spread: Spread, share: float) -> float:
    """Return the time within which a share of the machines is done; `share` is in (0, 1)."""
    if spread.high - spread.low < _LEAST_S:
        return max(0.0, spread.likely)
    z = _z(share) / _z(HIGH_SHARE)
    if z <= 0:
        return max(0.0, spread.likely + z * (spread.likely - spread.low))
    middle = max(spread.likely, _LEAST_SHARE * spread.high)
    steepness = math.log(spread.high / middle)
    if z <= 1:
        return middle * math.exp(z * steepness)
    return spread.high * (1 + (z - 1) * steepness)


@lru_cache(maxsize=65536)
def expected_last(spread: Spread, machines: int) -> float:
    """Return when the last of `machines` is done, on average; the mean for one.

    The share of the last of n machines is distributed as u^(1/n) with u uniform, so the average is the mean
    of quantile(u^(1/n)) over u: https://en.wikipedia.org/wiki/Order_statistic
    """
    if spread.high - spread.low < _LEAST_S:
        return max(0.0, spread.likely)
    points = _MIDPOINTS_OF_FEW if machines <= _FEW else _MIDPOINTS
    shares = (((each + 0.5) / points) ** (1 / machines) for each in range(points))
    return sum(quantile(spread, share) for share in shares) / points


@lru_cache(maxsize=65536)
def late_last(spread: Spread, machines: int) -> float:
    """Return the time that the last of `machines` keeps in nineteen of twenty batches."""
    if spread.high - spread.low < _LEAST_S:
        return max(0.0, spread.likely)
    return quantile(spread, HIGH_SHARE ** (1 / machines))


@lru_cache(maxsize=65536)
def _z(share: float) -> float:
    """Return the quantile of the standard normal distribution."""
    # Slow to import, and nothing but a forecast needs it.
    from statistics import NormalDist  # noqa: PLC0415

    return NormalDist().inv_cdf(share)
