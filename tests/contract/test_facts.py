# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Facts: on the fake, and on AWS's API as a simulated region plays it."""

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from orchestrator.aws.facts import AwsFacts
from orchestrator.aws.facts_quotas import quota_code
from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint
from orchestrator.domain.preflight.facts import AlarmState, ImageFact, SubnetFact, TargetLimits
from orchestrator.errors import AwsError
from orchestrator.ports.facts import Facts
from tests.contract.conftest import REGION, SESSION
from tests.fakes import ACCOUNT, FakeClock, FakeFacts
from tests.region.simulated_world import Client, simulated

NUMBERS = itertools.count(1)
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


class Account(ABC):
    """The port, and what tests arrange behind it."""

    facts: Facts

    @abstractmethod
    def image(self, *, deprecate_at: datetime | None = None, is_protected: bool = False) -> str:
        """Have an image of the account's own and return its id."""

    @abstractmethod
    def subnet(self) -> SubnetFact:
        """Have a subnet with a few free addresses."""

    @abstractmethod
    def security_group(self) -> str:
        """Have a security group and return its id."""

    @abstractmethod
    def key_pair(self) -> str:
        """Have a key pair and return its name."""

    @abstractmethod
    def profile(self, *, has_role: bool = True) -> str:
        """Have an instance profile and return its name."""

    @abstractmethod
    def run(self, machines: int) -> None:
        """Run machines of type t3.small, and wait until their use is measured."""

    @abstractmethod
    def balance(self, *targets: int) -> tuple[str, list[str]]:
        """Have a balancer with target groups of so many targets; return its name and their ARNs."""

    @abstractmethod
    def alarm(self, state: AlarmState) -> str:
        """Have an alarm in a state and return its name."""

    @abstractmethod
    def review(self) -> tuple[str, str]:
        """Have a change set that waits to be executed; return the stack and its name."""


class FakeAccount(Account):
    """The fake."""

    def __init__(self) -> None:
        self.fake = self.facts = FakeFacts()

    def image(self, *, deprecate_at: datetime | None = None, is_protected: bool = False) -> str:
        ami_id = f"ami-{next(NUMBERS):017x}"
        self.fake.made_images[ami_id] = ImageFact(
            ami_id, f"image-{ami_id}", "available", "x86_64", ACCOUNT, deprecate_at, is_protected
        )
        return ami_id

    def subnet(self) -> SubnetFact:
        told = SubnetFact(f"subnet-{next(NUMBERS):017x}", "us-east-1b", 11)
        self.fake.made_subnets[told.subnet_id] = told
        return told

    def security_group(self) -> str:
        return self._name("sg")

    def key_pair(self) -> str:
        return self._name("key")

    def profile(self, *, has_role: bool = True) -> str:
        return self._name("profile") if has_role else "empty"

    def run(self, machines: int) -> None:
        self.fake.used_vcpus = (self.fake.used_vcpus or 0) + 2 * machines

    def balance(self, *targets: int) -> tuple[str, list[str]]:
        name = f"app/balancer-{next(NUMBERS)}/1"
        arns = [f"{ARN}/group-{next(NUMBERS)}/1" for _ in targets]
        self.fake.balancers[name] = (sum(targets), frozenset(arns))
        return name, arns

    def alarm(self, state: AlarmState) -> str:
        name = f"alarm-{next(NUMBERS)}"
        self.fake.alarm_states[name] = state
        return name

    def review(self) -> tuple[str, str]:
        name = f"slipway-{next(NUMBERS)}"
        self.fake.change_sets[f"{name}-fleets"] = (name,)
        return f"{name}-fleets", name

    def _name(self, kind: str) -> str:
        name = f"{kind}-{next(NUMBERS)}"
        self.fake.names.add(name)
        return name


