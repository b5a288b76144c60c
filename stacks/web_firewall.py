# SPDX-License-Identifier: Apache-2.0
"""The firewall for web requests in front of the balancer: AWS's managed rules and a limit on requests."""

from __future__ import annotations

from typing import Any

from troposphere import GetAtt, Template
from troposphere.wafv2 import (
    AllowAction,
    BlockAction,
    CountAction,
    DefaultAction,
    LoggingConfiguration,
    LoggingConfigurationFieldToMatch,
    ManagedRuleGroupStatement,
    OverrideAction,
    RateBasedStatement,
    RuleAction,
    RuleActionOverride,
    SingleHeader,
    Statement,
    VisibilityConfig,
    WebACL,
    WebACLAssociation,
    WebACLRule,
)

from stacks.inputs import NetworkInputs
from stacks.parts import add_log_group
from stacks.stack import NetworkStack, output

# In the order in which requests meet them, the cheapest first.
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-list.html
MANAGED = (
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesSQLiRuleSet",
)
COMMON = "AWSManagedRulesCommonRuleSet"
# It refuses bodies above 8 KiB, which every photo is.
ONLY_COUNTED = "SizeRestrictions_BODY"
RATE_WINDOW_S = 300
SECRET_HEADERS = ("authorization", "cookie")


def add(template: Template, inputs: NetworkInputs, *, balancer_arn: Any) -> None:
    """Add the firewall, put it in front of the balancer, and log what it sees without anybody's secrets."""
    limit = inputs.network.balancer.requests_per_address
    rules = [_managed(name, priority) for priority, name in enumerate(MANAGED, start=1)]
    template.add_resource(
        WebACL(
            "WebFirewall",
            Scope="REGIONAL",
            DefaultAction=DefaultAction(Allow=AllowAction()),
            Rules=[_rate(limit), *rules],
            VisibilityConfig=_visible("WebFirewall"),
        )
    )
    template.add_resource(
        WebACLAssociation(
            "WebFirewallAssociation", ResourceArn=balancer_arn, WebACLArn=GetAtt("WebFirewall", "Arn")
        )
    )
    _add_log(template, inputs)


def _add_log(template: Template, inputs: NetworkInputs) -> None:
    # WAF writes to groups whose names begin so, and to no other.
    # https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
    name = f"aws-waf-logs-slipway-{inputs.name}"
    key_arn = output(inputs.name, NetworkStack.SECURITY, "LogsKeyArn")
    group = add_log_group(
        template, "WebFirewallLogGroup", name=name, days=inputs.network.log_days, key_arn=key_arn
    )
    # The group's own Arn attribute ends in `:*`, which is refused here.
    arn = f"arn:aws:logs:{inputs.region}:{inputs.account_id}:log-group:{name}"
    template.add_resource(
        LoggingConfiguration(
            "WebFirewallLog",
            ResourceArn=GetAtt("WebFirewall", "Arn"),
            LogDestinationConfigs=[arn],
            RedactedFields=[
                LoggingConfigurationFieldToMatch(SingleHeader=SingleHeader(Name=header))
                for header in SECRET_HEADERS
            ],
            DependsOn=[group.title],
        )
    )


def _rate(limit: int) -> WebACLRule:
    statement = RateBasedStatement(AggregateKeyType="IP", Limit=limit, EvaluationWindowSec=RATE_WINDOW_S)
    return WebACLRule(
        Name="Rate",
        Priority=0,
        Action=RuleAction(Block=BlockAction()),
        Statement=Statement(RateBasedStatement=statement),
        VisibilityConfig=_visible("Rate"),
    )


def _managed(name: str, priority: int) -> WebACLRule:
    overrides = [RuleActionOverride(Name=ONLY_COUNTED, ActionToUse=RuleAction(Count=CountAction()))]
    options = {"RuleActionOverrides": overrides} if name == COMMON else {}
    statement = ManagedRuleGroupStatement(VendorName="AWS", Name=name, **options)
    return WebACLRule(
        Name=name,
        Priority=priority,
        OverrideAction=OverrideAction(**{"None": {}}),
        Statement=Statement(ManagedRuleGroupStatement=statement),
        VisibilityConfig=_visible(name),
    )


def _visible(metric: str) -> VisibilityConfig:
    return VisibilityConfig(CloudWatchMetricsEnabled=True, SampledRequestsEnabled=True, MetricName=metric)
