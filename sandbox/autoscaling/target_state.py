# SPDX-License-Identifier: Apache-2.0
"""What a machine reads of its own future in the instance metadata.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html
"""

from __future__ import annotations

from moto.autoscaling.models import autoscaling_backends

from sandbox.autoscaling.state import state_of


def target_state(account_id: str, region: str, instance_id: str) -> str | None:
    """Return the state that the instance's group is bringing it to, or None outside of groups."""
    found = state_of(autoscaling_backends[account_id][region]).member(instance_id)
    if found is None:
        return None
    state = str(found[1].state.value)
    if state.startswith("Terminat"):
        return "Terminated"
    if state in ("EnteringStandby", "Standby"):
        return "Standby"
    return "Detached" if state.startswith("Detach") else "InService"
