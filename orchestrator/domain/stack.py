# SPDX-License-Identifier: Apache-2.0
"""CloudFormation stacks: which there are, what they read of each other, what of them holds data. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
TEMPLATE_LIMIT = 51_200
PREFIX = "slipway-"
NETWORK_TAG = "slipway:network"
ENVIRONMENT_TAG = "slipway:environment"

# What is lost with a resource of this type. Nothing of these is replaced or removed unless it is named.
HOLDS_DATA: Mapping[str, str] = {
    "AWS::Backup::BackupVault": "backups",
    "AWS::KMS::Key": "all that is encrypted with it",
    "AWS::Logs::LogGroup": "logs",
    "AWS::RDS::DBCluster": "the database",
    "AWS::RDS::DBInstance": "a member of the database",
    "AWS::S3::Bucket": "objects",
    "AWS::SQS::Queue": "messages",
    "AWS::SecretsManager::Secret": "a secret and its versions",
}


class NetworkStack(StrEnum):
    """The stacks of a network, in the order in which they depend on each other."""

    NETWORK = "network"
    SECURITY = "security"
    DATABASE = "database"
    BALANCER = "balancer"
    AUDIT = "audit"


class EnvironmentStack(StrEnum):
    """The stacks of an environment."""

    STATE = "state"
    QUEUES = "queues"
    FUNCTIONS = "functions"
    STORAGE = "storage"
    CDN = "cdn"
    ACCESS = "access"
    FLEETS = "fleets"
    OPERATIONS = "operations"


Kind = NetworkStack | EnvironmentStack
Body = Mapping[str, Any]


def stack_name(owner: str, kind: Kind) -> str:
    """Return the name of a stack; `owner` is the network's or the environment's name."""
    return f"{PREFIX}{owner}-{kind.value}"


def bucket_name(environment: str, asset_class: str, account_id: str) -> str:
    """Return the name of a bucket of an environment; the config bucket's is in the environment's file."""
    return f"{PREFIX}{environment}-{asset_class}-{account_id}"


class Health(StrEnum):
    """What can be done with a stack, whatever the exact word of CloudFormation for its status."""

    SOUND = "sound"  # can be updated
    BUSY = "busy"  # an operation is under way
    STILLBORN = "stillborn"  # never worked: is made anew
    STUCK = "stuck"  # a person must look


_SOUND = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
NEVER_BEGUN = "REVIEW_IN_PROGRESS"  # a change set was made for it, and not executed
_STILLBORN = frozenset({NEVER_BEGUN, "ROLLBACK_COMPLETE"})


def health(status: str) -> Health:
    """Return what can be done with a stack of this status.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
    """
    if status in _STILLBORN:
        return Health.STILLBORN
    if status in _SOUND:
        return Health.SOUND
    return Health.BUSY if status.endswith("_IN_PROGRESS") else Health.STUCK


@dataclass(frozen=True)
class StackTemplate:
    """A stack as the project wants it: the template's text, and whose stack it is."""

    kind: Kind
    owner: str
    text: str
    depends_on: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the stack's name."""
        return stack_name(self.owner, self.kind)

    @property
    def size(self) -> int:
        """Return the bytes that CloudFormation counts."""
        return len(self.text.encode())

    @cached_property
    def body(self) -> Body:
        """Return the template as data."""
        document: dict[str, Any] = json.loads(self.text)
        return document

    @cached_property
    def reads(self) -> frozenset[tuple[str, str]]:
        """Return the (stack, output) that its weak references read."""
        return frozenset(references(self.body))

    @property
    def resource_count(self) -> int:
        """Return how many resources it has."""
        return len(self.body.get("Resources", {}))


@dataclass(frozen=True, slots=True)
class StackState:
    """A stack as CloudFormation shows it. `changed_at` is when its latest operation began."""

    name: str
    stack_id: str
    status: str
    changed_at: datetime
    reason: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    has_termination_protection: bool = False

    @property
    def health(self) -> Health:
        """Return what can be done with it."""
        return health(self.status)


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Give every (stack, output) that a template reads by Fn::GetStackOutput."""
    if isinstance(value, Mapping):
        reference = value.get("Fn::GetStackOutput")
        if isinstance(reference, Mapping):
            yield str(reference.get("StackName")), str(reference.get("OutputName"))
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def stacks_read(body: Body) -> frozenset[str]:
    """Return the names of the stacks whose outputs a template reads."""
    return frozenset(name for name, _ in references(body))


def data_of(body: Body) -> dict[str, str]:
    """Return what of a template holds data, as logical id -> type."""
    return {name: each["Type"] for name, each in _resources(body) if each.get("Type") in HOLDS_DATA}


@dataclass(frozen=True, slots=True)
class Kept:
    """What a deleted stack leaves behind: a resource, or the last snapshot of one."""

    logical_id: str
    type_name: str
    is_snapshot: bool = False

    def __str__(self) -> str:
        return f"{self.logical_id} as a snapshot" if self.is_snapshot else self.logical_id


def kept_by_deletion(body: Body) -> tuple[Kept, ...]:
    """Return what stays when the stack is deleted.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    """
    policies = {"Retain": False, "RetainExceptOnCreate": False, "Snapshot": True}
    return tuple(
        Kept(name, each["Type"], policies[each["DeletionPolicy"]])
        for name, each in _resources(body)
        if each.get("DeletionPolicy") in policies
    )


def stack_policy(body: Body, *, except_for: Iterable[str] = ()) -> dict[str, Any] | None:
    """Return the policy that keeps CloudFormation from losing data, None where a stack holds none.

    It also binds those who work past Slipway. What an operator has named is excepted while it is replaced.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
    """
    kept = sorted(set(data_of(body)) - set(except_for))
    if not data_of(body):
        return None
    everything = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    if not kept:
        return {"Statement": [everything]}
    names = [f"LogicalResourceId/{name}" for name in kept]
    actions = ["Update:Replace", "Update:Delete"]
    deny = {"Effect": "Deny", "Action": actions, "Principal": "*", "Resource": names}
    return {"Statement": [everything, deny]}


def dependency_order(depends_on: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the stacks so that each comes after those it depends on; others than the given don't count."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in ordered:
            for each in depends_on[name]:
                if each in depends_on:
                    visit(each)
            ordered[name] = None

    for name in depends_on:
        visit(name)
    return tuple(ordered)


def _resources(body: Body) -> Iterable[tuple[str, Mapping[str, Any]]]:
    resources: Mapping[str, Mapping[str, Any]] = body.get("Resources", {})
    return resources.items()
