# SPDX-License-Identifier: Apache-2.0
"""Auto Scaling as a service of the region: the operations in place of moto's, and what drives groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches
from sandbox.autoscaling.api.activities import Activities
from sandbox.autoscaling.api.context import Answer, Context, Parameters
from sandbox.autoscaling.api.groups import Groups
from sandbox.autoscaling.api.hooks import Hooks
from sandbox.autoscaling.api.instances import Instances
from sandbox.autoscaling.api.policies import Policies
from sandbox.autoscaling.api.processes import Processes
from sandbox.autoscaling.api.refreshes import Refreshes
from sandbox.autoscaling.api.schedules import Schedules
from sandbox.autoscaling.api.tags import Tags
from sandbox.autoscaling.api.targets import TargetGroups
from sandbox.autoscaling.calls import RegionCalls
from sandbox.autoscaling.engine import Engine, power_of
from sandbox.autoscaling.facts import Facts
from sandbox.autoscaling.loop import Loop
from sandbox.autoscaling.member import Power
from sandbox.autoscaling.minutes import Minutes
from sandbox.autoscaling.state import State, state_of
from sandbox.monitoring.service import Monitoring
from sandbox.services import Surroundings

_THEMES = (
    Activities,
    Groups,
    Instances,
    Hooks,
    Policies,
    Processes,
    Refreshes,
    Schedules,
    Tags,
    TargetGroups,
)

Operation = Callable[[Parameters], Answer | None]


class AutoScaling:
    """Groups keep their machines."""

    def __init__(self, surroundings: Surroundings, monitoring: Monitoring) -> None:
        self._surroundings = surroundings
        self._started: State | None = None
        self._lock = surroundings.locks.of("autoscaling")
        self._facts = Facts(
            account_id=surroundings.account_id, region=surroundings.region, locks=surroundings.locks
        )
        engine = Engine(self._state, self._facts)
        self._loop = Loop(
            engine=engine,
            state=self._state,
            lock=self._lock,
            clock=surroundings.clock,
            services=RegionCalls(surroundings.calls.client, surroundings.account_id, surroundings.announce),
            changed=surroundings.changed,
            reason=self._facts.end_of,
            state_of=self._facts.state_of,
        )
        self._context = Context(
            state=self._state,
            clock=surroundings.clock,
            facts=self._facts,
            engine=engine,
            wake=self._loop.wake,
            client=surroundings.calls.client,
            later=lambda action: void(surroundings.clock.after(0, action)),
            account_id=surroundings.account_id,
            region=surroundings.region,
        )

        self._minutes = Minutes(
            state=self._state,
            lock=self._lock,
            clock=surroundings.clock,
            client=surroundings.calls.client,
            wake=self._loop.wake,
            changed=surroundings.changed,
            cpu_seconds=surroundings.substrate.cpu_seconds,
            cpus=self._facts.cpus,
        )

        monitoring.follow(self._minutes.follow_alarm)
        monitoring.observe(self._note_alarm)

    def install(self, patches: Patches) -> None:
        """Put the operations in place of moto's."""
        for kind in _THEMES:
            theme = kind(self._context)
            for name in vars(kind):
                if not name.startswith("_"):
                    patches.replace(AutoScalingResponse, name, self._answering(getattr(theme, name)))

    def start(self) -> None:
        """Go on where the groups were: what happened to instances meanwhile is seen first."""
        self._started = self._state()
        self._surroundings.observe_instances(self._loop.note)
        with self._lock:
            self._see_instances()
        self._loop.look_at_all()
        self._minutes.start()

    def close(self) -> None:
        """Look at groups no more."""
        self._minutes.close()
        self._loop.close()

    def _state(self) -> State:
        """Return what is kept: the same object from when the saved state is there."""
        if self._started is not None:
            return self._started
        backends: Any = autoscaling_backends
        return state_of(backends[self._surroundings.account_id][self._surroundings.region])

    def _note_alarm(self, name: str) -> None:
        """Look at the groups whose refresh minds an alarm."""
        with self._lock:
            groups = list(self._state().groups.values())
            found = [each for each in groups if each.refresh and name in each.refresh.preferences.alarms]
        for group in found:
            self._loop.wake(group.name)

    def _see_instances(self) -> None:
        states: Mapping[str, str] | None = None
        for group in self._state().groups.values():
            for member in group.members.values():
                states = self._facts.states() if states is None else states
                power = power_of(states.get(member.instance_id, Power.TERMINATED))
                if power is not member.power:
                    member.power = power
                    group.look_at(member)

    def _answering(self, operation: Operation) -> Callable[[Any], ActionResult]:
        region = self._surroundings.region

        def answer(response: Any) -> ActionResult:
            if response.region != region:
                raise unsupported(f"autoscaling in {response.region}: this region is {region}; it")
            result = operation(response._get_params())
            return EmptyResult() if result is None else ActionResult(result)

        return answer


def void(value: object) -> None:
    """Forget a value."""
    del value
