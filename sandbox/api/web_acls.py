# SPDX-License-Identifier: Apache-2.0
"""Change web ACLs of WAF as a whole, and let a resource have one.

UpdateWebACL puts what it is given in the place of all that was there; moto keeps what is not named.
https://docs.aws.amazon.com/waf/latest/APIReference/API_UpdateWebACL.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.elbv2.models import elbv2_backends
from moto.wafv2.models import WAFV2Backend

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches

_LOG_NAME = "aws-waf-logs-"
_OPTIONAL = (
    "custom_response_bodies",
    "captcha_config",
    "challenge_config",
    "token_domains",
    "association_config",
)
_ARGUMENTS = ("default_action", "rules", "description", "visibility_config", "lock_token", *_OPTIONAL)


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    backend = WAFV2Backend
    patches.replace(backend, "update_web_acl", _as_a_whole(backend.update_web_acl))
    patches.replace(backend, "associate_web_acl", _alone(backend.associate_web_acl))
    patches.replace(backend, "delete_web_acl", _unless_associated(backend.delete_web_acl))
    patches.replace(backend, "put_logging_configuration", _to_a_waf_log(backend.put_logging_configuration))


def _as_a_whole(original: Callable[..., str]) -> Callable[..., str]:
    def update_web_acl(backend: Any, name: str, acl_id: str, *given: Any) -> str:
        """Clear what is not given; moto's arguments come by their place."""
        named = dict(zip(_ARGUMENTS, given, strict=True))
        token = original(backend, name, acl_id, *given)
        acl = backend.get_web_acl(None, name, acl_id)
        acl.description = named["description"] or ""
        if not named["rules"]:
            acl.rules = []
        for field in _OPTIONAL:
            setattr(acl, field, named[field])
        return token

    return update_web_acl


def _alone(original: Callable[..., None]) -> Callable[..., None]:
    def associate_web_acl(backend: Any, web_acl_arn: str, resource_arn: str) -> None:
        """Take the resource from the ACL that guarded it."""
        if web_acl_arn in backend.wacls:
            backend.disassociate_web_acl(resource_arn)
        original(backend, web_acl_arn, resource_arn)

    return associate_web_acl


def _unless_associated(original: Callable[..., None]) -> Callable[..., None]:
    def delete_web_acl(backend: Any, name: str, scope: str, acl_id: str, lock_token: str) -> None:
        """Refuse while the ACL guards something."""
        for acl in backend.wacls.values():
            if acl.id == acl_id and any(_exists(backend, arn) for arn in acl.associated_resources):
                raise AwsError(
                    "WAFAssociatedItemException",
                    "AWS WAF couldn't perform the operation because your resource is being used by another "
                    "resource or it's associated with another resource.",
                )
        original(backend, name, scope, acl_id, lock_token)

    return delete_web_acl


def _exists(backend: Any, resource_arn: str) -> bool:
    """Whether what was guarded is still there; a balancer leaves its ACL when it is deleted."""
    if ":elasticloadbalancing:" not in resource_arn:
        return True
    balancers = elbv2_backends[backend.account_id][backend.region_name].load_balancers
    return resource_arn in balancers


def _to_a_waf_log(original: Callable[..., Any]) -> Callable[..., Any]:
    def put_logging_configuration(
        backend: Any, arn: str, log_destination_configs: list[str], *arguments: Any
    ) -> Any:
        """Refuse a destination whose name does not begin as AWS wants it."""
        for destination in log_destination_configs:
            name = destination.removesuffix(":*").rpartition(":")[2].rpartition("/")[2]
            if not name.startswith(_LOG_NAME):
                raise AwsError(
                    "WAFInvalidParameterException",
                    "Error reason: The ARN isn't valid. A valid ARN begins with arn: and includes "
                    "other information separated by colons or slashes., field: LOG_DESTINATION, "
                    f"parameter: {destination}",
                )
        return original(backend, arn, log_destination_configs, *arguments)

    return put_logging_configuration
