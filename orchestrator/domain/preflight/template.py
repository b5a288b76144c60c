# SPDX-License-Identifier: Apache-2.0
"""Checks of the launch template and of what it names. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.preflight.check import Check, listed
from orchestrator.domain.preflight.facts import known
from orchestrator.domain.preflight.situation import PARAMETER_PREFIX, Situation
from orchestrator.domain.preflight_finding import Level


def _is_numbered(situation: Situation) -> Iterator[str]:
    group = situation.group
    if group.numbered_version is None:
        yield f"{group.name} names version {group.template_version} of its launch template"


def _names_no_parameter(situation: Situation) -> Iterator[str]:
    source = situation.intent.source
    if source.ami_id.startswith(PARAMETER_PREFIX):
        yield f"version {source.number} of the launch template names its image by {source.ami_id}"


def _type_exists(situation: Situation) -> Iterator[str]:
    if known(situation.instance_type) is None:
        yield f"there is no instance type {situation.intent.source.instance_type} in this region"


def _type_is_offered(situation: Situation) -> Iterator[str]:
    if known(situation.instance_type) is None:
        return
    if missing := sorted(set(situation.group.zones) - known(situation.offered_in)):
        yield f"{situation.intent.source.instance_type} is not offered in {listed(missing)}"


def _profile_exists(situation: Situation) -> Iterator[str]:
    profile = situation.intent.source.instance_profile
    if profile and not known(situation.has_instance_profile):
        yield f"there is no instance profile {profile}, or no role in it"


def _key_exists(situation: Situation) -> Iterator[str]:
    key_name = situation.intent.source.key_name
    if key_name and not known(situation.has_key_pair):
        yield f"there is no key pair {key_name}"


def _security_groups_exist(situation: Situation) -> Iterator[str]:
    wanted = situation.intent.source.security_group_ids
    if missing := sorted(set(wanted) - known(situation.security_groups)) if wanted else []:
        yield f"there is no security group {listed(missing)}"


def _subnets_exist(situation: Situation) -> Iterator[str]:
    wanted = situation.group.subnet_ids
    if missing := sorted(set(wanted) - set(known(situation.subnets))) if wanted else []:
        yield f"there is no subnet {listed(missing)}"


_REPAIR = "repair the fleets stack: `invoke provision --environment {environment}`"

CHECKS = (
    Check(
        "template-numbered",
        Level.ERROR,
        "The group names its launch template's version by a number: AWS rolls back to nothing else.",
        "give it the number: `aws autoscaling update-auto-scaling-group --auto-scaling-group-name "
        "{group} --launch-template LaunchTemplateId=<id>,Version=<number>`",
        _is_numbered,
    ),
    Check(
        "template-no-parameter",
        Level.ERROR,
        "The launch template names an image and no parameter of Systems Manager: what that parameter said "
        "before is nowhere kept, so AWS can't roll back.",
        "make a version that names the image that runs now, and give it to the group",
        _names_no_parameter,
    ),
    Check(
        "instance-type-exists",
        Level.ERROR,
        "The region has the instance type.",
        "change the fleet's instance_type",
        _type_exists,
    ),
    Check(
        "instance-type-offered",
        Level.ERROR,
        "All of the group's zones offer the instance type; a zone that does not would stay empty.",
        "change the fleet's instance_type, or take the zone out of the network",
        _type_is_offered,
    ),
    Check(
        "instance-profile-exists",
        Level.ERROR,
        "The launch template's instance profile is there and has a role.",
        _REPAIR,
        _profile_exists,
    ),
    Check(
        "key-pair-exists",
        Level.ERROR,
        "The launch template's key pair is there, if it names one.",
        "import the key pair again, or make a version without it",
        _key_exists,
    ),
    Check(
        "security-groups-exist",
        Level.ERROR,
        "The launch template's security groups are there.",
        "repair the network's stacks: `invoke provision --environment {environment}`",
        _security_groups_exist,
    ),
    Check(
        "subnets-exist",
        Level.ERROR,
        "The group's subnets are there.",
        "repair the network's stacks: `invoke provision --environment {environment}`",
        _subnets_exist,
    ),
)
