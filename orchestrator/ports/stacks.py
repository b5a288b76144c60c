# SPDX-License-Identifier: Apache-2.0
"""CloudFormation stacks, their templates, and the code of functions that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.domain.change_set import ChangeSet
from orchestrator.domain.drift import DriftDetection, ResourceDrift
from orchestrator.domain.stack import Body, StackState, StackTemplate
from orchestrator.domain.stack_event import StackEvent


@dataclass(frozen=True, slots=True)
class ChangeSetRequest:
    """A change set to make; `is_new` for a stack that does not exist yet."""

    name: str
    template: StackTemplate
    is_new: bool


class Stacks(Protocol):
    """CloudFormation. What takes time is begun and returns at once; `stack` is a name or an id."""

    def all(self) -> tuple[StackState, ...]:
        """Return all of our stacks that exist, by their names."""

    def get(self, stack: str) -> StackState:
        """Return a stack as it stands, or raise NotFound; by its id it is found when it is deleted, too."""

    def template(self, stack: str) -> Body:
        """Return the template of a stack as it was given."""

    def policy(self, stack: str) -> Mapping[str, Any] | None:
        """Return the stack policy, None when there is none."""

    def set_policy(self, stack: str, policy: Mapping[str, Any]) -> None:
        """Replace the stack policy."""

    def protect(self, stack: str) -> None:
        """Switch termination protection on."""

    def create_change_set(self, request: ChangeSetRequest) -> str:
        """Begin to make a change set; return its id."""

    def change_set(self, change_set_id: str) -> ChangeSet:
        """Return a change set with all its changes."""

    def delete_change_set(self, change_set_id: str) -> None:
        """Delete a change set; an unknown one is no error."""

    def execute_change_set(self, change_set_id: str) -> None:
        """Begin to do what a change set says."""

    def delete(self, stack_id: str) -> None:
        """Begin to delete a stack."""

    def events(self, stack_id: str, *, after: str = "") -> tuple[StackEvent, ...]:
        """Return the latest operation's events, oldest first; only those that follow event `after`."""

    def detect_drift(self, stack: str) -> str:
        """Begin to look for drift; return the detection's id."""

    def drift_detection(self, detection_id: str) -> DriftDetection:
        """Return how far a detection is."""

    def drifts(self, stack: str) -> tuple[ResourceDrift, ...]:
        """Return the resources that the latest detection found modified or deleted."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The code of a function as a file of this machine, and its key in the bundles bucket."""

    name: str
    key: str
    path: Path


class Bundles(Protocol):
    """Builds the code of functions."""

    def build(self) -> Mapping[str, Bundle]:
        """Return the code of every function by name; the same sources give the same bytes and key."""


class Templates(Protocol):
    """The templates of a network and of its environments, written from the configuration."""

    def network(self) -> tuple[StackTemplate, ...]:
        """Return the stacks of the network."""

    def environment(self, name: str, function_keys: Mapping[str, str]) -> tuple[StackTemplate, ...]:
        """Return the stacks of an environment, with the keys of its functions' code."""
