# SPDX-License-Identifier: Apache-2.0
"""Operations on scheduled actions.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScheduledUpdateGroupAction.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.autoscaling.api.context import Answer, Context, Parameters, invalid, page
from sandbox.autoscaling.group import Group
from sandbox.autoscaling.schedules import Schedule, parse
from sandbox.autoscaling.state import new_id


class Schedules:
    """Operations on scheduled actions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def put_scheduled_update_group_action(self, parameters: Parameters) -> None:
        """Make a scheduled action, or replace the one of the same name."""
        group = self._context.group(parameters)
        name = parameters["ScheduledActionName"]
        before = self._named(group, name)
        arn = f"scheduledUpdateGroupAction:{new_id()}:autoScalingGroupName/{group.name}"
        schedule = Schedule(
            name=name,
            arn=before.arn if before else self._context.arn(f"{arn}:scheduledActionName/{name}"),
            group=group.name,
            starts_at=_moment(parameters.get("StartTime") or parameters.get("Time")),
            ends_at=_moment(parameters.get("EndTime")),
            recurrence=parameters.get("Recurrence"),
            time_zone=parameters.get("TimeZone"),
            min_size=parameters.get("MinSize"),
            max_size=parameters.get("MaxSize"),
            desired=parameters.get("DesiredCapacity"),
        )
        self._check(schedule)
        schedule.plan(self._context.now())
        self._context.state().schedules[schedule.arn] = schedule

    def describe_scheduled_actions(self, parameters: Parameters) -> Answer:
        """Show what is scheduled."""
        group = self._context.group(parameters) if parameters.get("AutoScalingGroupName") else None
        names = parameters.get("ScheduledActionNames")
        found = [
            each
            for each in self._context.state().schedules.values()
            if (group is None or each.group == group.name) and (not names or each.name in names)
        ]
        shown, following = page(found, parameters, usual=50, most=100)
        return {"ScheduledUpdateGroupActions": [_shown(each) for each in shown], **following}

    def delete_scheduled_action(self, parameters: Parameters) -> None:
        """Remove a scheduled action."""
        group = self._context.group(parameters)
        schedule = self._named(group, parameters["ScheduledActionName"])
        if schedule is None:
            raise invalid(f"Scheduled action name not found: {parameters['ScheduledActionName']}")
        del self._context.state().schedules[schedule.arn]

    def _named(self, group: Group, name: str) -> Schedule | None:
        every = self._context.state().schedules.values()
        return next((each for each in every if each.group == group.name and each.name == name), None)

    def _check(self, schedule: Schedule) -> None:
        if (schedule.min_size, schedule.max_size, schedule.desired) == (None, None, None):
            raise invalid("At least one of minSize, maxSize and desiredCapacity is required.")
        if schedule.recurrence is None and schedule.starts_at is None:
            raise invalid("Either a start time or a recurrence is required.")
        is_past = schedule.starts_at is not None and schedule.starts_at <= self._context.now()
        if schedule.recurrence is None and is_past:
            raise invalid("Given start time is in the past")
        try:
            parse(schedule.recurrence or "* * * * *")
            ZoneInfo(schedule.time_zone or "UTC")
        except (ValueError, ZoneInfoNotFoundError) as error:
            raise invalid(f"Given recurrence or time zone is invalid: {error}") from error


def _moment(given: Any) -> datetime | None:
    if given is None:
        return None
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(schedule: Schedule) -> Answer:
    shown = {
        "AutoScalingGroupName": schedule.group,
        "ScheduledActionName": schedule.name,
        "ScheduledActionARN": schedule.arn,
        "Time": schedule.next_at,
        "StartTime": schedule.next_at,
        "EndTime": schedule.ends_at,
        "Recurrence": schedule.recurrence,
        "MinSize": schedule.min_size,
        "MaxSize": schedule.max_size,
        "DesiredCapacity": schedule.desired,
        "TimeZone": schedule.time_zone,
    }
    return {name: value for name, value in shown.items() if value is not None}
