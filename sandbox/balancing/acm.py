# SPDX-License-Identifier: Apache-2.0
"""Let ACM issue certificates of the region's own authority, at once; moto's are signed by nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from moto.acm import models
from moto.acm.models import AWSCertificateManagerBackend, CertBundle

from sandbox.api.errors import AwsError, unsupported
from sandbox.api.patches import Patches
from sandbox.balancing.authority import Authority
from sandbox.balancing.shape import Certificate

# Says which load balancers use a certificate: ARN -> ARNs.
Users = Callable[[str], list[str]]


def install(patches: Patches, authority: Authority, users: Users) -> None:
    """Put the corrections in place."""
    patches.replace(models, "AWS_ROOT_CA", authority.pem.encode())
    patches.replace(CertBundle, "generate_cert", classmethod(_issue(authority)))
    backend = AWSCertificateManagerBackend
    patches.replace(backend, "import_certificate", _import(backend.import_certificate))
    patches.replace(backend, "get_certificate", _with_users(backend.get_certificate, users))
    patches.replace(backend, "delete_certificate", _unless_used(backend.delete_certificate, users))
    # Uses are looked up, not noted.
    patches.replace(backend, "set_certificate_in_use_by", lambda backend, arn, load_balancer_name: None)


def certificates(backend: Any, arns: Iterable[str]) -> dict[str, Certificate]:
    """Return certificates by ARN, as a server needs them; those that are gone are left out."""
    found = {}
    for arn in arns:
        if arn in backend._certificates:
            bundle = backend._certificates[arn]
            chain = bundle.chain if bundle.type == "IMPORTED" else b""
            pem = b"\n".join(part.strip() for part in (bundle.cert, chain, bundle.key) if part) + b"\n"
            found[arn] = Certificate(hashlib.sha256(pem).hexdigest()[:16], pem.decode())
    return found


def _issue(authority: Authority) -> Callable[..., CertBundle]:
    def generate(
        kind: type[CertBundle],
        domain_name: str,
        account_id: str,
        region: str,
        sans: list[str] | None = None,
        cert_authority_arn: str | None = None,
    ) -> CertBundle:
        """Issue a certificate; the owner of every domain in this region is its operator."""
        if cert_authority_arn is not None:
            raise unsupported("acm.RequestCertificate with CertificateAuthorityArn")
        issued = authority.issue(domain_name, sans or ())
        return kind(
            certificate=issued.certificate.encode(),
            private_key=issued.key.encode(),
            cert_type="AMAZON_ISSUED",
            cert_status="ISSUED",
            account_id=account_id,
            region=region,
        )

    return generate


def _import(original: Callable[..., Any]) -> Callable[..., Any]:
    def import_certificate(
        backend: Any, certificate: bytes, private_key: bytes, chain: bytes | None, arn: Any, tags: Any
    ) -> str:
        """Keep the chain as it was given, and refuse a key that is another certificate's."""
        imported: str = original(backend, certificate, private_key, chain, arn, tags)
        bundle = backend._certificates[imported]
        bundle.chain = chain or b""
        if bundle._key.public_key() != bundle._cert.public_key():
            del backend._certificates[imported]
            raise AwsError("ValidationException", "The certificate does not match the private key.")
        return imported

    return import_certificate


def _with_users(original: Callable[..., Any], users: Users) -> Callable[..., Any]:
    def get_certificate(backend: Any, arn: str) -> Any:
        """Say who uses it now."""
        bundle = original(backend, arn)
        bundle.in_use_by = users(arn)
        return bundle

    return get_certificate


def _unless_used(original: Callable[..., Any], users: Users) -> Callable[..., Any]:
    def delete_certificate(backend: Any, arn: str) -> None:
        """Keep what a load balancer shows to its clients."""
        if users(arn):
            raise AwsError("ResourceInUseException", f"Certificate {arn} is in use")
        original(backend, arn)

    return delete_certificate
