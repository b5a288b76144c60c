# SPDX-License-Identifier: Apache-2.0
"""CloudFront distributions: what they show of themselves, and what must hold of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID

from sandbox.api import cloudfront_functions
from sandbox.api.cloudfront_policies import MANAGED, page
from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Parameters, Records


def arn_of(identifier: str) -> str:
    """Return a distribution's ARN."""
    return f"arn:aws:cloudfront::{DEFAULT_ACCOUNT_ID}:distribution/{identifier}"


def describe(identifier: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what GetDistribution shows."""
    return {
        "Id": identifier,
        "ARN": arn_of(identifier),
        "Status": "Deployed",
        "LastModifiedTime": record["modified"],
        "InProgressInvalidationBatches": 0,
        "DomainName": record["domain"],
        "ActiveTrustedSigners": {"Enabled": False, "Quantity": 0},
        "ActiveTrustedKeyGroups": {"Enabled": False, "Quantity": 0},
        "DistributionConfig": record["configuration"],
    }


def check(records: Records, identifier: str | None, configuration: Parameters) -> None:
    """Refuse a configuration that names what is not there."""
    _check_aliases(records, identifier, configuration)
    origins = configuration["Origins"]["Items"]
    names = {origin["Id"] for origin in origins}
    for behavior in behaviors(configuration):
        if behavior["TargetOriginId"] not in names:
            message = "One or more of your origins or origin groups do not exist."
            raise AwsError("NoSuchOrigin", message)
        for noun, managed in MANAGED.items():
            policy = behavior.get(f"{noun}Id")
            if policy and policy not in managed and policy not in records.get(noun, {}):
                raise AwsError(f"NoSuch{noun}", f"The specified {noun} {policy} does not exist.")
        cloudfront_functions.check_associations(records, behavior)
    for origin in origins:
        control = origin.get("OriginAccessControlId")
        if control and control not in records.get("OriginAccessControl", {}):
            raise AwsError("InvalidOriginAccessControl", f"The origin access control {control} is not valid.")


def _check_aliases(records: Records, identifier: str | None, configuration: Parameters) -> None:
    wanted = set(configuration.get("Aliases", {}).get("Items") or [])
    for other, record in records.get("Distribution", {}).items():
        taken = wanted & set(record["configuration"].get("Aliases", {}).get("Items") or [])
        if other != identifier and taken:
            message = f"One or more of the CNAMEs you provided are already associated: {sorted(taken)}"
            raise AwsError("CNAMEAlreadyExists", message)
    certificate = configuration.get("ViewerCertificate", {})
    if wanted and not (certificate.get("ACMCertificateArn") or certificate.get("IAMCertificateId")):
        message = "To add an alternate domain name, you must attach a trusted certificate."
        raise AwsError("InvalidViewerCertificate", message)


def check_removal(_: Records, identifier: str, record: Mapping[str, Any]) -> None:
    """Refuse to remove one that serves."""
    if record["configuration"]["Enabled"]:
        message = f"The distribution {identifier} you are trying to delete has not been disabled."
        raise AwsError("DistributionNotDisabled", message)


def behaviors(configuration: Parameters) -> Iterator[Mapping[str, Any]]:
    """Give the default behaviour and those by path."""
    yield configuration["DefaultCacheBehavior"]
    yield from configuration.get("CacheBehaviors", {}).get("Items") or []


def listing(records: Records, _: Parameters) -> dict[str, Any]:
    """Return all distributions."""
    items = []
    for identifier, record in records.get("Distribution", {}).items():
        configuration = dict(record["configuration"])
        described = describe(identifier, record)
        del described["DistributionConfig"], described["InProgressInvalidationBatches"]
        items.append(configuration | described)
    return {"DistributionList": page(items)}
