# SPDX-License-Identifier: Apache-2.0
"""CloudFormation, parameters, templates and code of functions, in memory."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.domain.change_set import Change, ChangeSet, ChangeSetStatus, Effect, changes_between
from orchestrator.domain.drift import DriftDetection, ResourceDrift
from orchestrator.domain.stack import Body, Health, StackState, StackTemplate
from orchestrator.domain.stack_event import STACK_TYPE, StackEvent
from orchestrator.errors import AwsError, NotFound
from orchestrator.ports import Bundle, ChangeSetRequest
from tests.fakes.basics import FakeClock, Recorded


@dataclass
class _Stack:
    state: StackState
    text: str = ""
    resolved: dict[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] | None = None
    events: list[StackEvent] = field(default_factory=list)

    @property
    def body(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text) if self.text else {}
        return document


@dataclass
class _ChangeSet:
    shown: ChangeSet
    template: StackTemplate
    is_new: bool


class FakeStacks(Recorded):
    """Stacks whose operations take `step_s` a resource of the fake clock's time.

    Attributes:
        effects: What a change of a resource means, by logical id; in place, unless said otherwise.
        breaks: Resources that can't be made, changed or deleted, with AWS's reason.
        breaks_rollback: Whether taking back fails, too.
    """

    step_s = 1.0
    review_s = 1.0

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self.stacks: dict[str, _Stack] = {}
        self.gone: dict[str, _Stack] = {}
        self.change_sets: dict[str, _ChangeSet] = {}
        self.effects: dict[str, Effect] = {}
        self.breaks: dict[str, str] = {}
        self.breaks_rollback = False
        self.found_drifts: list[ResourceDrift] = []
        self.drift_failure = ""

    def all(self) -> tuple[StackState, ...]:
        self._note("all")
        with self._lock:
            return tuple(self.stacks[name].state for name in sorted(self.stacks))

    def get(self, stack: str) -> StackState:
        self._note("get")
        return self._find(stack, "DescribeStacks").state

    def template(self, stack: str) -> Body:
        self._note("template")
        return self._find(stack, "GetTemplate").body

    def policy(self, stack: str) -> Mapping[str, Any] | None:
        self._note("policy")
        return self._find(stack, "GetStackPolicy").policy

    def set_policy(self, stack: str, policy: Mapping[str, Any]) -> None:
        self._note(f"set_policy {stack}")
        self._find(stack, "SetStackPolicy").policy = json.loads(json.dumps(policy))

    def protect(self, stack: str) -> None:
        self._note(f"protect {stack}")
        found = self._find(stack, "UpdateTerminationProtection")
        found.state = replace(found.state, has_termination_protection=True)

    def create_change_set(self, request: ChangeSetRequest) -> str:
        self._note(f"create_change_set {request.template.name}")
        with self._lock:
            name, number = request.template.name, next(self._numbers)
            found = self.stacks.get(name)
            if request.is_new and found and found.state.status != "REVIEW_IN_PROGRESS":
                raise _invalid(
                    "CreateChangeSet", f"Stack [{name}] already exists and cannot be created again"
                )
            if request.is_new and not found:
                found = self.stacks[name] = _Stack(self._new_state(name))
                self._tell(found, name, STACK_TYPE, "REVIEW_IN_PROGRESS")
            if found is None:
                raise _missing("CreateChangeSet", name)
            change_set_id = f"arn:aws:cloudformation:us-east-1:123456789012:changeSet/{request.name}/{number}"
            pending = ChangeSet(change_set_id, found.state.stack_id, ChangeSetStatus.PENDING)
            self.change_sets[change_set_id] = _ChangeSet(pending, request.template, request.is_new)
        self._clock.schedule(self.review_s, lambda: self._review(change_set_id))
        return change_set_id

    def change_set(self, change_set_id: str) -> ChangeSet:
        self._note("change_set")
        return self._change_set(change_set_id).shown

    def delete_change_set(self, change_set_id: str) -> None:
        self._note("delete_change_set")
        self.change_sets.pop(change_set_id, None)

    def execute_change_set(self, change_set_id: str) -> None:
        made = self._change_set(change_set_id)
        self._note(f"execute {made.template.name}")
        if made.shown.status is not ChangeSetStatus.READY:
            raise AwsError("cloudformation", "ExecuteChangeSet", "InvalidChangeSetStatus", change_set_id)
        with self._lock:
            found = self.stacks[made.template.name]
            verb = "CREATE" if made.is_new else "UPDATE"
            self._become(found, f"{verb}_IN_PROGRESS")
            steps = [(change.logical_id, change.type_name) for change in made.shown.changes]
            self.change_sets = {
                each: other
                for each, other in self.change_sets.items()
                if other.template.name != made.template.name
            }
        self._run(found, verb, steps, lambda: self._adopt(found, made))

    def delete(self, stack_id: str) -> None:
        found = self._find(stack_id, "DeleteStack")
        self._note(f"delete {found.state.name}")
        if found.state.has_termination_protection:
            raise _invalid("DeleteStack", f"Stack [{found.state.name}] cannot be deleted while protected")
        if found.state.status == "REVIEW_IN_PROGRESS":
            self._forget(found)
            return
        self._become(found, "DELETE_IN_PROGRESS")
        resources = found.body.get("Resources", {})
        steps = [(name, each["Type"]) for name, each in resources.items()]
        self._run(found, "DELETE", steps, lambda: self._forget(found))

    def events(self, stack_id: str, *, after: str = "") -> tuple[StackEvent, ...]:
        self._note("events")
        with self._lock:
            latest: list[StackEvent] = []
            for event in reversed(self._find(stack_id, "DescribeStackEvents").events):
                if event.event_id == after:
                    break
                latest.insert(0, event)
                if event.begins_operation:
                    break
            return tuple(latest)

    def detect_drift(self, stack: str) -> str:
        self._note(f"detect_drift {stack}")
        self._find(stack, "DetectStackDrift")
        return f"detection-of-{stack}"

    def drift_detection(self, detection_id: str) -> DriftDetection:
        self._note("drift_detection")
        # Done at the second look.
        is_done = self.calls.count("drift_detection") > 1
        return DriftDetection(is_done, has_failed=bool(self.drift_failure), reason=self.drift_failure)

    def drifts(self, stack: str) -> tuple[ResourceDrift, ...]:
        self._note("drifts")
        return tuple(drift for drift in self.found_drifts if drift.stack == stack)

    # What a test arranges.

    def have(self, template: StackTemplate, status: str = "CREATE_COMPLETE", **state: Any) -> None:
        """Have a stack as if an earlier run had made it, with what that run had told."""
        found = _Stack(self._new_state(template.name), template.text, self._resolve(template.body))
        found.state = replace(
            found.state,
            status=status,
            tags=dict(template.tags),
            outputs=_outputs(found.resolved),
            changed_at=self._clock.now(),
            **state,
        )
        self.stacks[template.name] = found
        self._tell(found, template.name, STACK_TYPE, "CREATE_IN_PROGRESS")
        if not status.endswith("_IN_PROGRESS"):
            self._tell(found, template.name, STACK_TYPE, status)

    def finish(self, name: str, status: str, *, after_s: float) -> None:
        """Let an operation that is under way end by itself."""
        self._clock.schedule(after_s, lambda: self._end(self.stacks[name], status))

    @property
    def statuses(self) -> dict[str, str]:
        """The status of every stack."""
        return {name: each.state.status for name, each in sorted(self.stacks.items())}

    # How it works inside.

    def _run(self, stack: _Stack, verb: str, steps: list[tuple[str, str]], adopt: Callable[[], None]) -> None:
        name = stack.state.name
        self._tell(stack, name, STACK_TYPE, f"{verb}_IN_PROGRESS")
        broken = next((each for each, _ in steps if each in self.breaks), None)
        at_s = 0.0
        for logical_id, type_name in steps:
            at_s += self.step_s
            status = f"{verb}_FAILED" if logical_id == broken else f"{verb}_COMPLETE"
            reason = self.breaks.get(logical_id, "")
            self._later(at_s, stack, logical_id, type_name, status, reason)
            if logical_id == broken:
                break
        self._clock.schedule(at_s + self.step_s, lambda: self._conclude(stack, verb, broken, adopt))

    def _conclude(self, stack: _Stack, verb: str, broken: str | None, adopt: Callable[[], None]) -> None:
        if broken is None:
            adopt()
            self._end(stack, f"{verb}_COMPLETE")
            return
        if verb == "DELETE":
            self._end(stack, "DELETE_FAILED")
            return
        prefix = "" if verb == "CREATE" else "UPDATE_"
        self._become(stack, f"{prefix}ROLLBACK_IN_PROGRESS")
        self._tell(stack, stack.state.name, STACK_TYPE, f"{prefix}ROLLBACK_IN_PROGRESS")
        end = "FAILED" if self.breaks_rollback else "COMPLETE"
        self._clock.schedule(self.step_s, lambda: self._end(stack, f"{prefix}ROLLBACK_{end}"))

    def _end(self, stack: _Stack, status: str) -> None:
        self._become(stack, status)
        self._tell(stack, stack.state.name, STACK_TYPE, status)

    def _review(self, change_set_id: str) -> None:
        with self._lock:
            made = self.change_sets.get(change_set_id)
            if made is None:
                return
            stack = self.stacks[made.template.name]
            unknown = [each for each in made.template.reads if self._output(*each) is None]
            if unknown:
                reason = f"Output {unknown[0][1]} of stack {unknown[0][0]} does not exist"
                made.shown = replace(made.shown, status=ChangeSetStatus.FAILED, reason=reason)
                return
            found = changes_between(stack.resolved, self._resolve(made.template.body))
            changes = tuple(self._as_aws_tells(change) for change in found)
            has_tags = dict(stack.state.tags) != dict(made.template.tags)
            is_empty = not changes and not has_tags and not made.is_new
            status = ChangeSetStatus.EMPTY if is_empty else ChangeSetStatus.READY
            made.shown = replace(made.shown, status=status, changes=changes)

    def _as_aws_tells(self, change: Change) -> Change:
        if change.effect is Effect.ADDED:
            return change
        effect = self.effects.get(change.logical_id, change.effect)
        return replace(change, effect=effect, physical_id=f"{change.logical_id}-1")

    def _adopt(self, stack: _Stack, made: _ChangeSet) -> None:
        stack.text, stack.resolved = made.template.text, self._resolve(made.template.body)
        outputs = _outputs(stack.resolved)
        stack.state = replace(stack.state, tags=dict(made.template.tags), outputs=outputs)

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            reference = value.get("Fn::GetStackOutput")
            if reference:
                return self._output(reference["StackName"], reference["OutputName"])
            return {key: self._resolve(each) for key, each in value.items()}
        return [self._resolve(each) for each in value] if isinstance(value, list) else value

    def _output(self, name: str, output: str) -> str | None:
        stack = self.stacks.get(name)
        is_up = stack is not None and stack.state.health is Health.SOUND
        return stack.state.outputs.get(output) if stack and is_up else None

    def _become(self, stack: _Stack, status: str) -> None:
        begins = status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
        changed_at = self._clock.now() if begins else stack.state.changed_at
        stack.state = replace(stack.state, status=status, changed_at=changed_at)

    def _forget(self, stack: _Stack) -> None:
        self.stacks.pop(stack.state.name, None)
        stack.state = replace(stack.state, status="DELETE_COMPLETE")
        self.gone[stack.state.stack_id] = stack

    def _later(  # noqa: PLR0913 - the fields of an event
        self, at_s: float, stack: _Stack, logical_id: str, type_name: str, status: str, reason: str
    ) -> None:
        self._clock.schedule(at_s, lambda: self._tell(stack, logical_id, type_name, status, reason=reason))

    def _tell(self, stack: _Stack, logical_id: str, type_name: str, status: str, *, reason: str = "") -> None:
        with self._lock:
            event_id = f"event-{next(self._numbers)}"
            physical_id = stack.state.stack_id if type_name == STACK_TYPE else f"{logical_id}-1"
            now = self._clock.now()
            event = StackEvent(event_id, logical_id, type_name, status, now, physical_id, reason)
            stack.events.append(event)

    def _new_state(self, name: str) -> StackState:
        stack_id = f"arn:aws:cloudformation:us-east-1:123456789012:stack/{name}/{next(self._numbers)}"
        return StackState(name, stack_id, "REVIEW_IN_PROGRESS", self._clock.now())

    def _find(self, stack: str, operation: str) -> _Stack:
        with self._lock:
            by_id = {each.state.stack_id: each for each in self.stacks.values()} | self.gone
            found = self.stacks.get(stack) or by_id.get(stack)
        if found is None:
            raise _missing(operation, stack)
        return found

    def _change_set(self, change_set_id: str) -> _ChangeSet:
        made = self.change_sets.get(change_set_id)
        if made is None:
            raise NotFound("cloudformation", "DescribeChangeSet", "ChangeSetNotFound", change_set_id)
        return made


def _outputs(resolved: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(each["Value"]) for name, each in resolved.get("Outputs", {}).items()}


def _missing(operation: str, stack: str) -> NotFound:
    return NotFound("cloudformation", operation, "ValidationError", f"Stack with id {stack} does not exist")


def _invalid(operation: str, text: str) -> AwsError:
    return AwsError("cloudformation", operation, "ValidationError", text)


class FakeParameters(Recorded):
    """Parameters in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}

    def get(self, names: Sequence[str]) -> Mapping[str, str]:
        self._note("get")
        return {name: self.values[name] for name in names if name in self.values}

    def create(self, name: str, value: str) -> bool:
        self._note("create")
        return self.values.setdefault(name, value) is value

    def put(self, name: str, value: str) -> None:
        self._note("put")
        self.values[name] = value

    def below(self, path: str) -> Mapping[str, str]:
        self._note("below")
        names = {name: name.removeprefix(f"{path}/") for name in self.values if name.startswith(f"{path}/")}
        return {rest: self.values[name] for name, rest in names.items() if "/" not in rest}

    def delete(self, names: Sequence[str]) -> None:
        self._note("delete")
        for name in names:
            self.values.pop(name, None)


@dataclass
class FakeBundles:
    """Functions that are built already."""

    bundles: dict[str, Bundle] = field(default_factory=dict)

    def have(self, name: str, path: Path) -> None:
        """Have a function's code."""
        path.write_bytes(b"code")
        self.bundles[name] = Bundle(name, f"functions/{name}/1.zip", path)

    def build(self) -> Mapping[str, Bundle]:
        return self.bundles


@dataclass
class FakeTemplates:
    """Templates as a test says."""

    of_network: tuple[StackTemplate, ...] = ()
    of_environments: dict[str, tuple[StackTemplate, ...]] = field(default_factory=dict)

    def network(self) -> tuple[StackTemplate, ...]:
        return self.of_network

    def environment(self, name: str, function_keys: Mapping[str, str]) -> tuple[StackTemplate, ...]:
        return self.of_environments.get(name, ())
