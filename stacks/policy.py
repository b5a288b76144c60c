# SPDX-License-Identifier: Apache-2.0
"""Statements of IAM and resource policies, written the same way everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Statement = dict[str, Any]


def document(*statements: Statement) -> dict[str, Any]:
    """Return a policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(
    actions: Sequence[str],
    resources: Sequence[Any],
    *,
    principal: Mapping[str, Any] | None = None,
    condition: Mapping[str, Any] | None = None,
) -> Statement:
    """Return a statement that allows; a policy of a resource names the principal, a role's does not."""
    return _statement("Allow", actions, resources, principal=principal, condition=condition)


def service(name: str) -> dict[str, str]:
    """Return the principal of an AWS service: `service("sns")`."""
    return {"Service": f"{name}.amazonaws.com"}


def account(account_id: str) -> dict[str, str]:
    """Return the principal that hands a decision over to the IAM policies of an account."""
    return {"AWS": f"arn:aws:iam::{account_id}:root"}


def of_account(account_id: str, **more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition that keeps a service from acting for another account's resources.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    return {"StringEquals": {"aws:SourceAccount": account_id}, **more}


def trust(principal: Mapping[str, Any], condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the policy that lets a principal take a role."""
    statement: Statement = {"Effect": "Allow", "Principal": dict(principal), "Action": "sts:AssumeRole"}
    if condition:
        statement["Condition"] = dict(condition)
    return document(statement)


def only_over_tls(actions: Sequence[str], resources: Sequence[Any]) -> Statement:
    """Return a statement that denies everybody what does not come over TLS."""
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    return _statement("Deny", actions, resources, principal={"AWS": "*"}, condition=condition)


def _statement(
    effect: str,
    actions: Sequence[str],
    resources: Sequence[Any],
    *,
    principal: Mapping[str, Any] | None,
    condition: Mapping[str, Any] | None,
) -> Statement:
    statement: Statement = {"Effect": effect, "Action": list(actions), "Resource": list(resources)}
    if principal:
        statement["Principal"] = dict(principal)
    if condition:
        statement["Condition"] = dict(condition)
    return statement
