# SPDX-License-Identifier: Apache-2.0
"""What the region says of quotas, and of what is used of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.api.service_quotas import FAMILIES, GRANTED, family_of, usage
from tests.region.conftest import LocalRegion
from tests.region.simulated_world import Client, simulated

STANDARD = "L-1216C47A"
VCPUS = {"Service": "EC2", "Type": "Resource", "Resource": "vCPU", "Class": "Standard/OnDemand"}


@pytest.fixture
def client() -> Iterator[Client]:
    yield from simulated()


def used(client: Client, dimensions: dict[str, str]) -> list[float]:
    """Return what CloudWatch tells of the use, newest first."""
    now = client.local.region.clock.now()
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    metric = {"Namespace": "AWS/Usage", "MetricName": "ResourceCount", "Dimensions": named}
    found = client.local.client("cloudwatch").get_metric_data(
        StartTime=now - timedelta(minutes=30),
        EndTime=now + timedelta(minutes=1),
        ScanBy="TimestampDescending",
        MetricDataQueries=[
            {"Id": "used", "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Maximum"}}
        ],
    )
    return list(found["MetricDataResults"][0]["Values"])


class TestQuotas:
    def test_a_quota_names_the_metric_of_its_use(self, local: LocalRegion) -> None:
        quota = local.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=STANDARD)[
            "Quota"
        ]
        assert quota["QuotaName"] == "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
        assert (quota["Value"], quota["Adjustable"]) == (GRANTED, True)
        assert quota["UsageMetric"] == {
            "MetricNamespace": "AWS/Usage",
            "MetricName": "ResourceCount",
            "MetricDimensions": VCPUS,
            "MetricStatisticRecommendation": "Maximum",
        }

    def test_the_default_is_that_of_a_new_account(self, local: LocalRegion) -> None:
        client = local.client("service-quotas")
        told = client.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=STANDARD)["Quota"]
        assert told["Value"] == 5.0
        every = client.list_aws_default_service_quotas(ServiceCode="ec2")["Quotas"]
        assert {each["QuotaCode"]: each["Value"] for each in every} == {
            family.code: 5.0 if family.code == STANDARD else 0.0 for family in FAMILIES
        }

    def test_an_increase_is_granted_at_once(self, local: LocalRegion) -> None:
        client = local.client("service-quotas")
        asked = {"ServiceCode": "ec2", "QuotaCode": STANDARD}
        request = client.request_service_quota_increase(**asked, DesiredValue=40_000)["RequestedQuota"]
        assert (request["Status"], request["DesiredValue"]) == ("APPROVED", 40_000.0)
        assert client.get_service_quota(**asked)["Quota"]["Value"] == 40_000.0
        listed = client.list_service_quotas(ServiceCode="ec2", QuotaCode=STANDARD)["Quotas"]
        assert [each["Value"] for each in listed] == [40_000.0]
        with pytest.raises(ClientError, match="greater than the current"):
            client.request_service_quota_increase(**asked, DesiredValue=40_000)

    @pytest.mark.parametrize(
        ("service", "code"),
        [("ec2", "L-00000000"), ("elasticloadbalancing", "L-53DA6B97"), ("s3", "L-DC2B2D3D")],
    )
    def test_what_the_region_does_not_know_is_not_there(
        self, local: LocalRegion, service: str, code: str
    ) -> None:
        with pytest.raises(ClientError) as caught:
            local.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)
        assert caught.value.response["Error"]["Code"] == "NoSuchResourceException"

    def test_other_operations_are_refused_by_name(self, local: LocalRegion) -> None:
        with pytest.raises(ClientError, match="service-quotas.ListServices is not supported"):
            local.client("service-quotas").list_services()


class TestUse:
    def test_running_vcpus_are_told_every_five_minutes(self, client: Client) -> None:
        client.group(6)
        client.advance(330)
        assert used(client, VCPUS) == [12.0]
        client.aws("autoscaling").set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=2)
        client.advance(600)
        assert used(client, VCPUS)[0] == 4.0

    def test_a_metric_is_found_in_whichever_order_its_dimensions_are_named(self, client: Client) -> None:
        client.group(2)
        client.advance(330)
        for names in (sorted(VCPUS), sorted(VCPUS, reverse=True)):
            assert used(client, {name: VCPUS[name] for name in names}) == [4.0]

    def test_where_nothing_runs_nothing_is_told(self, client: Client) -> None:
        client.advance(330)
        assert used(client, VCPUS) == []

    @pytest.mark.parametrize(
        ("instance_type", "code"),
        [
            ("t3.small", STANDARD),
            ("im4gn.large", STANDARD),
            ("inf2.xlarge", "L-1945791B"),
            ("trn1.2xlarge", "L-2C3B7624"),
            ("vt1.3xlarge", "L-DB2E81BA"),
            ("u-6tb1.metal", "L-43DA4232"),
        ],
    )
    def test_types_share_a_quota_by_their_family(self, instance_type: str, code: str) -> None:
        family = family_of(instance_type)
        assert family is not None
        assert family.code == code

    def test_what_has_no_quota_of_vcpus_is_not_counted(self, client: Client) -> None:
        now = client.local.region.clock.now()
        told = usage([("mac1.metal", 12), ("t3.small", 4), ("m5.large", 2), ("p3.2xlarge", 8)], now)
        classes = {each["Dimensions"][-1]["Value"]: each["Value"] for each in told}
        assert classes == {"Standard/OnDemand": 6.0, "P/OnDemand": 8.0}


def test_limits_of_load_balancers_are_those_of_a_new_account(local: LocalRegion) -> None:
    limits = local.client("elbv2").describe_account_limits()["Limits"]
    told = {each["Name"]: each["Max"] for each in limits}
    assert (told["targets-per-target-group"], told["targets-per-application-load-balancer"]) == (
        "1000",
        "1000",
    )


def test_targets_may_be_more_when_more_are_granted(local: LocalRegion) -> None:
    for code in ("L-A0D0B863", "L-7E6692B2"):
        granted = local.client("service-quotas").request_service_quota_increase(
            ServiceCode="elasticloadbalancing", QuotaCode=code, DesiredValue=20_000
        )
        assert granted["RequestedQuota"]["Status"] == "APPROVED"
    limits = local.client("elbv2").describe_account_limits()["Limits"]
    told = {each["Name"]: each["Max"] for each in limits}
    assert (
        told["targets-per-target-group"],
        told["targets-per-application-load-balancer"],
        told["targets-per-network-load-balancer"],
    ) == ("20000", "20000", "3000")


def test_addresses_are_free_again_when_their_machine_is_gone(client: Client) -> None:
    def free() -> dict[str, Any]:
        found = client.aws("ec2").describe_subnets()["Subnets"]
        return {each["AvailabilityZone"]: each["AvailableIpAddressCount"] for each in found}

    before = free()
    client.group(3)
    client.advance(120)
    assert [before[zone] - count for zone, count in sorted(free().items())] == [1, 1, 1, 0, 0, 0]
    client.aws("autoscaling").set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=0)
    client.advance(600)
    assert free() == before
