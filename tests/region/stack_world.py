# SPDX-License-Identifier: Apache-2.0
"""A CloudFormation of its own for a test: the real engine and API over resources that are only noted down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from sandbox.clock import WallClock
from sandbox.cloudformation.engine import Engine
from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.schemas import schema
from sandbox.cloudformation.service import OPERATIONS
from sandbox.cloudformation.stacks import Stacks
from sandbox.cloudformation.workers import Threads
from sandbox.cloudformation.world import World

PATIENCE_S = 20.0
TYPES = (
    "AWS::EC2::SecurityGroup",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::RDS::DBCluster",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
)
QUEUE, TOPIC = "AWS::SQS::Queue", "AWS::SNS::Topic"


@dataclass
class Cloud:
    """What exists, what happened to it, and what shall go wrong."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    former_tags: dict[str, dict[str, str]] = field(default_factory=dict)
    verbs: list[tuple[str, str]] = field(default_factory=list)
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    held: dict[str, threading.Event] = field(default_factory=dict)
    snapshots: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def note(self, verb: str, call: Call) -> str:
        """Note what a handler is asked; fail or wait if that is wanted of it."""
        logical_id = call.tags["aws:cloudformation:logical-id"]
        self.verbs.append((verb, logical_id))
        while (held := self.held.get(logical_id)) is not None and not held.wait(0.01):
            if not call.is_alive():
                raise HandlerError(f"{logical_id} was given up")
        if reason := self.faults.get((verb, logical_id)):
            raise HandlerError(reason)
        return logical_id

    def client(self, service: str) -> Any:
        """Return the little of the parameter store and of secrets that dynamic references need."""
        return _Values(self, service)


@dataclass(frozen=True)
class _Values:
    cloud: Cloud
    service: str

    def get_parameter(self, *, Name: str) -> dict[str, Any]:  # noqa: N803
        if Name not in self.cloud.parameters:
            raise ClientError({"Error": {"Code": "ParameterNotFound"}}, "GetParameter")
        return {"Parameter": {"Type": "String", "Value": self.cloud.parameters[Name]}}

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803
        return {"SecretString": self.cloud.secrets[SecretId]}


