# SPDX-License-Identifier: Apache-2.0
"""The database, the balancer and the audit of networks: what the configuration says and what is always so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.config.network import Capacity
from stacks import audit, balancer, database
from stacks.balancer import rule_priority
from tests.unit.stacks.network_templates import (
    NETWORKS,
    changed,
    inputs,
    of_type,
    parsed,
    resources,
)

ARN = "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_cluster_is_encrypted_kept_and_open_to_tls_only(name: str) -> None:
    (cluster,) = resources(name, "database", "AWS::RDS::DBCluster").values()
    properties, wanted = cluster["Properties"], inputs(name).network.database
    assert wanted is not None
    assert (cluster["DeletionPolicy"], cluster["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    assert {
        "StorageEncrypted": True,
        "EnableIAMDatabaseAuthentication": True,
        "ManageMasterUserPassword": True,
        "CopyTagsToSnapshot": True,
        "DeletionProtection": wanted.deletion_protection,
        "BackupRetentionPeriod": wanted.backup_days,
        "DatabaseName": wanted.name,
        "EnableCloudwatchLogsExports": ["audit", "error", "slowquery"],
    }.items() <= properties.items()
    assert "MasterUserPassword" not in properties
    (parameters,) = resources(name, "database", "AWS::RDS::DBClusterParameterGroup").values()
    assert {
        "require_secure_transport": "ON",
        "server_audit_logging": "1",
        "server_audit_logs_upload": "1",
    }.items() <= parameters["Properties"]["Parameters"].items()


@pytest.mark.parametrize("name", NETWORKS)
def test_members_are_those_of_the_file_and_nobody_is_the_writer(name: str) -> None:
    wanted = inputs(name).network.database
    assert wanted is not None
    members = [each["Properties"] for each in resources(name, "database", "AWS::RDS::DBInstance").values()]
    assert {
        (each["DBInstanceIdentifier"], each["DBInstanceClass"], each["PromotionTier"]) for each in members
    } == {(f"slipway-{name}-{one.id}", one.db_class, one.tier) for one in wanted.members}
    assert {each["PubliclyAccessible"] for each in members} == {False}


def test_another_order_of_members_changes_nothing() -> None:
    members = inputs("production").network.database.members  # type: ignore[union-attr]
    wanted = inputs("production").network.database.model_copy(  # type: ignore[union-attr]
        update={"members": members[::-1]}
    )
    turned = database.synthesise(changed("production", database=wanted))
    assert turned.body() == database.synthesise(inputs("production")).body()


def test_serverless_members_have_limits() -> None:
    (cluster,) = resources("nonproduction", "database", "AWS::RDS::DBCluster").values()
    capacity = inputs("nonproduction").network.database.serverless  # type: ignore[union-attr]
    assert capacity == Capacity(min_capacity=0.5, max_capacity=4.0)
    assert cluster["Properties"]["ServerlessV2ScalingConfiguration"] == {
        "MinCapacity": 0.5,
        "MaxCapacity": 4.0,
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_the_balancer_speaks_new_tls_and_sends_everybody_else_there(name: str) -> None:
    listeners = resources(name, "balancer", "AWS::ElasticLoadBalancingV2::Listener")
    https, http = listeners["Listener"]["Properties"], listeners["RedirectListener"]["Properties"]
    assert (https["Port"], https["SslPolicy"]) == (443, "ELBSecurityPolicy-TLS13-1-2-Res-2021-06")
    assert https["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"] == "404"
    redirect = http["DefaultActions"][0]["RedirectConfig"]
    assert redirect == {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_environment_is_known_by_its_host(name: str) -> None:
    rules = resources(name, "balancer", "AWS::ElasticLoadBalancingV2::ListenerRule").values()
    found = {
        (
            rule["Properties"]["Conditions"][0]["HostHeaderConfig"]["Values"][0],
            rule["Properties"]["Actions"][0]["TargetGroupArn"]["Ref"],
        )
        for rule in rules
    }
    environments = inputs(name).environments.values()
    assert found == {(each.host, f"{each.name.capitalize()}TargetGroup") for each in environments}
    (certificate,) = resources(name, "balancer", "AWS::CertificateManager::Certificate").values()
    assert {each.host for each in environments} <= set(certificate["Properties"]["SubjectAlternativeNames"])


def test_rules_keep_their_places_and_never_meet() -> None:
    """The numbers are written out: a change of any would move a rule that is in use."""
    names = ("dev", "test", "qa", "production", "sandbox")
    priorities = {name: rule_priority(name) for name in names}
    assert priorities == {"dev": 11014, "test": 33997, "qa": 17175, "production": 20145, "sandbox": 6904}


def test_a_target_group_drains_as_its_fleet_says() -> None:
    (group,) = resources("production", "balancer", "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    fleet = inputs("production").environments["production"].fleets["api"]
    assert group["Properties"]["HealthCheckPath"] == fleet.health_path
    assert group["Properties"]["TargetGroupAttributes"] == [
        {"Key": "deregistration_delay.timeout_seconds", "Value": str(fleet.drain_s)}
    ]


@pytest.mark.parametrize(("interval_s", "timeout_s"), [(5, 4), (6, 5), (30, 5)])
def test_machines_are_asked_as_often_as_their_fleet_says(interval_s: int, timeout_s: int) -> None:
    whole = inputs("sandbox")
    environment = whole.environments["sandbox"]
    api = environment.fleets["api"].model_copy(update={"health_interval_s": interval_s})
    changed_one = environment.model_copy(update={"fleets": {**environment.fleets, "api": api}})
    document = parsed(balancer.synthesise(replace(whole, environments={"sandbox": changed_one})))
    (group,) = of_type(document, "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    asked = (
        group["Properties"]["HealthCheckIntervalSeconds"],
        group["Properties"]["HealthCheckTimeoutSeconds"],
    )
    assert asked == (interval_s, timeout_s)


def test_an_environment_without_balanced_fleets_has_no_place_behind_the_balancer() -> None:
    whole = inputs("nonproduction")
    dev = whole.environments["dev"].model_copy(update={"fleets": {}})
    document = parsed(balancer.synthesise(replace(whole, environments={**whole.environments, "dev": dev})))
    groups = of_type(document, "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert sorted(groups) == ["QaTargetGroup", "TestTargetGroup"]
    assert not [name for name in document["Outputs"] if name.startswith("Dev")]


def test_a_certificate_that_is_there_is_taken() -> None:
    settings = inputs("production").network.balancer.model_copy(update={"certificate_arn": ARN})
    document = parsed(balancer.synthesise(changed("production", balancer=settings)))
    assert of_type(document, "AWS::CertificateManager::Certificate") == {}
    assert document["Resources"]["Listener"]["Properties"]["Certificates"] == [{"CertificateArn": ARN}]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_firewall_limits_requests_and_logs_no_secret(name: str) -> None:
    (firewall,) = resources(name, "balancer", "AWS::WAFv2::WebACL").values()
    rules = {rule["Priority"]: rule for rule in firewall["Properties"]["Rules"]}
    assert len(rules) == len(firewall["Properties"]["Rules"])
    limit = inputs(name).network.balancer.requests_per_address
    assert rules[0]["Statement"]["RateBasedStatement"]["Limit"] == limit
    (log,) = resources(name, "balancer", "AWS::WAFv2::LoggingConfiguration").values()
    redacted = {each["SingleHeader"]["Name"] for each in log["Properties"]["RedactedFields"]}
    assert redacted == {"authorization", "cookie"}
    (group,) = resources(name, "balancer", "AWS::Logs::LogGroup").values()
    (destination,) = log["Properties"]["LogDestinationConfigs"]
    assert destination.endswith(f":log-group:{group['Properties']['LogGroupName']}")


def test_the_account_s_audit_is_there_once_and_alarms_always() -> None:
    with_audit = parsed(audit.synthesise(inputs("production")))
    without = parsed(audit.synthesise(changed("production", audit=False)))
    alone = {
        "AWS::CloudTrail::Trail",
        "AWS::Config::ConfigRule",
        "AWS::Config::ConfigurationRecorder",
        "AWS::Config::DeliveryChannel",
        "AWS::GuardDuty::Detector",
        "AWS::Backup::BackupVault",
        "AWS::Backup::BackupPlan",
        "AWS::Backup::BackupSelection",
        "AWS::IAM::Role",
    }
    left = {each["Type"] for each in without["Resources"].values()}
    assert {each["Type"] for each in with_audit["Resources"].values()} - left == alone
    assert of_type(with_audit, "AWS::CloudWatch::Alarm") == of_type(without, "AWS::CloudWatch::Alarm")
    assert with_audit["Outputs"] == without["Outputs"]


def test_the_trail_sees_every_region_and_proves_its_files() -> None:
    (trail,) = resources("production", "audit", "AWS::CloudTrail::Trail").values()
    assert {
        "IsLogging": True,
        "IsMultiRegionTrail": True,
        "EnableLogFileValidation": True,
        "IncludeGlobalServiceEvents": True,
    }.items() <= trail["Properties"].items()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_alarm_is_told_to_the_topic(name: str) -> None:
    alarms = resources(name, "audit", "AWS::CloudWatch::Alarm")
    assert alarms
    for alarm in alarms.values():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "AlertsTopic"}]
        assert alarm["Properties"]["AlarmDescription"]


def test_a_lone_member_has_nobody_to_lag_behind() -> None:
    assert "DatabaseLag" in resources("production", "audit")
    assert "DatabaseLag" not in resources("nonproduction", "audit")


def test_who_gets_an_environment_s_alarms_gets_its_network_s() -> None:
    mails = {
        each["Properties"]["Endpoint"]
        for each in resources("production", "audit", "AWS::SNS::Subscription").values()
    }
    assert mails == set(inputs("production").environments["production"].alert_emails)
