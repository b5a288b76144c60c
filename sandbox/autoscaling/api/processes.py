# SPDX-License-Identifier: Apache-2.0
"""Operations on what groups do by themselves, and the lists of what there is to choose from.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
"""

from __future__ import annotations

from sandbox.autoscaling.activities import moment
from sandbox.autoscaling.api.context import Answer, Context, Parameters, invalid
from sandbox.autoscaling.api.targets import look_at_serving
from sandbox.autoscaling.group import Process
from sandbox.autoscaling.metrics import METRICS
from sandbox.autoscaling.policies import CHANGE, EXACT, PERCENT
from sandbox.autoscaling.selection import POLICIES

_MOST_GROUPS = 500


class Processes:
    """Operations on processes and on the collection of metrics."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def suspend_processes(self, parameters: Parameters) -> None:
        """Keep a group from doing things by itself."""
        group = self._context.group(parameters)
        since = f"User suspended at {moment(self._context.now())}"
        for name in _named(parameters):
            group.suspended.setdefault(name, since)
        self._context.wake(group.name)

    def resume_processes(self, parameters: Parameters) -> None:
        """Let a group do things by itself again; what has waited happens soon."""
        group = self._context.group(parameters)
        for name in _named(parameters):
            group.suspended.pop(name, None)
        look_at_serving(group)
        group.look_at_moving()
        self._context.wake(group.name)

    def enable_metrics_collection(self, parameters: Parameters) -> None:
        """Publish a group's metrics each minute."""
        group = self._context.group(parameters)
        if parameters["Granularity"] != "1Minute":
            raise invalid("Granularity must be 1Minute.")
        wanted = parameters.get("Metrics") or METRICS
        _check_metrics(wanted)
        group.metrics = [name for name in METRICS if name in wanted or name in group.metrics]

    def disable_metrics_collection(self, parameters: Parameters) -> None:
        """Publish a group's metrics no longer."""
        group = self._context.group(parameters)
        unwanted = parameters.get("Metrics") or METRICS
        _check_metrics(unwanted)
        group.metrics = [name for name in group.metrics if name not in unwanted]

    def describe_metric_collection_types(self, parameters: Parameters) -> Answer:
        """Show the metrics of groups."""
        del parameters
        return {
            "Metrics": [{"Metric": name} for name in METRICS],
            "Granularities": [{"Granularity": "1Minute"}],
        }

    def describe_scaling_process_types(self, parameters: Parameters) -> Answer:
        """Show the processes."""
        del parameters
        return {"Processes": [{"ProcessName": str(each)} for each in sorted(Process)]}

    def describe_termination_policy_types(self, parameters: Parameters) -> Answer:
        """Show the termination policies."""
        del parameters
        return {"TerminationPolicyTypes": list(POLICIES)}

    def describe_adjustment_types(self, parameters: Parameters) -> Answer:
        """Show the ways in which a policy may adjust a capacity."""
        del parameters
        return {"AdjustmentTypes": [{"AdjustmentType": kind} for kind in (CHANGE, EXACT, PERCENT)]}

    def describe_account_limits(self, parameters: Parameters) -> Answer:
        """Show how many groups there may be."""
        del parameters
        return {
            "MaxNumberOfAutoScalingGroups": _MOST_GROUPS,
            "MaxNumberOfLaunchConfigurations": 0,
            "NumberOfAutoScalingGroups": len(self._context.state().groups),
            "NumberOfLaunchConfigurations": 0,
        }


def _named(parameters: Parameters) -> list[str]:
    every = [str(each) for each in sorted(Process)]
    named = parameters.get("ScalingProcesses") or every
    if unknown := [name for name in named if name not in every]:
        raise invalid(f"Invalid process name {unknown[0]}; valid ones are {', '.join(every)}.")
    return list(named)


def _check_metrics(names: object) -> None:
    if unknown := [name for name in names if name not in METRICS]:  # type: ignore[attr-defined]
        raise invalid(f"Metric {unknown[0]} is not a metric of groups; those are {', '.join(METRICS)}.")
