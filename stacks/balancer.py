# SPDX-License-Identifier: Apache-2.0
"""The load balancer of a network, shared by its environments, each known by its host name.

TLS ends here, and a firewall for web requests stands in front. Any other name is answered with 404.
"""

from __future__ import annotations

import zlib
from typing import Any

from troposphere import GetAtt, Ref, Template, certificatemanager
from troposphere.elasticloadbalancingv2 import (
    Action,
    Certificate,
    Condition,
    FixedResponseConfig,
    HostHeaderConfig,
    Listener,
    ListenerRule,
    ListenerRuleAction,
    LoadBalancer,
    LoadBalancerAttributes,
    Matcher,
    RedirectConfig,
    TargetGroup,
    TargetGroupAttribute,
)

from orchestrator.config.fleets import Fleet
from orchestrator.config.models import Environment
from stacks import web_firewall
from stacks.inputs import NetworkInputs
from stacks.network_acls import HTTP, HTTPS
from stacks.network_logs import BALANCER_PREFIX
from stacks.parts import add_outputs
from stacks.security_groups import BALANCER
from stacks.stack import NetworkStack, Stack, list_output, logical, output, stack_name

# TLS 1.3, and of 1.2 only suites with forward secrecy and AEAD.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
HIGHEST_PRIORITY = 50_000
LONGEST_HEALTH_TIMEOUT_S, HEALTHY_AFTER, UNHEALTHY_AFTER = 5, 2, 3


def synthesise(inputs: NetworkInputs) -> Stack:
    """Return the network's balancer stack.

    Raises:
        ValueError: The network has no domain, so there is no name to have a certificate for.
    """
    if inputs.network.domain is None:
        raise ValueError(f"{inputs.name} has no domain, so it can have no balancer")
    template = Template(f"The load balancer of the network {inputs.name}.")
    template.add_resource(_balancer(inputs))
    _add_listeners(template, certificate_arn=_certificate_arn(template, inputs))
    outputs = {
        "BalancerArn": Ref("Balancer"),
        "BalancerFullName": GetAtt("Balancer", "LoadBalancerFullName"),
        "BalancerDnsName": GetAtt("Balancer", "DNSName"),
        "ListenerArn": Ref("Listener"),
    }
    for environment in sorted(inputs.environments.values(), key=lambda each: each.name):
        outputs |= _add_environment(template, inputs, environment)
    web_firewall.add(template, inputs, balancer_arn=Ref("Balancer"))
    add_outputs(template, outputs)
    owner = inputs.name
    needed = (NetworkStack.NETWORK, NetworkStack.SECURITY)
    return Stack(NetworkStack.BALANCER, owner, template, tuple(stack_name(owner, kind) for kind in needed))


def target_group(environment: str) -> str:
    """Return the logical id of an environment's target group."""
    return f"{logical(environment)}TargetGroup"


def rule_priority(environment: str) -> int:
    """Return the place of an environment's rule, which no other environment's coming or going changes."""
    return zlib.crc32(environment.encode()) % HIGHEST_PRIORITY + 1


def _balancer(inputs: NetworkInputs) -> LoadBalancer:
    settings = inputs.network.balancer
    attributes = {
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": output(inputs.name, NetworkStack.SECURITY, "LogsBucketName"),
        "access_logs.s3.prefix": BALANCER_PREFIX,
        "deletion_protection.enabled": str(settings.deletion_protection).lower(),
        "idle_timeout.timeout_seconds": str(settings.idle_timeout_s),
        "routing.http.desync_mitigation_mode": "strictest",
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "routing.http2.enabled": "true",
    }
    return LoadBalancer(
        "Balancer",
        Type="application",
        Scheme="internet-facing",
        IpAddressType="ipv4",
        Subnets=list_output(inputs.name, NetworkStack.NETWORK, "PublicSubnets"),
        SecurityGroups=[output(inputs.name, NetworkStack.SECURITY, BALANCER)],
        LoadBalancerAttributes=[
            LoadBalancerAttributes(Key=key, Value=value) for key, value in attributes.items()
        ],
    )


def _certificate_arn(template: Template, inputs: NetworkInputs) -> Any:
    if inputs.network.balancer.certificate_arn:
        return inputs.network.balancer.certificate_arn
    # Names, not a wildcard: a stolen key is good for nothing else below the domain.
    hosts = {environment.host for environment in inputs.environments.values() if environment.host}
    certificate = certificatemanager.Certificate(
        "Certificate",
        DomainName=inputs.network.domain,
        SubjectAlternativeNames=sorted(hosts),
        ValidationMethod="DNS",
    )
    return Ref(template.add_resource(certificate))


def _add_listeners(template: Template, *, certificate_arn: Any) -> None:
    unknown = FixedResponseConfig(StatusCode="404", ContentType="text/plain", MessageBody="No such host.\n")
    template.add_resource(
        Listener(
            "Listener",
            LoadBalancerArn=Ref("Balancer"),
            Port=HTTPS,
            Protocol="HTTPS",
            SslPolicy=TLS_POLICY,
            Certificates=[Certificate(CertificateArn=certificate_arn)],
            DefaultActions=[Action(Type="fixed-response", FixedResponseConfig=unknown)],
        )
    )
    to_tls = RedirectConfig(Protocol="HTTPS", Port=str(HTTPS), StatusCode="HTTP_301")
    template.add_resource(
        Listener(
            "RedirectListener",
            LoadBalancerArn=Ref("Balancer"),
            Port=HTTP,
            Protocol="HTTP",
            DefaultActions=[Action(Type="redirect", RedirectConfig=to_tls)],
        )
    )


def _add_environment(
    template: Template, inputs: NetworkInputs, environment: Environment
) -> dict[str, GetAtt | Ref]:
    balanced = [fleet for fleet in environment.fleets.values() if fleet.is_balanced]
    if not balanced:
        return {}
    title = target_group(environment.name)
    template.add_resource(_target_group(inputs, title, balanced[0]))
    template.add_resource(
        ListenerRule(
            f"{logical(environment.name)}Rule",
            ListenerArn=Ref("Listener"),
            Priority=rule_priority(environment.name),
            Conditions=[
                Condition(Field="host-header", HostHeaderConfig=HostHeaderConfig(Values=[environment.host]))
            ],
            Actions=[ListenerRuleAction(Type="forward", TargetGroupArn=Ref(title))],
        )
    )
    return {f"{title}Arn": Ref(title), f"{title}FullName": GetAtt(title, "TargetGroupFullName")}


def _target_group(inputs: NetworkInputs, title: str, fleet: Fleet) -> TargetGroup:
    return TargetGroup(
        title,
        VpcId=output(inputs.name, NetworkStack.NETWORK, "VpcId"),
        TargetType="instance",
        Protocol="HTTP",
        Port=HTTP,
        HealthCheckProtocol="HTTP",
        HealthCheckPath=fleet.health_path,
        HealthCheckIntervalSeconds=fleet.health_interval_s,
        # An answer has to come before the next question.
        HealthCheckTimeoutSeconds=min(LONGEST_HEALTH_TIMEOUT_S, fleet.health_interval_s - 1),
        HealthyThresholdCount=HEALTHY_AFTER,
        UnhealthyThresholdCount=UNHEALTHY_AFTER,
        Matcher=Matcher(HttpCode="200"),
        TargetGroupAttributes=[
            TargetGroupAttribute(Key="deregistration_delay.timeout_seconds", Value=str(fleet.drain_s))
        ],
    )
