# SPDX-License-Identifier: Apache-2.0
"""Keep versions of launch templates as they were given, and show templates as they are now.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.ec2.exceptions import EC2ClientError, InvalidLaunchTemplateIdNotFound
from moto.ec2.models import EC2Backend
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import parse_user_data

from sandbox.api.patches import Patches

_OWN_TAGS = "launch-template"
_PAGE = 200
_MISMATCH = "The request uses the same client token as a previous, but non-identical request."


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(
        EC2Backend, "create_launch_template", _without_own_tags(EC2Backend.create_launch_template)
    )
    patches.replace(LaunchTemplate, "create_version", _complete_version(LaunchTemplate.create_version))
    patches.replace(
        LaunchTemplates,
        "create_launch_template_version",
        _once(_on_source(LaunchTemplates.create_launch_template_version)),
    )
    patches.replace(EC2Backend, "modify_launch_template", _known(EC2Backend.modify_launch_template))
    patches.replace(LaunchTemplates, "describe_launch_templates", _describe)
    patches.replace(LaunchTemplates, "describe_launch_template_versions", _describe_versions)
    patches.replace(EC2Backend, "delete_launch_template", _existing(EC2Backend.delete_launch_template))


def _without_own_tags(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_launch_template(
        backend: Any, name: str, description: str, template_data: dict[str, Any], tag_spec: Any
    ) -> Any:
        """Keep the template's own tags out of what is launched from it."""
        given = template_data.pop("TagSpecifications", [])
        if launched := [each for each in given if each["ResourceType"] != _OWN_TAGS]:
            template_data["TagSpecifications"] = launched
        return original(backend, name, description, template_data, tag_spec)

    return create_launch_template


def _complete_version(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_version(template: Any, data: dict[str, Any], description: str) -> Any:
        """Take user data of every version as that of the first."""
        user_data = data.pop("UserData", None)
        if user_data is not None:
            is_parsed = isinstance(user_data, Base64EncodedString)
            data["UserData"] = user_data if is_parsed else parse_user_data(user_data)
        return original(template, data, description)

    return create_version


def _existing(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_launch_template(backend: Any, name: str | None, template_id: str | None) -> Any:
        """Name the id that is missing; moto takes it for a name."""
        if template_id and not name:
            backend.get_launch_template(template_id)
        return original(backend, name, template_id)

    return delete_launch_template


def _known(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify_launch_template(
        backend: Any, default_version: str, template_name: str | None = None, template_id: str | None = None
    ) -> Any:
        """Name the id or the version that is missing; moto names neither."""
        if template_id:
            backend.get_launch_template(template_id).get_version(default_version)
        return original(backend, default_version, template_name, template_id)

    return modify_launch_template


def _once(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_launch_template_version(response: Any) -> Any:
        """Answer a call that is repeated with its client token as the first time.

        https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
        """
        token, asked = response._get_param("ClientToken"), _asked(response)
        for template in list(response.ec2_backend.launch_templates.values()):
            for version in template.versions:
                if token and getattr(version, "client_token", None) == token:
                    if version.asked != asked:
                        raise EC2ClientError("IdempotentParameterMismatch", _MISMATCH)
                    return ActionResult({"LaunchTemplateVersion": _version(response, template, version)})
        answer = original(response)
        made = _named(response).latest_version()
        made.client_token, made.asked = token, asked
        return answer

    return create_launch_template_version


def _asked(response: Any) -> str:
    """Return what a call asks for, to be compared."""
    names = ("LaunchTemplateId", "LaunchTemplateName", "SourceVersion", "VersionDescription")
    asked = {name: response._get_param(name) for name in (*names, "LaunchTemplateData")}
    return json.dumps(asked, sort_keys=True, default=str)


def _on_source(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_launch_template_version(response: Any) -> Any:
        """Begin with the version that SourceVersion names; what the call gives overrides it."""
        source = response._get_param("SourceVersion")
        if source is not None:
            template = _named(response)
            given = response._get_param("LaunchTemplateData", {})
            response._get_params()["LaunchTemplateData"] = {**template.get_version(source).data, **given}
        return original(response)

    return create_launch_template_version


def _named(response: Any) -> Any:
    backend = response.ec2_backend
    if template_id := response._get_param("LaunchTemplateId"):
        return backend.get_launch_template(template_id)
    return backend.get_launch_template_by_name(response._get_param("LaunchTemplateName"))


def _describe(response: Any) -> ActionResult:
    """Show templates with their present tags, in pages that lead on; unknown ids are an error."""
    backend = response.ec2_backend
    template_ids = response._get_param("LaunchTemplateIds", [])
    for template_id in template_ids:
        if template_id not in backend.launch_templates:
            raise InvalidLaunchTemplateIdNotFound(template_id)
    found = backend.describe_launch_templates(
        template_names=response._get_param("LaunchTemplateNames", []),
        template_ids=template_ids,
        filters=response._filters_from_querystring(),
    )
    begin = int(response._get_param("NextToken") or 0)
    end = begin + (response._get_int_param("MaxResults") or _PAGE)
    shown = [_shown(response, template) for template in found[begin:end]]
    return ActionResult({"LaunchTemplates": shown, "NextToken": str(end) if end < len(found) else None})


def _describe_versions(response: Any) -> ActionResult:
    """Show versions in pages of 200, as AWS does; moto shows 15 and keeps the others to itself."""
    found = response.ec2_backend.describe_launch_template_versions(
        template_name=response._get_param("LaunchTemplateName"),
        template_id=response._get_param("LaunchTemplateId"),
        versions=response._get_param("Versions", []),
        min_version=response._get_int_param("MinVersion"),
        max_version=response._get_int_param("MaxVersion"),
        max_results=sys.maxsize,
    )
    begin = int(response._get_param("NextToken") or 0)
    end = begin + (response._get_int_param("MaxResults") or _PAGE)
    shown = [_version(response, template, version) for template, version in found[begin:end]]
    next_token = str(end) if end < len(found) else None
    return ActionResult({"LaunchTemplateVersions": shown, "NextToken": next_token})


def _version(response: Any, template: Any, version: Any) -> dict[str, Any]:
    return {
        "CreateTime": version.create_time,
        "CreatedBy": f"arn:{response.partition}:iam::{response.current_account}:root",
        "DefaultVersion": template.is_default(version),
        "LaunchTemplateData": version.data,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionDescription": version.description,
        "VersionNumber": version.number,
    }


def _shown(response: Any, template: Any) -> dict[str, Any]:
    return {
        "CreateTime": template.create_time,
        "CreatedBy": f"arn:{response.partition}:iam::{response.current_account}:root",
        "DefaultVersionNumber": template.default_version_number,
        "LatestVersionNumber": template.latest_version_number,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Tags": template.get_tags(),
    }
