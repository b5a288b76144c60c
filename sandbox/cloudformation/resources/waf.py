# SPDX-License-Identifier: Apache-2.0
"""Web ACLs of WAF, what they guard, and where they log.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-wafv2-webacl.html
"""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.ec2_kinds import Description, picked
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent

NOT_THERE = "WAFNonexistentItemException"
_RULE = (
    "Name",
    "Priority",
    "Action",
    "OverrideAction",
    "VisibilityConfig",
    "Statement.ManagedRuleGroupStatement.Name",
    "Statement.ManagedRuleGroupStatement.VendorName",
    "Statement.ManagedRuleGroupStatement.Version",
    "Statement.ManagedRuleGroupStatement.ExcludedRules",
    "Statement.ManagedRuleGroupStatement.RuleActionOverrides",
    "Statement.RateBasedStatement.Limit",
    "Statement.RateBasedStatement.AggregateKeyType",
    "Statement.RateBasedStatement.EvaluationWindowSec",
    "Statement.GeoMatchStatement.CountryCodes",
)
_FIELDS = ("DefaultAction", "Description", "VisibilityConfig")


class WebAcl:
    """AWS::WAFv2::WebACL: `<name>|<id>|<scope>`."""

    type_name = "AWS::WAFv2::WebACL"
    properties = frozenset({"Name", "Scope", "Tags", *_FIELDS, *(f"Rules.{name}" for name in _RULE)})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the ACL."""
        name = properties.get("Name", call.name)
        answer = call.client("wafv2").create_web_acl(
            Name=name,
            Scope=properties["Scope"],
            **_fields(properties),
            Tags=tagging.as_list(tagging.wanted(call, properties)),
        )
        return self._physical(call, f"{name}|{answer['Summary']['Id']}|{properties['Scope']}")

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the ACL."""
        answer = _web_acl(call, physical_id)
        if answer is None:
            return None
        acl = answer["WebACL"]
        return {
            "Name": acl["Name"],
            "Scope": physical_id.rpartition("|")[2],
            **picked(acl, *_FIELDS),
            "Rules": acl.get("Rules", []),
            **tagging.shown(_tags(call, acl["ARN"])),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change everything but name and scope."""
        waf = call.client("wafv2")
        answer = _web_acl(call, physical_id)
        if answer is None:
            raise HandlerError(f"The web ACL {physical_id} does not exist")
        waf.update_web_acl(
            **_key(physical_id),
            LockToken=answer["LockToken"],
            **_fields(after),
        )
        arn = answer["WebACL"]["ARN"]
        change = tagging.change(call, before, after)
        if change.removed:
            waf.untag_resource(ResourceARN=arn, TagKeys=change.removed)
        if change.put:
            waf.tag_resource(ResourceARN=arn, Tags=tagging.as_list(change.put))
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the ACL."""
        del properties
        answer = _web_acl(call, physical_id)
        if answer is not None:
            with absent_is_fine(NOT_THERE):
                call.client("wafv2").delete_web_acl(**_key(physical_id), LockToken=answer["LockToken"])

    def _physical(self, call: Call, physical_id: str) -> Physical:
        acl = (_web_acl(call, physical_id) or {})["WebACL"]
        return Physical(
            physical_id,
            {"Arn": acl["ARN"], "Id": acl["Id"], **picked(acl, "Capacity", "LabelNamespace")},
        )


class WebAclAssociation:
    """AWS::WAFv2::WebACLAssociation: `<resource>|<web ACL>`."""

    type_name = "AWS::WAFv2::WebACLAssociation"
    properties = frozenset({"ResourceArn", "WebACLArn"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Let the ACL guard the resource."""
        call.client("wafv2").associate_web_acl(**properties)
        return Physical(f"{properties['ResourceArn']}|{properties['WebACLArn']}")

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the association, unless another ACL guards the resource now."""
        resource_arn, _, acl_arn = physical_id.partition("|")
        if _guard(call, resource_arn) != acl_arn:
            return None
        return {"ResourceArn": resource_arn, "WebACLArn": acl_arn}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Refuse: both properties are create-only."""
        raise HandlerError(f"{self.type_name} can't be updated")

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Leave the resource without the ACL."""
        del properties
        resource_arn, _, acl_arn = physical_id.partition("|")
        if _guard(call, resource_arn) == acl_arn:
            with absent_is_fine(NOT_THERE):
                call.client("wafv2").disassociate_web_acl(ResourceArn=resource_arn)


class LoggingConfiguration:
    """AWS::WAFv2::LoggingConfiguration: a web ACL has one at most, so its id is the ACL's ARN."""

    type_name = "AWS::WAFv2::LoggingConfiguration"
    properties = frozenset({"ResourceArn", "LogDestinationConfigs", "LoggingFilter", "RedactedFields"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Begin to log."""
        call.client("wafv2").put_logging_configuration(LoggingConfiguration=dict(properties))
        return self._physical(properties["ResourceArn"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return where the ACL logs, and what it leaves out."""
        waf = call.client("wafv2")
        answer = unless_absent(lambda: waf.get_logging_configuration(ResourceArn=physical_id), NOT_THERE)
        names = ("ResourceArn", "LogDestinationConfigs", "LoggingFilter", "RedactedFields")
        return picked(answer["LoggingConfiguration"], *names) if answer else None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Log otherwise."""
        del before
        call.client("wafv2").put_logging_configuration(LoggingConfiguration=dict(after))
        return self._physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """End logging."""
        del properties
        with absent_is_fine(NOT_THERE):
            call.client("wafv2").delete_logging_configuration(ResourceArn=physical_id)

    def _physical(self, arn: str) -> Physical:
        return Physical(arn, {"ManagedByFirewallManager": False})


def _key(physical_id: str) -> dict[str, str]:
    name, acl_id, scope = physical_id.split("|")
    return {"Name": name, "Id": acl_id, "Scope": scope}


def _web_acl(call: Call, physical_id: str) -> Description | None:
    waf = call.client("wafv2")
    return unless_absent(lambda: waf.get_web_acl(**_key(physical_id)), NOT_THERE)


def _guard(call: Call, resource_arn: str) -> str | None:
    waf = call.client("wafv2")
    answer = unless_absent(lambda: waf.get_web_acl_for_resource(ResourceArn=resource_arn), NOT_THERE)
    return answer["WebACL"]["ARN"] if answer and answer.get("WebACL") else None


def _fields(properties: Properties) -> dict[str, Any]:
    said = picked(dict(properties), "Description")
    given = {name: properties[name] for name in ("DefaultAction", "VisibilityConfig")}
    return {**given, **said, "Rules": properties.get("Rules", [])}


def _tags(call: Call, arn: str) -> list[dict[str, str]]:
    answer = call.client("wafv2").list_tags_for_resource(ResourceARN=arn)
    tags: list[dict[str, str]] = answer["TagInfoForResource"]["TagList"]
    return tags


HANDLERS = (WebAcl(), WebAclAssociation(), LoggingConfiguration())
