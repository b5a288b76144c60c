# SPDX-License-Identifier: Apache-2.0
"""Fleets: an Auto Scaling group each, with its launch template, its machines' role and its scaling policy.

A group has a lower and an upper limit and never a DesiredCapacity: how many machines run between them is for
the scaling policy to say, and an update of this stack must not say otherwise. Hooks are made with the group,
so that they hold the first machine too. The launch template's version is a number, as instance refreshes need
it for their rollback; AMIs are replaced by rollouts alone, never by an update of this stack.
"""

from __future__ import annotations

from typing import Any

from troposphere import GetAtt, Ref, Template, autoscaling

from orchestrator.config.fleets import Fleet
from stacks import doors, machines, scaling
from stacks.doors import uses_database
from stacks.inputs import EnvironmentInputs
from stacks.machine_access import group_name
from stacks.parts import add_outputs
from stacks.stack import EnvironmentStack, NetworkStack, Stack, list_output, logical, output, stack_name

LAUNCH_HOOK, TERMINATE_HOOK = "launch", "terminate"
# Beyond the time for draining, so that a machine that takes all of it can still say that it is done.
DRAIN_MARGIN_S = 60


def synthesise(inputs: EnvironmentInputs) -> Stack:
    """Return the stack of the environment's fleets."""
    environment = inputs.environment
    template = Template(Description=f"The fleets of {environment.name}.")
    for name, fleet in sorted(environment.fleets.items()):
        title = logical(name)
        template.add_resource(machines.role(inputs, name))
        template.add_resource(machines.profile(inputs, name))
        template.add_resource(machines.launch_template(inputs, name))
        template.add_resource(_group(inputs, name, fleet))
        if fleet.scaling:
            template.add_resource(scaling.policy(inputs, name, fleet.scaling))
        add_outputs(
            template,
            {f"{title}GroupName": Ref(f"{title}Group"), f"{title}TemplateId": Ref(f"{title}Template")},
        )
    for parameter in doors.database_parameters(inputs):
        template.add_resource(parameter)
    return Stack(EnvironmentStack.FLEETS, environment.name, template, _depends_on(inputs))


def has_balancer(inputs: EnvironmentInputs) -> bool:
    """Tell whether the environment is behind the network's load balancer."""
    return any(fleet.is_balanced for fleet in inputs.environment.fleets.values())


def _depends_on(inputs: EnvironmentInputs) -> tuple[str, ...]:
    of_network = [NetworkStack.NETWORK, NetworkStack.SECURITY]
    if uses_database(inputs):
        of_network.append(NetworkStack.DATABASE)
    if has_balancer(inputs):
        of_network.append(NetworkStack.BALANCER)
    # Machines fetch their release from state's bundles when they start, work on storage's buckets, and let in
    # whom access's authority has signed for.
    of_environment = (
        EnvironmentStack.STATE,
        EnvironmentStack.QUEUES,
        EnvironmentStack.STORAGE,
        EnvironmentStack.ACCESS,
    )
    return (
        *(stack_name(inputs.network.name, kind) for kind in of_network),
        *(stack_name(inputs.environment.name, kind) for kind in of_environment),
    )


def _group(inputs: EnvironmentInputs, name: str, fleet: Fleet) -> autoscaling.AutoScalingGroup:
    title = logical(name)
    tier = "PublicSubnets" if fleet.is_public else "ApplicationSubnets"
    return autoscaling.AutoScalingGroup(
        f"{title}Group",
        AutoScalingGroupName=group_name(inputs.environment.name, name),
        MinSize=fleet.min_size,
        MaxSize=fleet.max_size,
        LaunchTemplate=autoscaling.LaunchTemplateSpecification(
            LaunchTemplateId=Ref(f"{title}Template"),
            Version=GetAtt(f"{title}Template", "LatestVersionNumber"),
        ),
        VPCZoneIdentifier=list_output(inputs.network.name, NetworkStack.NETWORK, tier),
        HealthCheckGracePeriod=fleet.grace_period_s,
        LifecycleHookSpecificationList=_hooks(fleet),
        MetricsCollection=[autoscaling.MetricsCollection(Granularity="1Minute")],
        TerminationPolicies=["OldestLaunchTemplate", "OldestInstance"],
        Tags=autoscaling.Tags(**machines.tags(inputs, name)),
        **_health(inputs, fleet),
    )


def _health(inputs: EnvironmentInputs, fleet: Fleet) -> dict[str, Any]:
    if not fleet.is_balanced:
        return {"HealthCheckType": "EC2"}
    target_group = f"{logical(inputs.environment.name)}TargetGroupArn"
    return {
        "HealthCheckType": "ELB",
        "TargetGroupARNs": [output(inputs.network.name, NetworkStack.BALANCER, target_group)],
    }


def _hooks(fleet: Fleet) -> list[autoscaling.LifecycleHookSpecification]:
    """Give up a machine that never says it is ready, and terminate one whether or not it says it is done.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html
    """
    return [
        autoscaling.LifecycleHookSpecification(
            LifecycleHookName=LAUNCH_HOOK,
            LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
            HeartbeatTimeout=fleet.launch_timeout_s,
            DefaultResult="ABANDON",
        ),
        autoscaling.LifecycleHookSpecification(
            LifecycleHookName=TERMINATE_HOOK,
            LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
            HeartbeatTimeout=fleet.drain_s + DRAIN_MARGIN_S,
            DefaultResult="CONTINUE",
        ),
    ]
