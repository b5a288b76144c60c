# SPDX-License-Identifier: Apache-2.0
"""How what is there differs from what the stacks say. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

# (type, property path without list positions) -> why it differs by design, so that it is no drift.
INTENDED: dict[tuple[str, str], str] = {
    (
        "AWS::AutoScaling::AutoScalingGroup",
        "/LaunchTemplate/Version",
    ): "a rollout puts the fleet on a new version",
    (
        "AWS::AutoScaling::AutoScalingGroup",
        "/MixedInstancesPolicy/LaunchTemplate/LaunchTemplateSpecification/Version",
    ): "a rollout puts the fleet on a new version",
    ("AWS::AutoScaling::AutoScalingGroup", "/DesiredCapacity"): "how many machines run is for AWS to decide",
    ("AWS::EC2::LaunchTemplate", "/LaunchTemplateData/ImageId"): "a rollout brings the fleet's new image",
    ("AWS::EC2::LaunchTemplate", "/VersionDescription"): "a rollout describes the version it makes",
}


# Differs by design only as long as the version launches the image that the fleet's parameter names.
GROUP_VERSION = ("AWS::AutoScaling::AutoScalingGroup", "/LaunchTemplate/Version")


class DriftKind(StrEnum):
    """What is the matter with a resource; CloudFormation's words."""

    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Difference:
    """A property: where it is, and its value in the template and in truth, as AWS gives them."""

    path: str
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class ResourceDrift:
    """A resource that is not as its stack says."""

    stack: str
    logical_id: str
    type_name: str
    physical_id: str
    kind: DriftKind
    differences: tuple[Difference, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the drift for `--json`."""
        return {
            "stack": self.stack,
            "logical_id": self.logical_id,
            "type": self.type_name,
            "physical_id": self.physical_id,
            "kind": self.kind.value,
            "differences": [
                {"path": each.path, "template": each.expected, "live": each.actual}
                for each in self.differences
            ],
        }


@dataclass(frozen=True, slots=True)
class DriftDetection:
    """How far CloudFormation's look at a stack is."""

    is_done: bool
    has_failed: bool = False
    reason: str = ""


def _is_rolled(_group: str, _version: str) -> bool:
    return True


def unintended(
    drifts: Iterable[ResourceDrift], *, is_rolled: Callable[[str, str], bool] = _is_rolled
) -> tuple[ResourceDrift, ...]:
    """Return what nobody wanted: without the properties that differ by design.

    Args:
        is_rolled: Tells whether a rollout has put a group, by its name, on a version of its launch template.
    """
    found = []
    for drift in drifts:
        left = tuple(each for each in drift.differences if not _is_intended(drift, each, is_rolled))
        if left or drift.kind is DriftKind.DELETED:
            found.append(replace(drift, differences=left))
    return tuple(found)


def _is_intended(drift: ResourceDrift, each: Difference, is_rolled: Callable[[str, str], bool]) -> bool:
    if not why_intended(drift.type_name, each.path):
        return False
    is_version = (drift.type_name, each.path) == GROUP_VERSION
    return not is_version or is_rolled(drift.physical_id, each.actual)


def why_intended(type_name: str, path: str) -> str:
    """Return the reason for which a property differs by design, empty where there is none."""
    plain = "/".join(part for part in path.split("/") if not part.isdigit())
    return INTENDED.get((type_name, plain), "")
