# SPDX-License-Identifier: Apache-2.0
"""CloudFront distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import edge_tags, tagging
from sandbox.cloudformation.resources.api_shapes import to_api, to_template
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent

# Where a template's words are not the API's.
_NAMES = {
    "AcmCertificateArn": "ACMCertificateArn",
    "IamCertificateId": "IAMCertificateId",
    "SslSupportMethod": "SSLSupportMethod",
    "OriginSSLProtocols": "OriginSslProtocols",
    "IPV6Enabled": "IsIPV6Enabled",
    "OriginCustomHeaders": "CustomHeaders",
    "Locations": "Items",
}
_SAFE_METHODS = ["HEAD", "GET"]
_CONFIGURATION = (
    "Aliases CacheBehaviors Comment CustomErrorResponses DefaultCacheBehavior DefaultRootObject Enabled "
    "HttpVersion IPV6Enabled Logging Origins PriceClass Restrictions ViewerCertificate WebACLId"
)


class Distributions:
    """AWS::CloudFront::Distribution."""

    type_name = "AWS::CloudFront::Distribution"
    properties = frozenset({"Tags", *(f"DistributionConfig.{name}" for name in _CONFIGURATION.split())})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the distribution."""
        client = call.client("cloudfront")
        configuration = _to_api(client, properties["DistributionConfig"], call.name)
        tags = {"Items": tagging.as_list(tagging.wanted(call, properties))}
        made = client.create_distribution_with_tags(
            DistributionConfigWithTags={"DistributionConfig": configuration, "Tags": tags}
        )
        return _physical(made["Distribution"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return its configuration."""
        client = call.client("cloudfront")
        answer = unless_absent(lambda: client.get_distribution(Id=physical_id), "NoSuchDistribution")
        if answer is None:
            return None
        distribution = answer["Distribution"]
        return {
            "DistributionConfig": _to_template(client, distribution["DistributionConfig"]),
            **edge_tags.shown(call, distribution["ARN"]),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put another configuration in place."""
        client = call.client("cloudfront")
        present = client.get_distribution_config(Id=physical_id)
        reference = present["DistributionConfig"]["CallerReference"]
        answer = client.update_distribution(
            Id=physical_id,
            IfMatch=present["ETag"],
            DistributionConfig=_to_api(client, after["DistributionConfig"], reference),
        )
        edge_tags.retag(call, answer["Distribution"]["ARN"], before=before, after=after)
        return _physical(answer["Distribution"])

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Disable, then remove it: AWS refuses to remove one that serves."""
        del properties
        client = call.client("cloudfront")
        with absent_is_fine("NoSuchDistribution"):
            present = client.get_distribution_config(Id=physical_id)
            configuration = present["DistributionConfig"]
            if configuration["Enabled"]:
                present = client.update_distribution(
                    Id=physical_id,
                    IfMatch=present["ETag"],
                    DistributionConfig=configuration | {"Enabled": False},
                )
            client.delete_distribution(Id=physical_id, IfMatch=present["ETag"])


def _physical(distribution: Mapping[str, Any]) -> Physical:
    attributes = {"Id": distribution["Id"], "DomainName": distribution["DomainName"]}
    return Physical(distribution["Id"], attributes)


def _to_api(client: Any, configuration: Mapping[str, Any], reference: str) -> Any:
    shape = client.meta.service_model.shape_for("DistributionConfig")
    ready: dict[str, Any] = {"Comment": "", **configuration, "CallerReference": reference}
    ready["DefaultCacheBehavior"] = _methods_nested(ready["DefaultCacheBehavior"])
    if "CacheBehaviors" in ready:
        ready["CacheBehaviors"] = [_methods_nested(each) for each in ready["CacheBehaviors"]]
    ready["Origins"] = [_complete_origin(origin) for origin in ready["Origins"]]
    if "Logging" in ready:
        ready["Logging"] = {"Enabled": True, "IncludeCookies": False, "Prefix": "", **ready["Logging"]}
    return to_api(shape, ready, _NAMES)


def _to_template(client: Any, configuration: Mapping[str, Any]) -> dict[str, Any]:
    shape = client.meta.service_model.shape_for("DistributionConfig")
    template: dict[str, Any] = to_template(shape, configuration, _NAMES)
    del template["CallerReference"]
    for shown, behavior in zip(_behaviors(template), _behaviors(configuration), strict=True):
        if "AllowedMethods" in behavior:
            shown["CachedMethods"] = behavior["AllowedMethods"]["CachedMethods"]["Items"]
    for answer in template.get("CustomErrorResponses", []):
        if answer.get("ResponseCode"):
            answer["ResponseCode"] = int(answer["ResponseCode"])
    if "Logging" in template:
        del template["Logging"]["Enabled"]
    if "Restrictions" in template:
        restriction = configuration["Restrictions"]["GeoRestriction"]
        template["Restrictions"] = {"GeoRestriction": _countries(restriction)}
    return template


def _behaviors(configuration: Mapping[str, Any]) -> list[Any]:
    others = configuration.get("CacheBehaviors", [])
    return [
        configuration["DefaultCacheBehavior"],
        *(others.get("Items", []) if "Quantity" in others else others),
    ]


def _countries(restriction: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"RestrictionType": restriction["RestrictionType"]}
    if restriction.get("Items"):
        shown["Locations"] = restriction["Items"]
    return shown


def _methods_nested(behavior: Mapping[str, Any]) -> dict[str, Any]:
    """Put the cached methods into the allowed ones, as the API has them; a template may leave out either."""
    ready = dict(behavior)
    cached = ready.pop("CachedMethods", _SAFE_METHODS)
    ready["AllowedMethods"] = {"Items": ready.get("AllowedMethods", _SAFE_METHODS), "CachedMethods": cached}
    return ready


def _complete_origin(origin: Mapping[str, Any]) -> dict[str, Any]:
    ready = dict(origin)
    if "S3OriginConfig" in ready:
        ready["S3OriginConfig"] = {"OriginAccessIdentity": "", **ready["S3OriginConfig"]}
    if "CustomOriginConfig" in ready:
        ready["CustomOriginConfig"] = {"HTTPPort": 80, "HTTPSPort": 443, **ready["CustomOriginConfig"]}
    return ready


HANDLERS = (Distributions(),)
