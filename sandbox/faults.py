# SPDX-License-Identifier: Apache-2.0
"""What shall go wrong in a simulated region, and how long machines take. Pure: chance is handed in.

What AWS answers:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

DEFAULT_BOOT_S = 30.0

LAUNCH_CODES: Mapping[str, str] = {
    "InsufficientInstanceCapacity": (
        "We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
        "({zone})."
    ),
    "InsufficientHostCapacity": "There is insufficient capacity to fulfill your Dedicated Host request.",
    "InstanceLimitExceeded": "You have requested more instances than your current instance limit allows.",
    "MaxSpotInstanceCountExceeded": "Max spot instance count exceeded",
    "Unsupported": (
        "Your requested instance type ({instance_type}) is not supported in your requested Availability Zone "
        "({zone})."
    ),
    "VcpuLimitExceeded": "You have requested more vCPU capacity than your current vCPU limit allows.",
}
API_CODES: Mapping[str, str] = {
    "InternalError": "An internal error has occurred.",
    "InternalFailure": "The request processing has failed because of an unknown error.",
    "RequestLimitExceeded": "Request limit exceeded.",
    "ServiceUnavailable": "Service is unable to handle request.",
    "SlowDown": "Please reduce your request rate.",
    "Throttling": "Rate exceeded",
    "ThrottlingException": "Rate exceeded",
    "Unavailable": "The server is overloaded and can't handle the request.",
}


@dataclass(frozen=True, slots=True)
class Where:
    """The machines that a fault concerns; None is any."""

    zone: str | None = None
    instance_type: str | None = None

    def covers(self, zone: str, instance_type: str) -> bool:
        """Whether a machine is concerned."""
        return self.zone in (None, zone) and self.instance_type in (None, instance_type)


@dataclass(frozen=True, slots=True)
class LaunchFault:
    """A share of the launches is refused with `code`, at most `count` of them."""

    where: Where
    code: str
    rate: float = 1.0
    count: int | None = None


@dataclass(frozen=True, slots=True)
class BootTime:
    """How long machines take to run: `seconds` for sure or on average, from `low` to `high` if uniform."""

    where: Where
    distribution: str = "fixed"
    seconds: float = DEFAULT_BOOT_S
    deviation: float = 0.0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """A share of the machines runs but never answers."""

    where: Where
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class ApiFault:
    """A share of the calls is refused with `code`; None is any service, any operation."""

    code: str
    service: str | None = None
    operation: str | None = None
    rate: float = 1.0
    count: int | None = None


Fault = LaunchFault | BootTime | Unhealthy | ApiFault
Numbered = Iterable[tuple[int, Fault]]


def refuse_launch(faults: Numbered, zone: str, instance_type: str, chance: Random) -> tuple[int, str] | None:
    """Return the number of the fault that a launch meets, and its code."""
    for number, fault in faults:
        if not isinstance(fault, LaunchFault) or not fault.where.covers(zone, instance_type):
            continue
        if fault.count != 0 and _happens(fault.rate, chance):
            return number, fault.code
    return None


def refuse_call(faults: Numbered, service: str, operation: str, chance: Random) -> tuple[int, str] | None:
    """Return the number of the fault that a call meets, and its code."""
    for number, fault in faults:
        if not isinstance(fault, ApiFault) or fault.service not in (None, service):
            continue
        if fault.operation not in (None, operation) or fault.count == 0:
            continue
        if _happens(fault.rate, chance):
            return number, fault.code
    return None


def boot_seconds(faults: Numbered, zone: str, instance_type: str, chance: Random) -> float:
    """Return how long a machine takes to run, in whole seconds: the latest fault that concerns it says so."""
    concerned = [
        fault
        for _, fault in faults
        if isinstance(fault, BootTime) and fault.where.covers(zone, instance_type)
    ]
    if not concerned:
        return DEFAULT_BOOT_S
    return float(max(round(_draw(concerned[-1], chance)), 0))


def stays_unhealthy(faults: Numbered, zone: str, instance_type: str, chance: Random) -> bool:
    """Return whether a machine that boots will never answer."""
    return any(
        isinstance(fault, Unhealthy)
        and fault.where.covers(zone, instance_type)
        and _happens(fault.rate, chance)
        for _, fault in faults
    )


def _draw(boot: BootTime, chance: Random) -> float:
    match boot.distribution:
        case "uniform":
            return chance.uniform(boot.low, boot.high)
        case "exponential":
            return chance.expovariate(1 / boot.seconds) if boot.seconds else 0.0
        case "normal":
            return chance.gauss(boot.seconds, boot.deviation)
    return boot.seconds


def _happens(rate: float, chance: Random) -> bool:
    """Draw only where there is a choice, so that a certain fault moves no other's luck."""
    return rate >= 1.0 or (rate > 0.0 and chance.random() < rate)


@dataclass
class FaultList:
    """The faults of a region by number, and its luck. Plain data: it is saved with the region."""

    chance: Random
    faults: dict[int, Fault] = field(default_factory=dict)
    made: int = 0

    def add(self, fault: Fault) -> int:
        """Add a fault and return its number."""
        self.made += 1
        self.faults[self.made] = fault
        return self.made

    def launch_code(self, zone: str, instance_type: str) -> str | None:
        """Return the code a launch is refused with, if it is."""
        return self._spend(refuse_launch(self.faults.items(), zone, instance_type, self.chance))

    def call_code(self, service: str, operation: str) -> str | None:
        """Return the code a call is refused with, if it is."""
        return self._spend(refuse_call(self.faults.items(), service, operation, self.chance))

    def boot_seconds(self, zone: str, instance_type: str) -> float:
        """Return how long a machine takes to run."""
        return boot_seconds(self.faults.items(), zone, instance_type, self.chance)

    def stays_unhealthy(self, zone: str, instance_type: str) -> bool:
        """Return whether a machine that boots will never answer."""
        return stays_unhealthy(self.faults.items(), zone, instance_type, self.chance)

    def _spend(self, met: tuple[int, str] | None) -> str | None:
        """Count a fault that was met; one that has done its work is gone."""
        if met is None:
            return None
        number, code = met
        fault = self.faults[number]
        if isinstance(fault, LaunchFault | ApiFault) and fault.count is not None:
            if fault.count == 1:
                del self.faults[number]
            else:
                self.faults[number] = replace(fault, count=fault.count - 1)
        return code
