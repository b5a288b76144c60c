# SPDX-License-Identifier: Apache-2.0
"""Have the policies that AWS itself maintains, each from the moment somebody asks for it.

moto knows all of them but would make every one for every account at once.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend

from sandbox.api.patches import Patches

_PREFIX = ":iam::aws:policy/"


def install(patches: Patches) -> None:
    """Put the correction in place."""
    get_policy = IAMBackend.get_policy
    attach_role_policy = IAMBackend.attach_role_policy

    def get(backend: Any, policy_arn: str) -> Any:
        _provide(backend, policy_arn)
        return get_policy(backend, policy_arn)

    def attach(backend: Any, policy_arn: str, role_name: str) -> None:
        _provide(backend, policy_arn)
        attach_role_policy(backend, policy_arn, role_name)

    patches.replace(IAMBackend, "get_policy", get)
    patches.replace(IAMBackend, "attach_role_policy", attach)


def _provide(backend: Any, arn: str) -> None:
    if _PREFIX not in arn or arn in backend.managed_policies:
        return
    name = arn.rpartition("/")[2]
    data = _maintained(name)
    if data is not None:
        policy = AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
        if policy.arn == arn:
            backend.managed_policies[arn] = policy


@cache
def _maintained(name: str) -> dict[str, Any] | None:
    """Return what AWS has under a name; the whole list is too large to keep."""
    found: dict[str, Any] | None = json.loads(aws_managed_policies_data).get(name)
    return found
