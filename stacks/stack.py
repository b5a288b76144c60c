# SPDX-License-Identifier: Apache-2.0
"""A stack as data, its name, and how one refers to another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from troposphere import GetStackOutput, Join, Split

from orchestrator.domain.stack import EnvironmentStack, Kind, NetworkStack, bucket_name, stack_name

if TYPE_CHECKING:
    from troposphere import Template

__all__ = [
    "EnvironmentStack",
    "Kind",
    "NetworkStack",
    "Stack",
    "bucket_name",
    "list_output",
    "logical",
    "output",
    "stack_name",
]


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack to have. `depends_on` names the stacks whose outputs it reads."""

    kind: Kind
    owner: str
    template: Template
    depends_on: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the stack's name."""
        return stack_name(self.owner, self.kind)

    def body(self) -> str:
        """Return the template as compact JSON: CloudFormation takes 51,200 bytes of it."""
        text: str = self.template.to_json(indent=None, separators=(",", ":"), sort_keys=True)
        return text


def output(owner: str, kind: Kind, name: str) -> GetStackOutput:
    """Refer weakly to an output of another stack: no export, so nothing can block the other's update.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html
    """
    return GetStackOutput(stack_name(owner, kind), name)


def list_output(owner: str, kind: Kind, name: str) -> Split:
    """Refer weakly to an output that holds several values, joined by commas.

    Fn::Split is documented to take Fn::Join, but not (yet) Fn::GetStackOutput itself.
    """
    return Split(",", Join("", [output(owner, kind, name)]))


def logical(name: str) -> str:
    """Return a name of the configuration as a logical id: `api-eu` becomes `ApiEu`."""
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", name) if part)