@dataclass(frozen=True)
class NotedHandler:
    """A resource type of which every property is applied: it is noted down."""

    cloud: Cloud
    type_name: str

    @property
    def properties(self) -> frozenset[str]:
        """All of the type's properties."""
        described = schema(self.type_name)
        assert described is not None
        return frozenset(described.root["properties"]) - {"DashboardBody"}

    def create(self, call: Call, properties: Properties) -> Physical:
        """Note it."""
        self.cloud.note("create", call)
        names = ("QueueName", "TopicName", "BucketName", "RoleName", "DBClusterIdentifier")
        name = next((properties[each] for each in names if each in properties), call.name)
        if name in self.cloud.things:
            raise HandlerError(f"{name} already exists")
        return self._put(call, name, properties)

    def _put(self, call: Call, name: str, properties: Properties) -> Physical:
        self.cloud.things[name] = dict(properties)
        self.cloud.tags[name] = dict(call.tags)
        attributes = {"Arn": f"arn:{name}", "QueueUrl": name, "QueueName": name}
        attributes["DelaySeconds"] = properties.get("DelaySeconds", 0)
        return Physical(name, attributes)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return it."""
        self.cloud.note("read", call)
        return self.cloud.things.get(physical_id)

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Note what it shall be."""
        del before
        self.cloud.note("update", call)
        self.cloud.former_tags[physical_id] = dict(call.former_tags)
        return self._put(call, physical_id, after)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Forget it."""
        del properties
        self.cloud.note("delete", call)
        self.cloud.things.pop(physical_id, None)

    def snapshot(self, call: Call, physical_id: str) -> None:
        """Note that one was taken."""
        del call
        self.cloud.snapshots.append(physical_id)


class StackWorld:
    """CloudFormation's API on a cloud."""

    def __init__(self, cloud: Cloud | None = None, stacks: Stacks | None = None) -> None:
        self.cloud = cloud or Cloud()
        self.stacks = stacks or Stacks()
        self.clock = WallClock()
        handlers = {name: NotedHandler(self.cloud, name) for name in TYPES}
        self.engine = Engine(
            World(
                account_id="123456789012",
                region="us-east-1",
                client=self.cloud.client,
                clock=self.clock,
                lock=threading.RLock(),
                stacks=lambda: self.stacks,
                changed=lambda: None,
                handlers=lambda: handlers,
                workers=Threads(self.clock, 8),
            )
        )

    def close(self) -> None:
        """End the region."""
        self.engine.close()
        self.clock.close()

    def __call__(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call the API, with the service's lock held as the gateway does."""
        with self.engine.world.lock:
            return OPERATIONS[operation](self.engine, parameters) or {}

    def status(self, name: str) -> str:
        """Return a stack's status."""
        return str(self("DescribeStacks", StackName=name)["Stacks"][0]["StackStatus"])

    def settled(self, name: str) -> str:
        """Wait until no operation is under way and return the stack's status."""
        return self.until(
            lambda: self.status(name),
            lambda status: not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS",
        )

    def until(self, fetch: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
        """Fetch until done, for a few seconds at most."""
        end = time.monotonic() + PATIENCE_S
        while not done(seen := fetch()):
            assert time.monotonic() < end, f"still {seen}"
            time.sleep(0.002)
        return seen

    def create(self, resources: Mapping[str, Any], name: str = "s", **more: Any) -> str:
        """Create a stack and wait; return its status."""
        stack_id = self("CreateStack", StackName=name, **_request(resources, more))["StackId"]
        return self.settled(stack_id)

    def update(self, resources: Mapping[str, Any], name: str = "s", **more: Any) -> str:
        """Update a stack and wait; return its status."""
        self("UpdateStack", StackName=name, **_request(resources, more))
        return self.settled(name)

    def delete(self, name: str = "s", **more: Any) -> str:
        """Delete a stack and wait; return its status."""
        stack_id = self("DescribeStacks", StackName=name)["Stacks"][0]["StackId"]
        self("DeleteStack", StackName=name, **more)
        return self.settled(stack_id)

    def change_set(self, resources: Mapping[str, Any], name: str = "s", **more: Any) -> dict[str, Any]:
        """Make a change set and wait until it is ready or failed."""
        named = {"ChangeSetName": "changes", "StackName": name}
        self("CreateChangeSet", **named, **_request(resources, more))
        return self.until(
            lambda: self("DescribeChangeSet", **named, IncludePropertyValues=True),
            lambda seen: seen["Status"] in ("CREATE_COMPLETE", "FAILED"),
        )

    def changes(self, resources: Mapping[str, Any], **more: Any) -> dict[str, dict[str, Any]]:
        """Return what a change set would change, by logical id."""
        found = self.change_set(resources, **more)
        self("DeleteChangeSet", StackName="s", ChangeSetName="changes")
        assert found["Status"] == "CREATE_COMPLETE", found["StatusReason"]
        return {
            each["ResourceChange"]["LogicalResourceId"]: each["ResourceChange"] for each in found["Changes"]
        }

    def events(self, name: str = "s") -> list[tuple[str, str, str | None]]:
        """Return all events of a stack, the oldest first."""
        found: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            page = self("DescribeStackEvents", StackName=name, **token)
            found += page["StackEvents"]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        return [
            (each["LogicalResourceId"], each["ResourceStatus"], each.get("ResourceStatusReason"))
            for each in reversed(found)
        ]

    def reasons(self, status: str, name: str = "s") -> list[str | None]:
        """Return the reasons of all events with a status."""
        return [reason for _, each, reason in self.events(name) if each == status]

    def outputs(self, name: str = "s") -> dict[str, str]:
        """Return a stack's outputs."""
        shown = self("DescribeStacks", StackName=name)["Stacks"][0]["Outputs"]
        return {each["OutputKey"]: each["OutputValue"] for each in shown}

    def physical_id(self, logical_id: str, name: str = "s") -> str:
        """Return what a resource is."""
        found = self("DescribeStackResource", StackName=name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def drifts(self, name: str = "s") -> dict[str, tuple[str, list[dict[str, str]]]]:
        """Detect drift; return each resource's status and differences."""
        detection = self("DetectStackDrift", StackName=name)["StackDriftDetectionId"]
        self.until(
            lambda: self("DescribeStackDriftDetectionStatus", StackDriftDetectionId=detection),
            lambda seen: bool(seen["DetectionStatus"] == "DETECTION_COMPLETE"),
        )
        found = self("DescribeStackResourceDrifts", StackName=name)["StackResourceDrifts"]
        return {
            each["LogicalResourceId"]: (each["StackResourceDriftStatus"], each.get("PropertyDifferences", []))
            for each in found
        }


def _request(resources: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    sections = ("Parameters", "Conditions", "Mappings", "Outputs")
    template = {"Resources": resources} | {
        name: more[f"template_{name.lower()}"] for name in sections if f"template_{name.lower()}" in more
    }
    request = {name: value for name, value in more.items() if not name.startswith("template_")}
    return {"TemplateBody": json.dumps(template)} | request


def queue(**properties: Any) -> dict[str, Any]:
    """Return a queue of a template; capital names beside the properties go through `resource`."""
    return {"Type": QUEUE, "Properties": properties}


# Six resources, some of which need others.
CHAIN: dict[str, Any] = {
    "A": queue(),
    "B": queue(QueueName={"Fn::Sub": "${A}-b"}),
    "C": queue(Tags=[{"Key": "of", "Value": {"Fn::GetAtt": ["B", "Arn"]}}]),
    "D": queue() | {"DependsOn": "C"},
    "E": {"Type": TOPIC, "Properties": {"DisplayName": {"Ref": "A"}}},
    "F": queue() | {"DependsOn": ["D", "E"]},
}


@contextmanager
def stack_world() -> Iterator[StackWorld]:
    """Run one."""
    world = StackWorld()
    try:
        yield world
    finally:
        world.close()
