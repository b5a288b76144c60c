# SPDX-License-Identifier: Apache-2.0
"""Security groups, with rules inside of the template's group and beside it.

A rule that is a resource of its own carries CloudFormation's tags, so that its group is read without it; one
that somebody added by hand carries none, and shows in the group.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.ec2_kinds import Description, Kind, picked, update_tags
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

NO_GROUP = "InvalidGroup.NotFound"
NO_RULE = "InvalidSecurityGroupRuleId.NotFound"
NO_PERMISSION = "InvalidPermission.NotFound"
INGRESS, EGRESS = "SecurityGroupIngress", "SecurityGroupEgress"
_OTHER_GROUP = {INGRESS: "SourceSecurityGroupId", EGRESS: "DestinationSecurityGroupId"}
_CALLS = {INGRESS: "ingress", EGRESS: "egress"}
_RULE = ("IpProtocol", "FromPort", "ToPort", "CidrIp", "Description")
_INGRESS_RULE = frozenset({*_RULE, "SourceSecurityGroupId", "SourceSecurityGroupOwnerId"})
_EGRESS_RULE = frozenset({*_RULE, "DestinationSecurityGroupId"})
# What EC2 gives a new group, and CloudFormation takes away when the template has rules for egress.
_EVERYWHERE = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}

Rule = dict[str, Any]
RuleKey = tuple[Any, ...]


class SecurityGroup:
    """AWS::EC2::SecurityGroup."""

    type_name = "AWS::EC2::SecurityGroup"
    properties = frozenset(
        {
            "GroupName",
            "GroupDescription",
            "VpcId",
            "Tags",
            *(f"{INGRESS}.{name}" for name in _INGRESS_RULE),
            *(f"{EGRESS}.{name}" for name in _EGRESS_RULE),
        }
    )
    kind = Kind("describe_security_groups", "SecurityGroups", "GroupIds", NO_GROUP, "security-group")

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the group and its rules."""
        answer = call.client("ec2").create_security_group(
            GroupName=properties.get("GroupName", call.name),
            Description=properties["GroupDescription"],
            **picked(dict(properties), "VpcId"),
            TagSpecifications=self.kind.specification(call, properties),
        )
        group_id = answer["GroupId"]
        with undone_by(lambda: self.delete(call, group_id, properties)):
            for direction in (INGRESS, EGRESS):
                old = _rules({}, direction)
                _change_rules(call, group_id, direction, before=old, after=_rules(properties, direction))
            return self._physical(call, group_id)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the group with all rules that are no resources of their own."""
        group = self.kind.described(call, physical_id)
        if group is None:
            return None
        rules = [rule for rule in _described_rules(call, physical_id) if not _is_resource(rule)]
        return {
            "GroupName": group["GroupName"],
            "GroupDescription": group["Description"],
            **picked(group, "VpcId"),
            INGRESS: [_shown(rule) for rule in rules if not rule["IsEgress"]],
            EGRESS: [_shown(rule) for rule in rules if rule["IsEgress"]],
            **tagging.shown(group.get("Tags", ())),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change rules, what they say, and tags."""
        for direction in (INGRESS, EGRESS):
            old, new = _rules(before, direction), _rules(after, direction)
            _change_rules(call, physical_id, direction, before=old, after=new)
        update_tags(call, physical_id, before=before, after=after)
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the group."""
        del properties
        with absent_is_fine(NO_GROUP):
            call.client("ec2").delete_security_group(GroupId=physical_id)

    def _physical(self, call: Call, group_id: str) -> Physical:
        group = self.kind.described(call, group_id) or {}
        return Physical(group_id, {"GroupId": group_id, "Id": group_id, **picked(group, "VpcId")})


class SecurityGroupRule:
    """AWS::EC2::SecurityGroupIngress and AWS::EC2::SecurityGroupEgress."""

    def __init__(self, direction: str, names: frozenset[str]) -> None:
        self.type_name = f"AWS::EC2::{direction}"
        self.properties = names | {"GroupId"}
        self._direction = direction

    def create(self, call: Call, properties: Properties) -> Physical:
        """Add the rule to its group."""
        tags = tagging.as_list(call.tags)
        specification = [{"ResourceType": "security-group-rule", "Tags": tags}] if tags else []
        answer = _call(call, "authorize_security_group", self._direction)(
            GroupId=properties["GroupId"],
            IpPermissions=[_permission(properties)],
            TagSpecifications=specification,
        )
        rule_id = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return Physical(rule_id, {"Id": rule_id})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the rule."""
        rule = _described_rule(call, physical_id)
        return {"GroupId": rule["GroupId"], **_shown(rule)} if rule else None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change what the rule says."""
        del before
        _call(call, "update_security_group_rule_descriptions", self._direction)(
            GroupId=after["GroupId"], IpPermissions=[_permission(after)]
        )
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Take the rule away."""
        if _described_rule(call, physical_id) is not None:
            with absent_is_fine(NO_RULE, NO_PERMISSION, NO_GROUP):
                _call(call, "revoke_security_group", self._direction)(
                    GroupId=properties["GroupId"], SecurityGroupRuleIds=[physical_id]
                )


