# SPDX-License-Identifier: Apache-2.0
"""Operations on the instances of groups.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-enter-exit-standby.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-detach-attach-instances.html
"""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.autoscaling import activities, steps
from sandbox.autoscaling.activities import Activity, Status, moment
from sandbox.autoscaling.api import shapes
from sandbox.autoscaling.api.context import Answer, Context, Parameters, invalid, page
from sandbox.autoscaling.engine import power_of
from sandbox.autoscaling.group import Group
from sandbox.autoscaling.member import LEAVING, Lifecycle, Member, Power

USER_SAYS = "a user health-check"


class Instances:
    """Operations on instances."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def describe_auto_scaling_instances(self, parameters: Parameters) -> Answer:
        """Show instances of all groups."""
        state = self._context.state()
        if ids := parameters.get("InstanceIds"):
            pairs = [found for instance_id in ids if (found := state.member(instance_id))]
        else:
            pairs = [(group, each) for group in state.groups.values() for each in group.members.values()]
        shown, following = page(pairs, parameters, usual=50, most=50)
        return {"AutoScalingInstances": [shapes.instance_details(*pair) for pair in shown], **following}

    def attach_instances(self, parameters: Parameters) -> None:
        """Take running instances in; the desired capacity grows with them."""
        group = self._context.group(parameters)
        ids = list(parameters.get("InstanceIds", ()))
        settings = group.settings
        if settings.desired + len(ids) > settings.max_size:
            raise invalid(
                f"AutoScalingGroup {group.name} has max-size={settings.max_size} and "
                f"current desired={settings.desired}: {len(ids)} instances can not be attached."
            )
        for member in [self._newcomer(group, instance_id) for instance_id in ids]:
            group.launched += 1
            member.number = group.launched
            cause = (
                f"At {moment(self._context.now())} an instance was attached in response to a user request, "
                f"increasing the capacity from {settings.desired} to {settings.desired + 1}."
            )
            description = f"Attaching an existing EC2 instance: {member.instance_id}"
            self._begin(group, member, description, cause, Status.PRE_IN_SERVICE)
            settings.desired += 1
            self._context.state().take_in(group, member)
        self._context.wake(group.name)

    def detach_instances(self, parameters: Parameters) -> Answer:
        """Let instances go on without the group."""
        group, members = self._chosen(parameters, Lifecycle.IN_SERVICE, Lifecycle.STANDBY)
        shown = [
            self._set_aside(group, member, parameters, Lifecycle.DETACHING)
            for member in self._in_bounds(group, members, parameters)
        ]
        self._context.wake(group.name)
        return {"Activities": [shapes.activity(each) for each in shown]}

    def enter_standby(self, parameters: Parameters) -> Answer:
        """Take instances out of service for a while."""
        group, members = self._chosen(parameters, Lifecycle.IN_SERVICE)
        shown = [
            self._set_aside(group, member, parameters, Lifecycle.ENTERING_STANDBY)
            for member in self._in_bounds(group, members, parameters)
        ]
        self._context.wake(group.name)
        return {"Activities": [shapes.activity(each) for each in shown]}

    def exit_standby(self, parameters: Parameters) -> Answer:
        """Put instances back into service; the desired capacity grows with them."""
        group, members = self._chosen(parameters, Lifecycle.STANDBY)
        settings = group.settings
        if settings.desired + len(members) > settings.max_size:
            raise invalid(
                f"AutoScalingGroup {group.name} has max-size={settings.max_size}: "
                f"{len(members)} instances can not be taken out of standby."
            )
        shown = []
        for member in members:
            cause = (
                f"At {moment(self._context.now())} instance {member.instance_id} was moved out of standby in "
                f"response to a user request, increasing the capacity from {settings.desired} to "
                f"{settings.desired + 1}."
            )
            description = f"Moving EC2 instance out of Standby: {member.instance_id}"
            shown.append(self._begin(group, member, description, cause, Status.PRE_IN_SERVICE))
            settings.desired += 1
            # Hooks are for instances that come and go for good.
            member.has_run_hooks = True
            group.move(member, Lifecycle.PENDING)
        self._context.wake(group.name)
        return {"Activities": [shapes.activity(each) for each in shown]}

    def set_instance_health(self, parameters: Parameters) -> None:
        """Say that an instance is ill, or well again."""
        group, member = self._anywhere(parameters["InstanceId"])
        status = parameters["HealthStatus"]
        if status not in ("Healthy", "Unhealthy"):
            raise invalid("Valid instance health states are: [Healthy, Unhealthy]")
        in_grace = steps.grace_ends(group, member) > self._context.now()
        if status == "Unhealthy" and in_grace and parameters.get("ShouldRespectGracePeriod", True):
            return
        member.unhealthy = USER_SAYS if status == "Unhealthy" else ""
        group.look_at(member)
        self._context.wake(group.name)

    def set_instance_protection(self, parameters: Parameters) -> Answer:
        """Protect instances from scale-in, or no longer."""
        group = self._context.group(parameters)
        for member in self._context.members(group, parameters):
            member.is_protected = parameters["ProtectedFromScaleIn"]
            group.look_at(member)
        group.stuck_at = None
        self._context.wake(group.name)
        return {}

    def terminate_instance_in_auto_scaling_group(self, parameters: Parameters) -> Answer:
        """Terminate an instance, which is replaced unless the desired capacity shrinks."""
        group, member = self._anywhere(parameters["InstanceId"])
        if member.state in LEAVING:
            activity = self._context.state().activity_by_id[member.activity_id]
            return {"Activity": shapes.activity(activity)}
        now, settings = self._context.now(), group.settings
        cause = (
            f"At {moment(now)} instance {member.instance_id} was taken out of service in response to a "
            "user request"
        )
        if parameters["ShouldDecrementDesiredCapacity"]:
            cause += self._shrunk(group, [member])
            if member.state is not Lifecycle.STANDBY:
                settings.desired -= 1
        activity = self._context.engine.transitions.leave(group, member, f"{cause}.", now=now)
        self._context.wake(group.name)
        return {"Activity": shapes.activity(activity)}

    def _newcomer(self, group: Group, instance_id: str) -> Member:
        instance = self._context.facts.instance(instance_id)
        if instance is None:
            raise invalid(f"Invalid Instance ID(s): [{instance_id}].")
        if home := self._context.state().homes.get(instance_id):
            raise invalid(f"The instance {instance_id} is already part of AutoScalingGroup:{home}.")
        if power_of(instance.state) is not Power.RUNNING:
            raise invalid(
                f"The instance {instance_id} is not in correct state. Instance(s) must be in 'running' state."
            )
        if instance.placement.zone not in group.settings.zones:
            raise invalid(f"The instance {instance_id} is not in an Availability Zone of the group.")
        return Member(
            instance_id=instance_id,
            number=0,
            zone=instance.placement.zone,
            subnet_id=instance.subnet_id,
            instance_type=instance.instance_type,
            image_id=instance.image_id,
            launched_at=self._context.now(),
            state=Lifecycle.PENDING,
            template=self._context.facts.template_of(instance),
            power=Power.RUNNING,
        )

    def _chosen(self, parameters: Parameters, *states: Lifecycle) -> tuple[Group, list[Member]]:
        group = self._context.group(parameters)
        members = self._context.members(group, parameters)
        for member in members:
            if member.state not in states:
                raise invalid(f"The instance {member.instance_id} is not in {' or '.join(states)}.")
        return group, members

    def _anywhere(self, instance_id: str) -> tuple[Group, Member]:
        found = self._context.state().member(instance_id)
        if found is None:
            raise invalid(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
        return found

    def _in_bounds(self, group: Group, members: list[Member], parameters: Parameters) -> list[Member]:
        if parameters["ShouldDecrementDesiredCapacity"]:
            self._shrunk(group, members)
        return members

    def _shrunk(self, group: Group, members: Iterable[Member]) -> str:
        """Return how the cause says that the capacity shrinks; refuse to go below the minimum."""
        settings = group.settings
        lost = sum(member.state is not Lifecycle.STANDBY for member in members)
        if settings.desired - lost < settings.min_size:
            raise invalid(
                f"Currently, desiredSize equals minSize ({settings.min_size}). Terminating instance without "
                "replacement will violate group's min size constraint. Either set "
                "shouldDecrementDesiredCapacity flag to false or lower group's min size."
                if lost == 1
                else f"AutoScalingGroup {group.name} has min-size={settings.min_size}, max-size="
                f"{settings.max_size}, and desired-size={settings.desired}. To remove {lost} instances "
                "without replacement, lower the group's min size."
            )
        return f", shrinking the capacity from {settings.desired} to {settings.desired - lost}"

    def _set_aside(self, group: Group, member: Member, parameters: Parameters, state: Lifecycle) -> Activity:
        is_standby = state is Lifecycle.ENTERING_STANDBY
        shrinks = parameters["ShouldDecrementDesiredCapacity"] and member.state is not Lifecycle.STANDBY
        done = "moved to standby" if is_standby else "detached"
        cause = (
            f"At {moment(self._context.now())} instance {member.instance_id} was {done} in response to a "
            f"user request{self._shrunk(group, [member]) if shrinks else ''}."
        )
        if shrinks:
            group.settings.desired -= 1
        verb = "Moving EC2 instance to Standby" if is_standby else "Detaching EC2 instance"
        activity = self._begin(group, member, f"{verb}: {member.instance_id}", cause, Status.IN_PROGRESS)
        group.move(member, state)
        return activity

    def _begin(self, group: Group, member: Member, description: str, cause: str, status: Status) -> Activity:
        activity = self._context.state().begin(
            group,
            description,
            cause,
            now=self._context.now(),
            status=status,
            details=activities.details(member.subnet_id, member.zone),
        )
        member.activity_id = activity.activity_id
        return activity
