# SPDX-License-Identifier: Apache-2.0
"""Certificates are the region's own, issued at once, and stay while a balancer shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.balancing.authority import Authority
from sandbox.simulated import SimulatedSubstrate

from .conftest import LocalRegion, make_region


def test_a_certificate_is_issued_at_once_by_the_regions_authority(local: LocalRegion) -> None:
    acm = local.client("acm")
    arn = acm.request_certificate(
        DomainName="example.com",
        SubjectAlternativeNames=["*.example.com"],
        ValidationMethod="DNS",
        Tags=[{"Key": "a", "Value": "b"}],
    )["CertificateArn"]
    described = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert (described["Status"], described["Type"], described["InUseBy"]) == ("ISSUED", "AMAZON_ISSUED", [])
    assert described["SubjectAlternativeNames"] == ["example.com", "*.example.com"]
    answer = acm.get_certificate(CertificateArn=arn)
    authority = x509.load_pem_x509_certificate(local.fetch("GET", "/_slipway/ca.pem"))
    issued = x509.load_pem_x509_certificate(answer["Certificate"].encode())
    issued.verify_directly_issued_by(authority)
    assert x509.load_pem_x509_certificate(answer["CertificateChain"].encode()) == authority
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_an_imported_certificate_is_as_it_was_given(local: LocalRegion) -> None:
    acm, authority = local.client("acm"), Authority.new()
    mine, other = authority.issue("my.org"), authority.issue("other.org")
    arn = acm.import_certificate(
        Certificate=mine.certificate, PrivateKey=mine.key, CertificateChain=authority.pem
    )["CertificateArn"]
    answer = acm.get_certificate(CertificateArn=arn)
    assert (answer["Certificate"], answer["CertificateChain"]) == (mine.certificate, authority.pem)
    with pytest.raises(ClientError, match="does not match"):
        acm.import_certificate(Certificate=mine.certificate, PrivateKey=other.key)
    assert len(acm.list_certificates()["CertificateSummaryList"]) == 1


def test_a_certificate_in_use_stays(local: LocalRegion) -> None:
    acm, elbv2, ec2 = (local.client(name) for name in ("acm", "elbv2", "ec2"))
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"][:2]]
    balancer = elbv2.create_load_balancer(Name="tls", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    first, second = (
        acm.request_certificate(DomainName=name)["CertificateArn"] for name in ("a.org", "b.org")
    )
    fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}]
    https = {"LoadBalancerArn": balancer, "Protocol": "HTTPS", "Port": 443, "DefaultActions": fixed}
    with pytest.raises(ClientError, match="certificate must be specified"):
        elbv2.create_listener(**https)
    with pytest.raises(ClientError, match="not found"):
        elbv2.create_listener(**https, Certificates=[{"CertificateArn": first + "x"}])
    with pytest.raises(ClientError, match="SSL policy"):
        elbv2.create_listener(**https, Certificates=[{"CertificateArn": first}], SslPolicy="none")
    listener = elbv2.create_listener(**https, Certificates=[{"CertificateArn": first}])["Listeners"][0]
    arn = listener["ListenerArn"]
    elbv2.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": second}])
    shown = elbv2.describe_listener_certificates(ListenerArn=arn)["Certificates"]
    assert shown == [
        {"CertificateArn": first, "IsDefault": True},
        {"CertificateArn": second, "IsDefault": False},
    ]
    assert acm.describe_certificate(CertificateArn=second)["Certificate"]["InUseBy"] == [balancer]
    with pytest.raises(ClientError, match="in use"):
        acm.delete_certificate(CertificateArn=second)
    elbv2.modify_listener(
        ListenerArn=arn,
        Certificates=[{"CertificateArn": second}],
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
    )
    seen = elbv2.describe_listeners(ListenerArns=[arn])["Listeners"][0]
    assert (seen["Certificates"], seen["SslPolicy"]) == (
        [{"CertificateArn": second}],
        "ELBSecurityPolicy-TLS13-1-2-2021-06",
    )
    acm.delete_certificate(CertificateArn=first)


def test_the_authority_and_what_it_issued_outlive_the_region(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for local in make_region(SimulatedSubstrate(), state):
        authority = local.fetch("GET", "/_slipway/ca.pem")
        arn = local.client("acm").request_certificate(DomainName="a.org")["CertificateArn"]
        before = local.client("acm").get_certificate(CertificateArn=arn)["Certificate"]
    for local in make_region(SimulatedSubstrate(), state):
        assert local.fetch("GET", "/_slipway/ca.pem") == authority
        assert local.client("acm").get_certificate(CertificateArn=arn)["Certificate"] == before
    kept = tmp_path / "certificate-authority.pem"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert isinstance(Authority.of_folder(tmp_path)._key, ec.EllipticCurvePrivateKey)