def _rules(properties: Properties, direction: str) -> list[Rule]:
    given: list[Rule] = [dict(rule) for rule in properties.get(direction, ())]
    return given or ([_EVERYWHERE] if direction == EGRESS else [])


def _change_rules(
    call: Call, group_id: str, direction: str, *, before: Iterable[Rule], after: Iterable[Rule]
) -> None:
    """Admit what is new before anything is taken away, so that nothing allowed by both is ever cut."""
    old = {_key(rule): rule for rule in before}
    new = {_key(rule): rule for rule in after}
    steps = (
        ("authorize_security_group", [rule for key, rule in new.items() if key not in old]),
        ("revoke_security_group", [rule for key, rule in old.items() if key not in new]),
        (
            "update_security_group_rule_descriptions",
            [rule for key, rule in new.items() if key in old and old[key] != rule],
        ),
    )
    for verb, rules in steps:
        if rules:
            permissions = [_permission(rule) for rule in rules]
            with absent_is_fine(*((NO_PERMISSION,) if verb.startswith("revoke") else ())):
                _call(call, verb, direction)(GroupId=group_id, IpPermissions=permissions)


def _key(rule: Rule) -> RuleKey:
    """Return what makes a rule the same rule, whatever it is described as."""
    names = ("CidrIp", *_OTHER_GROUP.values())
    ports = (rule.get("FromPort", -1), rule.get("ToPort", -1))
    return (str(rule["IpProtocol"]), *ports, *(rule.get(name) for name in names))


def _permission(rule: Properties) -> dict[str, Any]:
    """Return a rule as EC2's calls take it."""
    said = picked(dict(rule), "Description")
    permission = {**picked(dict(rule), "FromPort", "ToPort"), "IpProtocol": str(rule["IpProtocol"])}
    group_id = next((rule[name] for name in _OTHER_GROUP.values() if name in rule), None)
    if (group_id is None) is ("CidrIp" not in rule):
        raise HandlerError("A rule needs exactly one of an address range and a security group")
    if group_id is not None:
        owner = {"UserId": rule["SourceSecurityGroupOwnerId"]} if "SourceSecurityGroupOwnerId" in rule else {}
        return permission | {"UserIdGroupPairs": [{"GroupId": group_id, **owner, **said}]}
    return permission | {"IpRanges": [{"CidrIp": rule["CidrIp"], **said}]}


def _shown(rule: Description) -> Rule:
    """Return a described rule as the template has it."""
    shown = picked(rule, "IpProtocol", "FromPort", "ToPort", "Description")
    if "CidrIpv4" in rule:
        return shown | {"CidrIp": rule["CidrIpv4"]}
    if "CidrIpv6" in rule:
        return shown | {"CidrIpv6": rule["CidrIpv6"]}
    other = rule["ReferencedGroupInfo"]
    if rule["IsEgress"]:
        return shown | {"DestinationSecurityGroupId": other["GroupId"]}
    return shown | {
        "SourceSecurityGroupId": other["GroupId"],
        "SourceSecurityGroupOwnerId": other["UserId"],
    }


def _described_rules(call: Call, group_id: str) -> list[Description]:
    wanted = {"Name": "group-id", "Values": [group_id]}
    answer = call.client("ec2").describe_security_group_rules(Filters=[wanted])
    rules: list[Description] = answer["SecurityGroupRules"]
    return rules


def _described_rule(call: Call, rule_id: str) -> Description | None:
    ec2 = call.client("ec2")
    answer = unless_absent(lambda: ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id]), NO_RULE)
    found: list[Description] = answer["SecurityGroupRules"] if answer else []
    return found[0] if found else None


def _is_resource(rule: Description) -> bool:
    return any(tag["Key"].startswith(tagging.SYSTEM_PREFIX) for tag in rule.get("Tags", ()))


def _call(call: Call, verb: str, direction: str) -> Any:
    return getattr(call.client("ec2"), f"{verb}_{_CALLS[direction]}")


HANDLERS = (
    SecurityGroup(),
    SecurityGroupRule(INGRESS, _INGRESS_RULE),
    SecurityGroupRule(EGRESS, _EGRESS_RULE),
)
