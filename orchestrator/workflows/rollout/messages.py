# SPDX-License-Identifier: Apache-2.0
"""Tell the environment's alerts topic what becomes of a rollout. That nobody hears it stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.stack import EnvironmentStack, stack_name
from orchestrator.errors import AwsError, NotFound, WaitTimeout
from orchestrator.workflows.rollout.world import RolloutWorld

TOPIC_OUTPUT = "AlertsTopicArn"
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_SUBJECT_LIMIT = 100


@dataclass
class Messages:
    """The alerts topic, looked up when there is first something to tell."""

    world: RolloutWorld
    target: RolloutTarget
    note: Callable[[str], None]
    _topic: str | None = field(default=None, init=False)

    def tell(self, what: str, says: str) -> None:
        """Publish a message. `what` is a few words: `begun`, `at checkpoint 25 %`."""
        subject = f"rollout {self.target.name}: {what}".encode("ascii", "replace").decode()[:_SUBJECT_LIMIT]
        try:
            if self._topic is None:
                self._topic = _topic_arn(self.world, self.target)
            if self._topic:
                self.world.notices.publish(self._topic, subject, f"{says}\n")
        except (AwsError, WaitTimeout) as error:
            self.note(f"nobody was told `{what}`: {error.cause}")


def _topic_arn(world: RolloutWorld, target: RolloutTarget) -> str:
    try:
        stack = world.stacks.get(stack_name(target.environment, EnvironmentStack.QUEUES))
    except NotFound:
        return ""
    return stack.outputs.get(TOPIC_OUTPUT, "")
