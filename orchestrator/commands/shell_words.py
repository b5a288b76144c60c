# SPDX-License-Identifier: Apache-2.0
"""What an operator types to visit machines. Quick to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.workflows.doors.shell_plan import ShellRequest


@dataclass(frozen=True, slots=True)
class ShellWords:
    """What was typed. `environment` is empty when it was left out."""

    environment: str = ""
    fleet: str = ""
    index: str = ""
    zone: str = ""
    instance_id: str = ""
    is_bastion: bool = False
    command: str = ""
    user: str = ""
    is_all: bool = False
    as_json: bool = False

    def request(self) -> ShellRequest:
        """Return what they mean."""
        from orchestrator.workflows.doors.machines import Choice  # noqa: PLC0415
        from orchestrator.workflows.doors.shell_plan import ShellRequest  # noqa: PLC0415

        choice = Choice(self.fleet, self.index, self.zone, self.instance_id, self.is_bastion, self.is_all)
        return ShellRequest(choice, self.command, self.user, self.as_json)
