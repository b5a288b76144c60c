# SPDX-License-Identifier: Apache-2.0
"""Make moto's instances follow their machines: states, checks, and what moto leaves out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol

from moto import settings
from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, Reservation
from moto.ec2.responses import EC2Response
from moto.ec2.responses.general import General
from moto.ec2.responses.instances import InstanceResponse

from sandbox import handover
from sandbox.api import launches, siblings
from sandbox.api.errors import AwsError
from sandbox.api.ledger import USER_SHUTDOWN, Health, Ledger, State
from sandbox.api.patches import Patches

_GONE = (State.SHUTTING_DOWN, State.TERMINATED)


class Machines(Protocol):
    """What carries out the state that the API has entered."""

    def converge(self, instance_id: str) -> None:
        """Bring the machine to the state of its instance, soon."""

    def reboot(self, instance_id: str) -> None:
        """Reboot the machine, soon."""

    def console(self, instance_id: str) -> str:
        """Return the machine's console."""


class InstanceHooks:
    """The replacements for moto's instance operations."""

    def __init__(
        self,
        ledger: Ledger,
        machines: Machines,
        *,
        refuse: Callable[[str, str], None] = lambda zone, instance_type: None,
    ) -> None:
        """Make the hooks; `refuse` raises where a launch in a zone, of an instance type, shall fail."""
        self._ledger = ledger
        self._machines = machines
        self._refuse = refuse

    def install(self, patches: Patches) -> None:
        """Put the replacements in place."""
        siblings.install(patches)
        patches.replace(settings, "EC2_ENABLE_INSTANCE_TYPE_VALIDATION", True)
        patches.replace(Instance, "terminate", self._terminating())
        self._ledger.use_terminate(siblings.give_back)
        patches.replace(Instance, "start", self._starting())
        patches.replace(Instance, "stop", self._stopping())
        patches.replace(Instance, "reboot", self._rebooting())
        patches.replace(Instance, "instance_status", property(self._status))
        patches.replace(Instance, "system_status", property(_system_status))
        patches.replace(EC2Backend, "run_instances", self._running(EC2Backend.run_instances))
        patches.replace(InstanceResponse, "run_instances", _counting(InstanceResponse.run_instances))
        taking = handover.taking("TerminateInstances", InstanceResponse.terminate_instances)
        patches.replace(InstanceResponse, "terminate_instances", _terminating_many(taking))
        patches.replace(General, "get_console_output", self._console())
        patches.replace(
            EC2Backend,
            "modify_instance_attribute",
            _only_when_stopped(EC2Backend.modify_instance_attribute),
        )
        patches.replace(EC2Backend, "modify_instance_security_groups", _regroup_instance)
        patches.replace(
            InstanceResponse,
            "modify_instance_attribute",
            _modifying(InstanceResponse.modify_instance_attribute),
        )
        patches.replace(NetworkInterface, "group_set", property(lambda nic: nic._group_set))

    def _running(self, original: Callable[..., Reservation]) -> Callable[..., Reservation]:
        def run_instances(
            backend: Any, image_id: str, count: int, user_data: Any, security_group_names: Any, **kwargs: Any
        ) -> Reservation:
            """Launch as moto does, but only what exists, and pending until the machine runs."""
            repeated = launches.launched_before(backend, kwargs.get("client_token"))
            if repeated is not None:
                return repeated
            launch = launches.prepare(backend, image_id, kwargs)
            self._refuse(*launches.place(backend, launch))
            launches.check_room(backend, launch, count)
            first = 1 if siblings.are_alike(launch.options) else count
            reservation = original(
                backend, launch.image.id, first, user_data, security_group_names, **launch.options
            )
            for instance in reservation.instances:
                launches.complete(backend, instance, launch=launch, reservation_id=reservation.id)
            if count > first:
                siblings.multiply(backend, reservation, count)
            for instance in reservation.instances:
                self._ledger.enter(instance, State.PENDING)
            launches.associate_profiles(backend, reservation, launch)
            for instance in reservation.instances:
                self._machines.converge(instance.id)
            return reservation

        return run_instances

    def _starting(self) -> Callable[[Any], Any]:
        def start(instance: Any) -> Any:
            """Power on a stopped instance; one that is on already stays as it is."""
            before = copy.copy(instance._state)
            if instance.state in (State.RUNNING, State.PENDING):
                return before
            if instance.state != State.STOPPED:
                raise _wrong_state(instance, "started")
            for nic in instance.nics.values():
                nic.start()
            instance.launch_time = utcnow()
            self._ledger.enter(instance, State.PENDING)
            self._machines.converge(instance.id)
            return before

        return start

    def _stopping(self) -> Callable[[Any], Any]:
        def stop(instance: Any) -> Any:
            """Begin to stop; the instance is `stopped` when its machine is off."""
            before = copy.copy(instance._state)
            if instance.state in (State.STOPPED, State.STOPPING):
                return before
            if instance.state != State.RUNNING:
                raise _wrong_state(instance, "stopped")
            self._ledger.enter(instance, State.STOPPING, USER_SHUTDOWN)
            self._machines.converge(instance.id)
            return before

        return stop

    def _terminating(self) -> Callable[[Any], Any]:
        def terminate(instance: Any) -> Any:
            """Begin to terminate; the instance is `terminated` when its machine is gone."""
            before = copy.copy(instance._state)
            if instance.state not in _GONE:
                self._ledger.enter(instance, State.SHUTTING_DOWN, USER_SHUTDOWN)
                self._machines.converge(instance.id)
            return before

        return terminate

    def _rebooting(self) -> Callable[[Any], None]:
        def reboot(instance: Any) -> None:
            """Reboot a running instance; its state does not change."""
            if instance.state != State.RUNNING:
                raise _wrong_state(instance, "rebooted")
            self._machines.reboot(instance.id)

        return reboot

    def _status(self, instance: Any) -> dict[str, Any]:
        if instance.state != State.RUNNING:
            return {"Status": "not-applicable"}
        health = self._ledger.health.get(instance.id, Health.INITIALIZING)
        detail = {Health.OK: "passed", Health.IMPAIRED: "failed"}.get(health, "initializing")
        return {"Status": str(health), "Details": [{"Name": "reachability", "Status": detail}]}

    def _console(self) -> Callable[[Any], ActionResult]:
        def get_console_output(response: Any) -> ActionResult:
            """Return what the machine wrote to its console, always the latest."""
            instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
            text = self._machines.console(instance.id)
            output = Base64EncodedString.from_raw_string(text)
            return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})

        return get_console_output


