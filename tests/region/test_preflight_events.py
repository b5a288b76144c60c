# SPDX-License-Identifier: Apache-2.0
"""All that can happen to a fleet at once, and the checks that find it in a simulated region."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from orchestrator.domain.lock import LockRecord, Owner

from .preflight_fleet import ALARM, BUCKET, GROUP, KEY, STACK, PreflightFleet, stack_body
from .simulated_world import simulated


def machine(fleet: PreflightFleet, number: int) -> str:
    """Return the id of a machine in service, which are in order of their ids."""
    found = fleet.world().fleets.group(GROUP).in_service
    return sorted(each.instance_id for each in found)[number]


def take_lock(fleet: PreflightFleet) -> None:
    """Write the lock of a run that goes on on another host."""
    now = fleet.time.now()
    owner = Owner("ben", "elsewhere", 7, "", "rollout-20260101T000000-000001")
    record = LockRecord(owner, "token", taken_at=now, expires_at=now + timedelta(hours=1))
    fleet.api("s3").put_object(Bucket=BUCKET, Key="locks/fleet/lab/api.json", Body=record.to_json())


def delete_template_parts(fleet: PreflightFleet) -> None:
    fleet.api("ec2").delete_key_pair(KeyName=KEY)
    fleet.api("iam").remove_role_from_instance_profile(InstanceProfileName="lab", RoleName="lab")


def review(fleet: PreflightFleet) -> None:
    fleet.provision()
    fleet.api("cloudformation").create_change_set(
        StackName=STACK, ChangeSetName="later", TemplateBody=stack_body(DelaySeconds=5)
    )
    fleet.client.advance(60)


# What happens to the fleet, and the checks that find it.
EVENTS: dict[str, tuple[Callable[[PreflightFleet], object], list[str]]] = {
    "the old image is unpublished": (
        lambda fleet: fleet.api("ec2").create_tags(
            Resources=[fleet.old], Tags=[{"Key": "slipway:state", "Value": "candidate"}]
        ),
        ["old-image-pinned"],
    ),
    "the new image is deregistered": (
        lambda fleet: fleet.api("ec2").deregister_image(ImageId=fleet.new),
        ["image-exists"],
    ),
    "key pair and role go": (delete_template_parts, ["instance-profile-exists", "key-pair-exists"]),
    "a machine is protected": (
        lambda fleet: fleet.change(
            "set_instance_protection", InstanceIds=[machine(fleet, 0)], ProtectedFromScaleIn=True
        ),
        ["protected-machines-stay"],
    ),
    "a machine is put aside": (
        lambda fleet: fleet.change(
            "enter_standby", InstanceIds=[machine(fleet, 1)], ShouldDecrementDesiredCapacity=False
        ),
        ["standby-machines-stay", "capacity-is-whole", "zones-are-used"],
    ),
    "nothing is launched or checked": (
        lambda fleet: fleet.change("suspend_processes", ScalingProcesses=["Launch", "HealthCheck"]),
        ["processes-run", "health-is-watched"],
    ),
    "a hook takes two hours": (
        lambda fleet: fleet.change(
            "put_lifecycle_hook",
            LifecycleHookName="long",
            LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
            DefaultResult="CONTINUE",
            HeartbeatTimeout=7200,
        ),
        ["hooks-within-the-hour", "launch-hooks-give-up"],
    ),
    "the alarm goes": (
        lambda fleet: fleet.api("cloudwatch").delete_alarms(AlarmNames=[ALARM]),
        ["alarms-exist"],
    ),
    "a change set is made": (review, ["no-change-waits"]),
    "somebody takes the lock": (take_lock, ["lock-is-free"]),
}


def test_all_that_happens_to_a_fleet_is_found() -> None:
    for client in simulated():
        fleet = PreflightFleet(client)
        for arrange, _ in EVENTS.values():
            arrange(fleet)
        # A machine that is put aside is drained first: for five minutes, as target groups are by default.
        client.advance(400)
        assert fleet.checks() == sorted(name for _, names in EVENTS.values() for name in names)
