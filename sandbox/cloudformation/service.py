# SPDX-License-Identifier: Apache-2.0
"""Put the engine under moto's CloudFormation API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores

from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches
from sandbox.cloudformation import change_set_calls, drift_calls, reading_calls, registry, stack_calls
from sandbox.cloudformation.engine import Engine
from sandbox.cloudformation.handler import Handler
from sandbox.cloudformation.stacks import stored
from sandbox.cloudformation.workers import Threads
from sandbox.cloudformation.world import World
from sandbox.services import Surroundings

Operation = Callable[[Engine, Mapping[str, Any]], dict[str, Any] | None]

# Resources of all stacks together that are made at one time; nearly all of that time is waiting.
WORKERS = 32

OPERATIONS: Mapping[str, Operation] = {
    "CancelUpdateStack": stack_calls.cancel_update_stack,
    "ContinueUpdateRollback": stack_calls.continue_update_rollback,
    "CreateChangeSet": change_set_calls.create_change_set,
    "CreateStack": stack_calls.create_stack,
    "DeleteChangeSet": change_set_calls.delete_change_set,
    "DeleteStack": stack_calls.delete_stack,
    "DescribeChangeSet": change_set_calls.describe_change_set,
    "DescribeStackDriftDetectionStatus": drift_calls.describe_stack_drift_detection_status,
    "DescribeStackEvents": reading_calls.describe_stack_events,
    "DescribeStackResource": reading_calls.describe_stack_resource,
    "DescribeStackResourceDrifts": drift_calls.describe_stack_resource_drifts,
    "DescribeStackResources": reading_calls.describe_stack_resources,
    "DescribeStacks": reading_calls.describe_stacks,
    "DetectStackDrift": drift_calls.detect_stack_drift,
    "ExecuteChangeSet": change_set_calls.execute_change_set,
    "GetStackPolicy": stack_calls.get_stack_policy,
    "GetTemplate": reading_calls.get_template,
    "GetTemplateSummary": reading_calls.get_template_summary,
    "ListChangeSets": change_set_calls.list_change_sets,
    "ListExports": reading_calls.list_exports,
    "ListImports": reading_calls.list_imports,
    "ListStackResources": reading_calls.list_stack_resources,
    "ListStacks": reading_calls.list_stacks,
    "RollbackStack": stack_calls.rollback_stack,
    "SetStackPolicy": stack_calls.set_stack_policy,
    "UpdateStack": stack_calls.update_stack,
    "UpdateTerminationProtection": stack_calls.update_termination_protection,
    "ValidateTemplate": reading_calls.validate_template,
}


class CloudFormationService:
    """The service: stacks on moto's backend, an engine of our own behind the API."""

    def __init__(
        self,
        surroundings: Surroundings,
        handlers: Callable[[], Mapping[str, Handler]] = registry.handlers,
    ) -> None:
        self._surroundings = surroundings
        self._handlers = handlers
        self._engine: Engine | None = None

    def install(self, patches: Patches) -> None:
        """Answer the operations from here."""
        for name, operation in OPERATIONS.items():
            patches.replace(CloudFormationResponse, camelcase_to_underscores(name), self._answer(operation))
        patches.replace(CloudFormationResponse, "RESPONSE_KEY_PATH_TO_TRANSFORMER", {})

    def start(self) -> None:
        """Go on with what the region's end interrupted."""
        around = self._surroundings
        world = World(
            account_id=around.account_id,
            region=around.region,
            client=around.calls.client,
            clock=around.clock,
            lock=around.locks.of("cloudformation"),
            stacks=lambda: stored(around.account_id, around.region),
            changed=around.changed,
            handlers=self._handlers,
            workers=around.workers or Threads(around.clock, WORKERS),
            closing=threading.Event(),
        )
        self._engine = Engine(world)
        self._engine.resume()

    def close(self) -> None:
        """Stop operations where they are."""
        if self._engine is not None:
            self._engine.close()

    def _answer(self, operation: Operation) -> Callable[[CloudFormationResponse], ActionResult]:
        def answer(response: CloudFormationResponse) -> ActionResult:
            engine = self._engine
            if engine is None or response.region != engine.world.region:
                raise unsupported(f"cloudformation in {response.region}")
            result = operation(engine, response._get_params())
            return EmptyResult() if result is None else ActionResult(result)

        return answer
