# SPDX-License-Identifier: Apache-2.0
"""What stacks cost a month, and the table it is worked out from."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.prices import load_prices
from orchestrator.domain.cost import Estimate, estimate
from orchestrator.errors import ConfigError
from tests.unit.provision_world import PRICES, resource

PROJECT = Path(__file__).resolve().parents[2]
SUBNETS = {"Fn::Split": [",", {"Fn::GetStackOutput": {"StackName": "net", "OutputName": "Subnets"}}]}
# What troposphere makes of a split of one reference.
WRAPPED = {
    "Fn::Split": [
        ",",
        {"Fn::Join": ["", [{"Fn::GetStackOutput": {"StackName": "net", "OutputName": "Subnets"}}]]},
    ]
}
NET = {"Outputs": {"Subnets": {"Value": {"Fn::Join": [",", [{"Ref": "A"}, {"Ref": "B"}, {"Ref": "C"}]]}}}}
LAUNCH = {
    "InstanceType": "t3.small",
    "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10}}],
}
VERSION = {"LaunchTemplateId": {"Ref": "Launch"}, "Version": "1"}


def cost(resources: dict[str, Any], *others: tuple[str, dict[str, Any]]) -> Estimate:
    return estimate("stack", {"stack": {"Resources": resources}, **dict(others)}, PRICES)


def fleet(**launch: Any) -> dict[str, Any]:
    return {
        "Launch": resource("EC2::LaunchTemplate", LaunchTemplateData={**LAUNCH, **launch}),
        "Fleet": resource("AutoScaling::AutoScalingGroup", LaunchTemplate=VERSION, MinSize="2", MaxSize="9"),
    }


@pytest.mark.parametrize(
    ("resources", "monthly"),
    [
        pytest.param({"A": resource("EC2::NatGateway"), "B": resource("EC2::EIP")}, "36.50", id="nat"),
        pytest.param(
            {"A": resource("EC2::VPCEndpoint", VpcEndpointType="Interface", SubnetIds=["a", "b"])},
            "14.60",
            id="interface endpoint",
        ),
        pytest.param({"A": resource("EC2::VPCEndpoint", VpcEndpointType="Gateway")}, "0.00", id="gateway"),
        pytest.param(
            {"A": resource("ElasticLoadBalancingV2::LoadBalancer", Scheme="internal", Subnets=SUBNETS)},
            "16.42",
            id="internal balancer",
        ),
        pytest.param(fleet(), "31.97", id="fleet at its lower limit"),
        pytest.param(
            fleet(NetworkInterfaces=[{"AssociatePublicIpAddress": True}]), "39.27", id="public fleet"
        ),
        pytest.param(
            {"A": resource("RDS::DBInstance", DBInstanceClass="db.r6g.large")}, "189.80", id="member"
        ),
        pytest.param(
            {
                "C": resource(
                    "RDS::DBCluster",
                    ManageMasterUserPassword=True,
                    ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4},
                ),
                "M": resource(
                    "RDS::DBInstance", DBInstanceClass="db.serverless", DBClusterIdentifier={"Ref": "C"}
                ),
            },
            "44.20",
            id="serverless, with the secret of its master password",
        ),
        pytest.param(
            {"K": resource("KMS::Key"), "S": resource("SecretsManager::Secret")}, "1.40", id="key, secret"
        ),
        pytest.param({"W": resource("WAFv2::WebACL", Rules=[{}, {}])}, "7.00", id="firewall"),
        pytest.param({"A": resource("CloudWatch::Alarm"), "R": resource("IAM::Role")}, "0.10", id="alarm"),
    ],
)
def test_what_stands_there_has_a_price(resources: dict[str, Any], monthly: str) -> None:
    found = cost(resources)
    assert (found.monthly, found.unknown) == (Decimal(monthly), frozenset())


@pytest.mark.parametrize("subnets", [SUBNETS, WRAPPED], ids=["plain", "as troposphere writes it"])
def test_a_public_balancer_pays_for_an_address_in_each_subnet_of_another_stack(subnets: Any) -> None:
    balancer = {"B": resource("ElasticLoadBalancingV2::LoadBalancer", Subnets=subnets)}
    assert cost(balancer, ("net", NET)).monthly == Decimal("27.38")
    assert cost(balancer).unknown == {"the balancer's public addresses, in subnets that are not known yet"}


def test_what_has_no_price_is_told() -> None:
    found = cost({**fleet(InstanceType="x9.huge"), "M": resource("RDS::DBInstance", DBInstanceClass="db.x")})
    assert found.unknown == {"machines of type x9.huge", "database members of db.x"}


def test_what_is_paid_by_use_is_told_and_free_endpoints_are_not() -> None:
    gateway = resource("EC2::VPCEndpoint", VpcEndpointType="Gateway")
    assert cost({"Q": resource("SQS::Queue"), "G": gateway}).not_counted == {"messages"}


def test_the_table_of_the_project_has_all_machines_and_members_that_its_files_name() -> None:
    prices = load_prices(PROJECT)
    assert prices.region == "us-east-1"
    assert prices.nat_gateway == Decimal("0.045")
    text = "".join(path.read_text() for path in (PROJECT / "environments").glob("*.yaml"))
    named = {word for word in text.replace(",", " ").split() if word in prices.instances}
    assert {"t3.micro", "t3.small", "c6i.large"} <= named


def test_a_table_that_is_wrong_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    text = (PROJECT / "stacks/prices.yaml").read_text()
    (tmp_path / "stacks/prices.yaml").write_text(text.replace("secret: 0.40", "secret: cheap"))
    with pytest.raises(ConfigError) as caught:
        load_prices(tmp_path)
    assert caught.value.problems[0].startswith("stacks/prices.yaml: secret: ")
