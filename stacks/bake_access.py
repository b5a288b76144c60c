# SPDX-License-Identifier: Apache-2.0
"""What baking images takes: machines, keys, groups and volumes that carry a bake's tag, and images.

Images belong to all environments of an account. What a bake makes, it tags when it makes it, and only what
has such a tag can be changed or removed by these statements.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.config.models import Environment
from stacks.policies import allow_everywhere, arn
from stacks.policy import Statement, allow

RUN_TAG, CLASS_TAG = "slipway:run", "slipway:class"
_SEE = (
    "ec2:DescribeImages",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstances",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeRegions",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
)
_MADE = ("instance", "volume", "security-group", "key-pair")
_CREATE = ("ec2:CreateSecurityGroup", "ec2:ImportKeyPair", "ec2:RunInstances")
_CHANGE = (
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateImage",
    "ec2:DeleteKeyPair",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteVolume",
    "ec2:GetConsoleOutput",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
)


def statements(environment: Environment) -> list[Statement]:
    """Return what a bake needs."""
    return [
        allow_everywhere(_SEE),
        # What is made has the tag from its first moment ...
        allow(
            _CREATE,
            _resources(environment, _MADE),
            condition={"Null": {f"aws:RequestTag/{RUN_TAG}": "false"}},
        ),
        # ... of what is there already, or can't be tagged in the same call.
        allow(
            ["ec2:RunInstances"],
            [*_images(environment), *_resources(environment, ("network-interface", "subnet"))],
        ),
        allow(
            ["ec2:RunInstances"],
            _resources(environment, ("security-group", "key-pair")),
            condition=_has_tag(RUN_TAG),
        ),
        allow(["ec2:CreateSecurityGroup"], _resources(environment, ("vpc",))),
        allow(_CHANGE, _resources(environment, _MADE), condition=_has_tag(RUN_TAG)),
        allow(["ec2:CreateImage"], _images(environment)),
        allow(
            ["ec2:CreateTags"],
            _resources(environment, _MADE),
            condition={"StringEquals": {"ec2:CreateAction": [name.split(":")[1] for name in _CREATE]}},
        ),
        # Packer tags images and snapshots after it has made them, so these can't be told by a tag.
        allow(["ec2:CreateTags"], _images(environment)),
        allow(
            ["ec2:DeleteSnapshot", "ec2:DeregisterImage"],
            _images(environment),
            condition=_has_tag(CLASS_TAG),
        ),
    ]


def _resources(environment: Environment, kinds: Sequence[str]) -> list[str]:
    return [arn(environment, "ec2", f"{kind}/*") for kind in kinds]


def _images(environment: Environment) -> list[str]:
    # Images and snapshots belong to a region, but their names hold no account.
    return [f"arn:aws:ec2:{environment.region}::{kind}/*" for kind in ("image", "snapshot")]


def _has_tag(tag: str) -> dict[str, dict[str, str]]:
    return {"Null": {f"aws:ResourceTag/{tag}": "false"}}
