# SPDX-License-Identifier: Apache-2.0
"""How long a batch takes: the fastest it may go, as is likely, and the slowest. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.domain.forecast.band import Band
from orchestrator.domain.forecast.course import Spread, Timing
from orchestrator.domain.forecast.order_statistics import expected_last, late_last

# A failed launch is made again after a while; AWS does not say how long.
_RETRY_S = 15.0
_TURNS = 6

LastOf = Callable[[Spread, int], float]


@dataclass(frozen=True, slots=True)
class Pace:
    """One reading of a timing: `last_of` says how long the last of several machines takes."""

    timing: Timing
    last_of: LastOf

    def warm_s(self, machines: int) -> float:
        """Return how long it takes from the launch of machines until all of them count."""
        return self._up_s(machines) + self.timing.warmup_s

    def gone_s(self, machines: int) -> float:
        """Return how long it takes until all of these machines have left."""
        return self.last_of(self.timing.leave_s, machines) if machines else 0.0

    def batch_s(self, band: Band, machines: int) -> float:
        """Return how long a batch takes.

        Machines that leave at once drain while their replacements start; the others leave when all
        replacements are warm.
        https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-maintenance-policy-overview-and-considerations.html
        """
        later = band.launched_first(machines)
        at_once = self.gone_s(machines - later)
        return max(self.warm_s(machines) + self.gone_s(later), at_once)

    def _up_s(self, machines: int) -> float:
        """Return how long it takes until the last of machines is in service.

        A launch that fails does so after about the time of a boot, and is made again; of those made again
        some fail again. Of every number of turns that a batch may need, the average is taken.
        """
        boot_s, share = self.timing.boot_s, self.timing.failure_share
        longest = self.last_of(boot_s, machines)
        if not share or self.last_of is fastest:
            return longest
        usual_s = expected_last(boot_s, 1)
        chance = 1.0
        total = 0.0
        for turn in range(1, _TURNS + 1):
            failing = share**turn
            goes_on = 1 - (1 - failing) ** machines
            total += (chance - goes_on) * longest
            chance = goes_on
            again = max(1, round(machines * failing))
            longest = max(longest, turn * (usual_s + _RETRY_S) + self.last_of(boot_s, again))
        return total + chance * longest


def fastest(spread: Spread, machines: int) -> float:
    """Return the time of a batch in which every machine is among the fastest."""
    del machines
    return spread.low


def low(timing: Timing) -> Pace:
    """Return the pace if every machine is among the fastest."""
    return Pace(timing, fastest)


def likely(timing: Timing) -> Pace:
    """Return the pace to be expected."""
    return Pace(timing, expected_last)


def high(timing: Timing) -> Pace:
    """Return the pace if every batch is as slow as one in twenty is."""
    return Pace(timing, late_last)