class RegionTime(FakeClock):
    """The time of a simulated region."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def now(self) -> datetime:
        return self._client.local.region.clock.now()


class RegionAccount(Account):
    """A simulated region, asked by the adapter."""

    def __init__(self, client: Client) -> None:
        self.client = client
        session = AwsSession(Endpoint(REGION, client.local.endpoint, CredentialSource.LOCAL))
        self.facts = AwsFacts(session, RegionTime(client))

    def _api(self, service: str) -> Any:
        return self.client.local.client(service)

    def image(self, *, deprecate_at: datetime | None = None, is_protected: bool = False) -> str:
        ec2 = self._api("ec2")
        name = f"image-{next(NUMBERS)}"
        source = self.client.local.ami_id
        ami_id = str(ec2.copy_image(Name=name, SourceImageId=source, SourceRegion=REGION)["ImageId"])
        self.client.advance(90)
        if deprecate_at:
            ec2.enable_image_deprecation(ImageId=ami_id, DeprecateAt=deprecate_at)
        if is_protected:
            ec2.enable_image_deregistration_protection(ImageId=ami_id)
        return ami_id

    def subnet(self) -> SubnetFact:
        ec2 = self._api("ec2")
        number = next(NUMBERS)
        vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        made = ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.9.{number}.0/28", AvailabilityZone="us-east-1b")
        return SubnetFact(made["Subnet"]["SubnetId"], "us-east-1b", 11)

    def security_group(self) -> str:
        made = self._api("ec2").create_security_group(GroupName=f"group-{next(NUMBERS)}", Description="x")
        return str(made["GroupId"])

    def key_pair(self) -> str:
        return str(self._api("ec2").create_key_pair(KeyName=f"key-{next(NUMBERS)}")["KeyName"])

    def profile(self, *, has_role: bool = True) -> str:
        iam, name = self._api("iam"), f"profile-{next(NUMBERS)}"
        iam.create_instance_profile(InstanceProfileName=name, Path="/slipway/lab/")
        if has_role:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        return name

    def run(self, machines: int) -> None:
        ec2 = self._api("ec2")
        ec2.run_instances(
            ImageId=self.client.local.ami_id, InstanceType="t3.small", MinCount=machines, MaxCount=machines
        )
        self.client.advance(660)

    def balance(self, *targets: int) -> tuple[str, list[str]]:
        ec2, elbv2, number = self._api("ec2"), self._api("elbv2"), next(NUMBERS)
        subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        made = elbv2.create_load_balancer(
            Name=f"balancer-{number}", Subnets=[each["SubnetId"] for each in subnets[:2]]
        )["LoadBalancers"][0]
        arns = [self._target_group(subnets[0], count) for count in targets]
        for port, arn in enumerate(arns, 80):
            elbv2.create_listener(
                LoadBalancerArn=made["LoadBalancerArn"],
                Protocol="HTTP",
                Port=port,
                DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
            )
        return made["LoadBalancerArn"].partition(":loadbalancer/")[2], arns

    def _target_group(self, subnet: dict[str, Any], targets: int) -> str:
        elbv2, name = self._api("elbv2"), f"targets-{next(NUMBERS)}"
        made = elbv2.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=subnet["VpcId"])
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        found = self._api("ec2").run_instances(
            ImageId=self.client.local.ami_id,
            InstanceType="t3.small",
            MinCount=targets,
            MaxCount=targets,
            SubnetId=subnet["SubnetId"],
        )["Instances"]
        self.client.advance(60)
        elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": each["InstanceId"]} for each in found])
        return arn

    def alarm(self, state: AlarmState) -> str:
        cloudwatch, name = self._api("cloudwatch"), f"alarm-{next(NUMBERS)}"
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="lab",
            MetricName="errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state.value, StateReason="a test")
        return name

    def review(self) -> tuple[str, str]:
        cloudformation, name = self._api("cloudformation"), f"slipway-{next(NUMBERS)}"
        body = {"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}}
        stack = f"{name}-fleets"
        cloudformation.create_change_set(
            StackName=stack, ChangeSetName=name, ChangeSetType="CREATE", TemplateBody=json.dumps(body)
        )
        self.client.advance(30)
        return stack, name


@pytest.fixture(scope="module")
def region() -> Iterator[Client]:
    """Return a region that all tests of this module share."""
    yield from simulated()


@pytest.fixture(params=["fake", "region"])
def account(request: pytest.FixtureRequest) -> Account:
    if request.param == "fake":
        return FakeAccount()
    return RegionAccount(request.getfixturevalue("region"))


class TestFacts:
    def test_images_are_told_by_their_ids_and_missing_ones_left_out(self, account: Account) -> None:
        one, other = account.image(), account.image()
        found = account.facts.images([one, other, "ami-0ffffffffffffffff"])
        assert set(found) == {one, other}
        told = found[one]
        assert (told.ami_id, told.state, told.architecture, told.owner_id) == (
            one,
            "available",
            "x86_64",
            ACCOUNT,
        )
        assert (told.deprecated_at, told.is_protected, told.class_name) == (None, False, "")

    def test_a_deprecated_image_is_told_with_the_time(self, account: Account) -> None:
        # AWS takes times to come only, and rounds to minutes.
        at = datetime.fromisoformat("2031-05-01T12:30:00+00:00")
        ami_id = account.image(deprecate_at=at)
        assert account.facts.images([ami_id])[ami_id].deprecated_at == at

    def test_an_image_that_can_not_be_deregistered_is_protected(self, account: Account) -> None:
        ami_id = account.image(is_protected=True)
        assert account.facts.images([ami_id])[ami_id].is_protected

    def test_an_instance_type_is_told_with_what_it_runs(self, account: Account) -> None:
        told = account.facts.instance_type("t3.small")
        assert told is not None
        assert (told.name, told.architectures, told.vcpus) == ("t3.small", ("x86_64",), 2)
        assert account.facts.instance_type("t3.gigantic") is None

    def test_zones_that_offer_a_type_are_told(self, account: Account) -> None:
        assert {"us-east-1a", "us-east-1b"} <= account.facts.zones_offering("t3.small")
        assert account.facts.zones_offering("t3.gigantic") == frozenset()

    def test_the_quota_of_a_type_is_told_with_its_use(self, account: Account) -> None:
        # Whatever other tests have launched is measured by now.
        account.run(1)
        before = account.facts.vcpu_room("t3.small")
        assert before.quota_code == "L-1216C47A"
        assert before.used is not None
        account.run(4)
        after = account.facts.vcpu_room("t3.small")
        assert after.quota == before.quota > 0
        assert after.used == before.used + 8

    def test_subnets_are_told_with_their_free_addresses(self, account: Account) -> None:
        told = account.subnet()
        found = account.facts.subnets([told.subnet_id, "subnet-0ffffffffffffffff"])
        assert found == {told.subnet_id: told}

    def test_what_a_launch_names_is_there_or_not(self, account: Account) -> None:
        group = account.security_group()
        assert account.facts.security_groups([group, "sg-0ffffffffffffffff"]) == {group}
        assert account.facts.has_key_pair(account.key_pair())
        assert not account.facts.has_key_pair("nobody's")

    def test_an_instance_profile_counts_with_a_role_only(self, account: Account) -> None:
        assert account.facts.has_instance_profile(account.profile())
        assert not account.facts.has_instance_profile(account.profile(has_role=False))
        assert not account.facts.has_instance_profile("nobody's")

    def test_limits_of_targets_are_told(self, account: Account) -> None:
        limits = account.facts.target_limits()
        assert limits == TargetLimits(1_000, 1_000, 3_000)
        assert (limits.per_balancer("app/a/1"), limits.per_balancer("net/a/1")) == (1_000, 3_000)

    def test_targets_of_a_balancer_are_those_of_all_its_target_groups(self, account: Account) -> None:
        name, (arn, _) = account.balance(2, 1)
        account.balance(1)
        assert account.facts.balancer_targets([arn]) == {name: 3}

    def test_alarms_are_told_by_their_states(self, account: Account) -> None:
        quiet, loud = account.alarm(AlarmState.OK), account.alarm(AlarmState.ALARM)
        assert account.facts.alarms([quiet, loud, "nobody's"]) == {
            quiet: AlarmState.OK,
            loud: AlarmState.ALARM,
        }

    def test_change_sets_that_wait_are_told(self, account: Account) -> None:
        stack, name = account.review()
        assert account.facts.open_change_sets(stack) == (name,)
        assert account.facts.open_change_sets("slipway-nowhere-fleets") == ()


class TestAws:
    """What the region can't be brought to answer."""

    def test_a_quota_that_was_never_applied_is_the_default(self) -> None:
        client, asked = SESSION.client("service-quotas"), {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
        with Stubber(client) as stub:
            stub.add_client_error(
                "get_service_quota", "NoSuchResourceException", expected_params=asked, http_status_code=400
            )
            stub.add_response("get_aws_default_service_quota", {"Quota": {"Value": 5.0}}, asked)
            room = AwsFacts(SESSION, FakeClock()).vcpu_room("m5.large")
            stub.assert_no_pending_responses()
        assert (room.quota, room.used) == (5, None)

    def test_another_refusal_of_a_quota_is_an_error(self) -> None:
        with Stubber(SESSION.client("service-quotas")) as stub:
            stub.add_client_error("get_service_quota", "AccessDeniedException", http_status_code=400)
            with pytest.raises(AwsError, match="AccessDenied"):
                AwsFacts(SESSION, FakeClock()).vcpu_room("m5.large")
            stub.assert_no_pending_responses()

    def test_a_type_of_an_unknown_family_is_an_error(self) -> None:
        with pytest.raises(AwsError, match=r"no quota is known for mac1\.metal"):
            AwsFacts(SESSION, FakeClock()).vcpu_room("mac1.metal")

    @pytest.mark.parametrize(
        ("instance_type", "code"),
        [
            ("t3.small", "L-1216C47A"),
            ("im4gn.large", "L-1216C47A"),
            ("inf2.xlarge", "L-1945791B"),
            ("trn1.2xlarge", "L-2C3B7624"),
            ("vt1.3xlarge", "L-DB2E81BA"),
            ("u-6tb1.metal", "L-43DA4232"),
            ("hpc7g.4xlarge", "L-F7808C92"),
            ("mac1.metal", ""),
        ],
    )
    def test_types_share_a_quota_by_their_family(self, instance_type: str, code: str) -> None:
        assert quota_code(instance_type) == code

    def test_the_use_is_the_latest_of_the_last_minutes(self) -> None:
        clock = FakeClock()
        quota = {
            "Value": 64.0,
            "UsageMetric": {
                "MetricNamespace": "AWS/Usage",
                "MetricName": "ResourceCount",
                "MetricDimensions": {"Class": "Standard/OnDemand"},
                "MetricStatisticRecommendation": "Maximum",
            },
        }
        metric = {
            "Namespace": "AWS/Usage",
            "MetricName": "ResourceCount",
            "Dimensions": [{"Name": "Class", "Value": "Standard/OnDemand"}],
        }
        stat = {"Metric": metric, "Period": 300, "Stat": "Maximum"}
        asked = {
            "StartTime": clock.now() - timedelta(minutes=15),
            "EndTime": clock.now(),
            "ScanBy": "TimestampDescending",
            "MetricDataQueries": [{"Id": "used", "MetricStat": stat}],
        }
        told = {"MetricDataResults": [{"Id": "used", "Values": [40.0, 38.0]}]}
        with (
            Stubber(SESSION.client("service-quotas")) as quotas,
            Stubber(SESSION.client("cloudwatch")) as cloudwatch,
        ):
            quotas.add_response("get_service_quota", {"Quota": quota})
            cloudwatch.add_response("get_metric_data", told, asked)
            assert AwsFacts(SESSION, clock).vcpu_room("t3.small").used == 40
            cloudwatch.assert_no_pending_responses()

    def test_too_many_target_groups_are_not_counted(self) -> None:
        arns = [f"{ARN}/group-{number}/1" for number in range(21)]
        balancer = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/one/1"
        own = {"TargetGroups": [{"TargetGroupArn": arns[0], "LoadBalancerArns": [balancer]}]}
        every = {"TargetGroups": [{"TargetGroupArn": arn} for arn in arns]}
        with Stubber(SESSION.client("elbv2")) as stub:
            stub.add_response("describe_target_groups", own, {"TargetGroupArns": arns[:1]})
            stub.add_response("describe_target_groups", every, {"LoadBalancerArn": balancer})
            with pytest.raises(AwsError, match="21 target groups"):
                AwsFacts(SESSION, FakeClock()).balancer_targets(arns[:1])
            stub.assert_no_pending_responses()

    def test_limits_that_aws_does_not_tell_are_an_error(self) -> None:
        limits = {"Limits": [{"Name": "targets-per-target-group", "Max": "1000"}]}
        with Stubber(SESSION.client("elbv2")) as stub:
            stub.add_response("describe_account_limits", limits)
            with pytest.raises(AwsError, match="targets-per-application-load-balancer"):
                AwsFacts(SESSION, FakeClock()).target_limits()

    def test_another_refusal_of_change_sets_is_an_error(self) -> None:
        with Stubber(SESSION.client("cloudformation")) as stub:
            stub.add_client_error("list_change_sets", "AccessDenied")
            with pytest.raises(AwsError, match="AccessDenied"):
                AwsFacts(SESSION, FakeClock()).open_change_sets("slipway-lab-fleets")
