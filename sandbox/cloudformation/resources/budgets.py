# SPDX-License-Identifier: Apache-2.0
"""Budgets, and who is told when they are reached."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent

GONE = ("NotFoundException",)
_BUDGET = ("BudgetLimit", "BudgetName", "BudgetType", "CostFilters", "CostTypes", "TimeUnit")


class Budgets:
    """AWS::Budgets::Budget."""

    type_name = "AWS::Budgets::Budget"
    properties = frozenset(
        {"NotificationsWithSubscribers", "ResourceTags", *(f"Budget.{name}" for name in _BUDGET)}
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the budget."""
        budget = {"BudgetName": call.name, **properties["Budget"]}
        call.client("budgets").create_budget(
            AccountId=call.account_id,
            Budget=_to_api(budget),
            NotificationsWithSubscribers=properties.get("NotificationsWithSubscribers", []),
            ResourceTags=tagging.as_list(tagging.wanted(call, _tags(properties))),
        )
        return Physical(budget["BudgetName"], {"Id": budget["BudgetName"]})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the budget and who is told."""
        client = call.client("budgets")
        key = {"AccountId": call.account_id, "BudgetName": physical_id}
        answer = unless_absent(lambda: client.describe_budget(**key), *GONE)
        if answer is None:
            return None
        budget = {name: answer["Budget"][name] for name in _BUDGET if name in answer["Budget"]}
        if limit := budget.get("BudgetLimit"):
            budget["BudgetLimit"] = {"Amount": float(limit["Amount"]), "Unit": limit["Unit"]}
        shown: dict[str, Any] = {"Budget": budget}
        if notifications := client.describe_notifications_for_budget(**key)["Notifications"]:
            shown["NotificationsWithSubscribers"] = [
                {
                    "Notification": each,
                    "Subscribers": client.describe_subscribers_for_notification(**key, Notification=each)[
                        "Subscribers"
                    ],
                }
                for each in notifications
            ]
        tags = client.list_tags_for_resource(ResourceARN=_arn(call, physical_id))["ResourceTags"]
        own = tagging.shown(tags).get("Tags")
        return shown | ({"ResourceTags": own} if own else {})

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the budget; who is told can't be changed."""
        client = call.client("budgets")
        budget = {**after["Budget"], "BudgetName": physical_id}
        client.update_budget(AccountId=call.account_id, NewBudget=_to_api(budget))
        change = tagging.change(call, _tags(before), _tags(after))
        arn = _arn(call, physical_id)
        if change.put:
            client.tag_resource(ResourceARN=arn, ResourceTags=tagging.as_list(change.put))
        if change.removed:
            client.untag_resource(ResourceARN=arn, ResourceTagKeys=change.removed)
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the budget."""
        del properties
        with absent_is_fine(*GONE):
            call.client("budgets").delete_budget(AccountId=call.account_id, BudgetName=physical_id)


def _arn(call: Call, name: str) -> str:
    return f"arn:aws:budgets::{call.account_id}:budget/{name}"


def _tags(properties: Properties) -> dict[str, Any]:
    return {"Tags": properties.get("ResourceTags", [])}


def _to_api(budget: dict[str, Any]) -> dict[str, Any]:
    """Return the budget as the API takes it: amounts of money are text there."""
    if "BudgetLimit" not in budget:
        return budget
    limit = budget["BudgetLimit"]
    return budget | {"BudgetLimit": {"Amount": str(limit["Amount"]), "Unit": limit["Unit"]}}


HANDLERS = (Budgets(),)
