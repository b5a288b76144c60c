# SPDX-License-Identifier: Apache-2.0
"""What guards a network: encryption keys, security groups, and the logs of who did and sent what.

Everything else of the network and of its environments refers to this stack, so it holds nothing that is
replaced when those change. Keys and logs outlive it: what they encrypt and tell is still there.
"""

from __future__ import annotations

from troposphere import GetAtt, Ref, Template

from stacks import keys, network_logs, security_groups
from stacks.inputs import NetworkInputs
from stacks.parts import add_outputs
from stacks.stack import NetworkStack, Stack, output, stack_name


def synthesise(inputs: NetworkInputs) -> Stack:
    """Return the network's security stack."""
    template = Template(f"What guards the network {inputs.name}: keys, security groups, logs.")
    vpc_id = output(inputs.name, NetworkStack.NETWORK, "VpcId")
    keys.add(template, inputs)
    network_logs.add_bucket(template, inputs)
    network_logs.add_flow_log(template, inputs, vpc_id=vpc_id)
    groups = security_groups.add(template, inputs, vpc_id=vpc_id)
    add_outputs(
        template,
        {
            "DataKeyArn": GetAtt("DataKey", "Arn"),
            "LogsKeyArn": GetAtt("LogsKey", "Arn"),
            "LogsBucketName": Ref("LogsBucket"),
            **{group: GetAtt(group, "GroupId") for group in groups},
        },
    )
    return Stack(
        NetworkStack.SECURITY, inputs.name, template, (stack_name(inputs.name, NetworkStack.NETWORK),)
    )
