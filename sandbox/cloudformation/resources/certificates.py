# SPDX-License-Identifier: Apache-2.0
"""Certificates of ACM. In AWS one waits for a record in the DNS; the local region issues it at once."""

from __future__ import annotations

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.ec2_kinds import Description, picked
from sandbox.cloudformation.resources.failures import (
    absent_is_fine,
    undone_by,
    unless_absent,
    wait_until,
)

NO_CERTIFICATE = "ResourceNotFoundException"
_LOGGING = "CertificateTransparencyLoggingPreference"


class Certificate:
    """AWS::CertificateManager::Certificate."""

    type_name = "AWS::CertificateManager::Certificate"
    properties = frozenset({"DomainName", "SubjectAlternativeNames", "ValidationMethod", _LOGGING, "Tags"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Ask for the certificate and wait until it is issued."""
        options = {"Options": picked(dict(properties), _LOGGING)} if _LOGGING in properties else {}
        # ACM takes no system tags from a caller, and CloudFormation's own are no use to anyone here.
        tags = tagging.as_list(tagging.wanted_of_user(call, properties))
        answer = call.client("acm").request_certificate(
            **picked(dict(properties), "DomainName", "SubjectAlternativeNames", "ValidationMethod"),
            **options,
            **({"Tags": tags} if tags else {}),
        )
        arn = answer["CertificateArn"]
        with undone_by(lambda: self.delete(call, arn, properties)):
            wait_until(call, lambda: _status(call, arn) != "PENDING_VALIDATION")
            if _status(call, arn) != "ISSUED":
                raise HandlerError(f"The certificate {arn} was not issued")
        return _physical(arn)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the certificate; ACM names the domain among its alternative names, the template does not."""
        certificate = _certificate(call, physical_id)
        if certificate is None:
            return None
        domain = certificate["DomainName"]
        others = [name for name in certificate["SubjectAlternativeNames"] if name != domain]
        tags = call.client("acm").list_tags_for_certificate(CertificateArn=physical_id)["Tags"]
        return {
            "DomainName": domain,
            **({"SubjectAlternativeNames": others} if others else {}),
            _LOGGING: certificate["Options"][_LOGGING],
            **tagging.shown(tags),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change logging and tags."""
        acm = call.client("acm")
        if before.get(_LOGGING, "ENABLED") != after.get(_LOGGING, "ENABLED"):
            options = {_LOGGING: after.get(_LOGGING, "ENABLED")}
            acm.update_certificate_options(CertificateArn=physical_id, Options=options)
        change = tagging.change(call, before, after)
        if change.removed:
            removed = [{"Key": key} for key in change.removed]
            acm.remove_tags_from_certificate(CertificateArn=physical_id, Tags=removed)
        if change.put:
            acm.add_tags_to_certificate(CertificateArn=physical_id, Tags=tagging.as_list(change.put))
        return _physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the certificate."""
        del properties
        with absent_is_fine(NO_CERTIFICATE):
            call.client("acm").delete_certificate(CertificateArn=physical_id)


def _certificate(call: Call, arn: str) -> Description | None:
    acm = call.client("acm")
    answer = unless_absent(lambda: acm.describe_certificate(CertificateArn=arn), NO_CERTIFICATE)
    return answer["Certificate"] if answer else None


def _status(call: Call, arn: str) -> str:
    return str((_certificate(call, arn) or {}).get("Status"))


def _physical(arn: str) -> Physical:
    return Physical(arn, {"CertificateArn": arn, "Id": arn})


HANDLERS = (Certificate(),)