def _system_status(instance: Any) -> dict[str, Any]:
    """Return the status of the host below the instance: it answers this call, so it is well."""
    if instance.state != State.RUNNING:
        return {"Status": "not-applicable"}
    return {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}


def _counting(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def run_instances(response: EC2Response) -> ActionResult:
        """Launch MaxCount instances, where moto launches MinCount, and keep the protections asked for."""
        least, most = int(response._get_param("MinCount", 1)), int(response._get_param("MaxCount", 1))
        if least < 1 or most < least:
            raise AwsError("InvalidParameterValue", f"MinCount {least} and MaxCount {most} are not a range.")
        response.params["MinCount"] = most
        for mapping in response._get_param("BlockDeviceMappings", []):
            mapping.get("Ebs", {}).setdefault("DeleteOnTermination", True)
        launches.check_profile(response.current_account, response._get_param("IamInstanceProfile", {}))
        result = original(response)
        protects = response._get_param("DisableApiTermination")
        for instance in result.result.instances if protects is not None else ():  # type: ignore[attr-defined]
            instance.disable_api_termination = protects
        beside = handover.current()
        if beside is None or most <= handover.MOST_IN_WORDS:
            return result
        beside.told = _in_short(result.result)
        return EmptyResult()

    return run_instances


def _in_short(reservation: Any) -> dict[str, Any]:
    """Return of many instances what Auto Scaling reads."""
    instances = [
        {"InstanceId": each.id, "ImageId": each.image_id, "InstanceType": each.instance_type}
        for each in reservation.instances
    ]
    return {"ReservationId": reservation.id, "Instances": instances}


def _terminating_many(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def terminate_instances(response: Any) -> ActionResult:
        """Tell beside the words what became of a long list that was handed over."""
        result: Any = original(response)
        beside = handover.current()
        if beside is None or beside.given is None:
            return result  # type: ignore[no-any-return]
        beside.told = {
            "TerminatingInstances": [
                {**each, "PreviousState": {"Code": before.code, "Name": before.name}}
                for each in result.result["TerminatingInstances"]
                for before in (each["PreviousState"],)
            ]
        }
        return EmptyResult()

    return terminate_instances


def _modifying(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def modify_instance_attribute(response: Any) -> ActionResult:
        """Change what moto has no handler for, too. Network drivers may be asked for: they mean nothing."""
        behaviour = response._get_param("InstanceInitiatedShutdownBehavior.Value")
        drivers = response._get_param("EnaSupport"), response._get_param("SriovNetSupport")
        if behaviour is None and drivers == (None, None):
            return original(response)
        instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
        response.error_on_dryrun()
        if behaviour is not None:
            instance.instance_initiated_shutdown_behavior = behaviour
        return EmptyResult()

    return modify_instance_attribute


def _only_when_stopped(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify_instance_attribute(backend: Any, instance_id: str, key: str, value: Any) -> Any:
        """Refuse to change what AWS changes only while an instance is off."""
        instance = backend.get_instance(instance_id)
        if key in {"instance_type", "user_data", "ebs_optimized"} and instance.state != State.STOPPED:
            raise AwsError(
                "IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'stopped' state."
            )
        return original(backend, instance_id, key, value)

    return modify_instance_attribute


def _regroup_instance(backend: Any, instance_id: str, new_group_id_list: list[str]) -> Any:
    """Change the groups of the instance's interface as well, where they take effect."""
    instance = backend.get_instance(instance_id)
    groups = [launches.existing_group(backend, group_id) for group_id in new_group_id_list]
    instance.security_groups = groups
    instance.nics[0]._group_set = list(groups)
    return instance


def _wrong_state(instance: Any, action: str) -> AwsError:
    return AwsError(
        "IncorrectInstanceState",
        f"The instance '{instance.id}' is not in a state from which it can be {action}.",
    )
