# SPDX-License-Identifier: Apache-2.0
"""AWS Budgets as state: nothing is spent here, so no budget is ever reached.

moto can't change a budget, and forgets who is to be told.

https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_Operations_AWS_Budgets.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.budgets.models import budgets_backends
from moto.budgets.responses import BudgetsResponse

from sandbox.api import own_operations
from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records
from sandbox.api.patches import Patches

_FOR_EVER = datetime(2087, 6, 15, tzinfo=UTC)
_NOTHING = {"Amount": "0.0", "Unit": "USD"}


def install(patches: Patches) -> None:
    """Answer the operations of Budgets here."""
    own_operations.install(
        patches,
        BudgetsResponse,
        backend=lambda response: budgets_backends[response.current_account]["aws"],
        operations=OPERATIONS,
    )


def _create(records: Records, parameters: Parameters) -> None:
    given = parameters["Budget"]
    name = given["BudgetName"]
    if name in records.get("budgets", {}):
        raise AwsError(
            "DuplicateRecordException", f"Error creating budget: {name} - the budget already exists."
        )
    record: dict[str, Any] = {"notifications": [], "tags": _pairs(parameters.get("ResourceTags"))}
    _put(record, given)
    for each in parameters.get("NotificationsWithSubscribers") or []:
        record["notifications"].append([each["Notification"], each["Subscribers"]])
    records.setdefault("budgets", {})[name] = record


def _put(record: dict[str, Any], given: Mapping[str, Any]) -> None:
    if not {"BudgetLimit", "PlannedBudgetLimits", "AutoAdjustData"} & set(given):
        raise AwsError("InvalidParameterException", "Unable to create/update budget - one limit is needed.")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    period = {"Start": today.replace(day=1), "End": _FOR_EVER}
    record["budget"] = {
        **given,
        "TimePeriod": period | dict(given.get("TimePeriod") or {}),
        "CalculatedSpend": {"ActualSpend": _NOTHING, "ForecastedSpend": _NOTHING},
        "LastUpdatedTime": datetime.now(UTC),
    }


def _describe(records: Records, parameters: Parameters) -> dict[str, Any]:
    return {"Budget": _find(records, parameters["BudgetName"])["budget"]}


def _list(records: Records, _: Parameters) -> dict[str, Any]:
    return {"Budgets": [record["budget"] for record in records.get("budgets", {}).values()]}


def _update(records: Records, parameters: Parameters) -> None:
    given = parameters["NewBudget"]
    _put(_find(records, given["BudgetName"]), given)


def _delete(records: Records, parameters: Parameters) -> None:
    _find(records, parameters["BudgetName"])
    del records["budgets"][parameters["BudgetName"]]


def _notifications(records: Records, parameters: Parameters) -> dict[str, Any]:
    listed = _find(records, parameters["BudgetName"])["notifications"]
    return {"Notifications": [notification for notification, _ in listed]}


def _create_notification(records: Records, parameters: Parameters) -> None:
    record = _find(records, parameters["BudgetName"])
    given = parameters["Notification"]
    if any(notification == given for notification, _ in record["notifications"]):
        raise AwsError("DuplicateRecordException", "The notification already exists.")
    record["notifications"].append([given, parameters["Subscribers"]])


def _delete_notification(records: Records, parameters: Parameters) -> None:
    record = _find(records, parameters["BudgetName"])
    record["notifications"].remove(_notification(record, parameters))


def _subscribers(records: Records, parameters: Parameters) -> dict[str, Any]:
    record = _find(records, parameters["BudgetName"])
    return {"Subscribers": _notification(record, parameters)[1]}


def _notification(record: Mapping[str, Any], parameters: Parameters) -> Any:
    for each in record["notifications"]:
        if each[0] == parameters["Notification"]:
            return each
    raise AwsError("NotFoundException", "Unable to find the notification.")


def _find(records: Records, name: str) -> dict[str, Any]:
    if name not in records.get("budgets", {}):
        raise AwsError("NotFoundException", f"Unable to get budget: {name} - the budget doesn't exist.")
    record: dict[str, Any] = records["budgets"][name]
    return record


def _list_tags(records: Records, parameters: Parameters) -> dict[str, Any]:
    tags = _tagged(records, parameters)["tags"]
    return {"ResourceTags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _tag(records: Records, parameters: Parameters) -> None:
    _tagged(records, parameters)["tags"].update(_pairs(parameters["ResourceTags"]))


def _untag(records: Records, parameters: Parameters) -> None:
    for key in parameters["ResourceTagKeys"]:
        _tagged(records, parameters)["tags"].pop(key, None)


def _tagged(records: Records, parameters: Parameters) -> dict[str, Any]:
    return _find(records, parameters["ResourceARN"].rpartition("/")[2])


def _pairs(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags or []}


OPERATIONS: dict[str, Operation] = {
    "CreateBudget": _create,
    "CreateNotification": _create_notification,
    "DeleteBudget": _delete,
    "DeleteNotification": _delete_notification,
    "DescribeBudget": _describe,
    "DescribeBudgets": _list,
    "DescribeNotificationsForBudget": _notifications,
    "DescribeSubscribersForNotification": _subscribers,
    "ListTagsForResource": _list_tags,
    "TagResource": _tag,
    "UntagResource": _untag,
    "UpdateBudget": _update,
}
