# SPDX-License-Identifier: Apache-2.0
"""What watches a network: alarms for what its environments share, and the account's audit.

The trail of every API call, the record of every configuration, threat detection and backups kept apart from
what they back up exist once in an account, so the network's file says whether they are here. The alarms
always are.
"""

from __future__ import annotations

from troposphere import Ref, Template

from stacks import account_audit, backups, network_alarms
from stacks.inputs import NetworkInputs
from stacks.parts import add_outputs
from stacks.stack import NetworkStack, Stack, stack_name


def synthesise(inputs: NetworkInputs) -> Stack:
    """Return the network's audit stack."""
    template = Template(f"What watches the network {inputs.name}: alarms and audit.")
    network_alarms.add(template, inputs)
    if inputs.network.audit:
        account_audit.add(template, inputs)
        if inputs.network.database:
            backups.add(template, inputs)
    add_outputs(template, {"AlertsTopicArn": Ref("AlertsTopic")})
    return Stack(NetworkStack.AUDIT, inputs.name, template, _needed(inputs))


def _needed(inputs: NetworkInputs) -> tuple[str, ...]:
    kinds = [NetworkStack.SECURITY]
    if inputs.network.database:
        kinds.append(NetworkStack.DATABASE)
    if inputs.network.domain:
        kinds.append(NetworkStack.BALANCER)
    return tuple(stack_name(inputs.name, kind) for kind in kinds)
