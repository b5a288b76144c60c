# SPDX-License-Identifier: Apache-2.0
"""Let a role's sessions do what its policies allow; the operator of this host may do everything."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.sts.models import sts_backends

from sandbox.api.access.needs import Place, needs
from sandbox.api.access.policies import Denial, Need, Policy, deny
from sandbox.api.calls import ApiCall
from sandbox.api.errors import AwsError
from sandbox.api.iam_conditions import keys_of

_NAMED = re.compile(r"arn:aws:iam::\d+:(?P<kind>role|instance-profile)/(?P<name>[^/]+)")
_ACCESS_KEY = re.compile(r"Credential=(?P<id>[^/,%\s]+)(/|%2F)")
# What services say instead of AccessDeniedException.
_CODES = {
    "ec2": "UnauthorizedOperation",
    **dict.fromkeys(
        ("s3", "sqs", "sns", "iam", "sts", "autoscaling", "elbv2", "cloudformation", "cloudwatch", "rds"),
        "AccessDenied",
    ),
}


REFUSALS = frozenset({*_CODES.values(), "AccessDeniedException", "InvalidClientTokenId"})


@dataclass(frozen=True, slots=True)
class Caller:
    """A session of a role."""

    arn: str
    role_arn: str
    policies: Sequence[Policy]
    boundary: Policy | None


class Guard:
    """Checks calls against the policies in IAM as they are now."""

    def __init__(self, account_id: str, region: str) -> None:
        self._account_id = account_id
        self._place = Place(region, account_id)

    def check(self, call: ApiCall) -> None:
        """Raise AwsError if the caller may not make this call."""
        access_key = _access_key(call)
        session = self._session(access_key) if access_key else None
        if session is None:
            if access_key and not _is_on_this_host(call):
                raise AwsError(
                    "InvalidClientTokenId", "The security token included in the request is invalid."
                )
            return
        caller = self._caller(session)
        keys = self._keys(call, caller)
        for need in needs(call.target.service, call.operation or "", call.parameters(), self._place):
            wanted = Need(need.action, self._known_as(need.resource), {**keys, **need.keys})
            if denial := deny(wanted, caller.policies, caller.boundary):
                raise _refusal(call, caller, denial)

    def session_denial(self, session: Any, action: str, resource: str) -> Denial | None:
        """Return why a role's session may not do what no call of the API asks for; None if it may."""
        caller = self._caller(session)
        return deny(Need(action, resource, self._own_keys(caller)), caller.policies, caller.boundary)

    def _session(self, access_key: str) -> Any:
        sessions: Any = sts_backends[self._account_id]["aws"]
        return sessions.get_assumed_role_from_access_key(access_key)

    def _caller(self, session: Any) -> Caller:
        iam: Any = iam_backends[self._account_id]["aws"]
        role = iam.get_role_by_arn(session.role_arn)
        policies = [_parsed(text) for text in role.policies.values()]
        policies += [_in_force(each) for each in role.managed_policies.values()]
        boundary = role.permissions_boundary_arn
        return Caller(
            arn=session.arn,
            role_arn=session.role_arn,
            policies=policies,
            boundary=_in_force(iam.get_policy(boundary)) if boundary else None,
        )

    def _known_as(self, resource: str) -> str:
        """Return the ARN by which policies know what a call names in another way."""
        is_alias = resource.startswith("arn:aws:kms:") and ":alias/" in resource
        return self._key_of(resource) if is_alias else self._with_path(resource)

    def _key_of(self, alias_arn: str) -> str:
        """Return the ARN of the key that an alias stands for: by the alias nobody is allowed its use.

        https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
        """
        kms: Any = kms_backends[self._account_id][self._place.region]
        alias = f"alias/{alias_arn.partition(':alias/')[2]}"
        return next((str(key.arn) for key in kms.keys.values() if alias in key.aliases), alias_arn)

    def _with_path(self, resource: str) -> str:
        """Return the ARN of a role or an instance profile with its path: calls give their names alone."""
        found = _NAMED.fullmatch(resource)
        if found is None:
            return resource
        iam: Any = iam_backends[self._account_id]["aws"]
        every = iam.roles if found["kind"] == "role" else iam.instance_profiles
        return next((str(each.arn) for each in every.values() if each.name == found["name"]), resource)

    def _keys(self, call: ApiCall, caller: Caller) -> dict[str, str]:
        return keys_of(call.environ) | self._own_keys(caller)

    def _own_keys(self, caller: Caller) -> dict[str, str]:
        return {
            "aws:principalarn": caller.role_arn,
            "aws:principalaccount": self._account_id,
            "aws:requestedregion": self._place.region,
        }


def _in_force(managed_policy: Any) -> Policy:
    """Return the default version of a managed policy: the one that counts."""
    return next(_parsed(each.document) for each in managed_policy.versions if each.is_default_version)


def _access_key(call: ApiCall) -> str | None:
    signed = call.environ.get("HTTP_AUTHORIZATION") or call.environ.get("QUERY_STRING", "")
    found = _ACCESS_KEY.search(signed)
    return found["id"] if found else None


def _is_on_this_host(call: ApiCall) -> bool:
    """Whether the caller is the operator: machines come from other addresses, as their role."""
    return str(call.environ.get("REMOTE_ADDR", "")).startswith("127.")


def _unknown(access_key: str | None) -> AwsError:
    if access_key is None:
        return AwsError("AccessDenied", "Access Denied")
    return AwsError("InvalidClientTokenId", "The security token included in the request is invalid.")


def _parsed(document: Any) -> Policy:
    parsed: Policy = json.loads(document) if isinstance(document, str) else document
    return parsed


def _refusal(call: ApiCall, caller: Caller, denial: Denial) -> AwsError:
    code = _CODES.get(call.target.service, "AccessDeniedException")
    on = f" on resource: {denial.need.resource}" if denial.need.resource != "*" else ""
    message = f"User: {caller.arn} is not authorized to perform: {denial.need.action}{on} {denial.reason}"
    return AwsError(code, message)
