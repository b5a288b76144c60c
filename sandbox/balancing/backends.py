# SPDX-License-Identifier: Apache-2.0
"""Write target groups as HAProxy's backends, with their health checks."""

from __future__ import annotations

from hashlib import sha256

from sandbox.balancing.answers import error_page
from sandbox.balancing.shape import HealthCheck, Target, TargetGroup
from sandbox.balancing.words import quoted

CONNECT_TIMEOUT_S = 10
SPARE = "spare-"
_ALGORITHMS = {
    "round_robin": "roundrobin",
    "least_outstanding_requests": "leastconn",
    "weighted_random": "random",
}
_NO_CONNECTION = "{ srv_id -m found } !{ bc_err -m found }"


def backend(group: TargetGroup) -> list[str]:
    """Return the lines of a target group. One without targets has no server, and answers 503."""
    lines = [f"backend {group.name}", f"balance {_ALGORITHMS[group.algorithm]}"]
    if not group.targets:
        return lines
    if group.cookie_s is not None:
        lines.append(f"cookie AWSALB insert indirect nocache httponly maxlife {group.cookie_s}s")
    return [
        *lines,
        *_check(group.health_check),
        *_connection_errors(),
        *(_server(group, target) for target in group.targets),
        # A load balancer whose targets are all unhealthy tries them all the same.
        "option allbackups",
        *(f"server {SPARE}{target.name} {_place(group, target)} backup" for target in group.targets),
    ]


def _check(check: HealthCheck) -> list[str]:
    headers = "hdr Host '%[bc_dst]:%[bc_dst_port]' hdr User-Agent ELB-HealthChecker/2.0"
    return [
        f"timeout check {check.timeout_s}s",
        "option httpchk",
        f"http-check send meth GET uri {quoted(check.path)} ver HTTP/1.1 {headers}",
        f"http-check expect status {check.codes}",
    ]


def _connection_errors() -> list[str]:
    """Answer 502 where a target refused the connection and 504 where it said nothing; HAProxy has 503.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
    """
    took = f"{{ date(0,ms),sub(txn.began) -m int ge {CONNECT_TIMEOUT_S * 1000} }}"
    return [
        "http-request set-var(txn.began) date(0,ms)",
        error_page(503, 502),
        f"http-after-response set-status 504 if {_NO_CONNECTION} {took}",
        f"http-after-response set-status 502 if {_NO_CONNECTION} !{took}",
    ]


def _server(group: TargetGroup, target: Target) -> str:
    check = group.health_check
    words = [
        f"server {target.name} {_place(group, target)} check inter {check.interval_s}s",
        f"rise {check.healthy_threshold} fall {check.unhealthy_threshold}",
    ]
    if check.port is not None and check.port != target.port:
        words.append(f"port {check.port}")
    if check.protocol != group.protocol:
        words.append("check-ssl verify none" if check.protocol == "HTTPS" else "no-check-ssl")
    if group.slow_start_s:
        words.append(f"slowstart {group.slow_start_s}s")
    if group.cookie_s is not None:
        words.append(f"cookie {sha256(target.name.encode()).hexdigest()[:16]}")
    return " ".join(words)


def _place(group: TargetGroup, target: Target) -> str:
    # AWS's balancers encrypt to targets without asking who they are.
    encryption = " ssl verify none" if group.protocol == "HTTPS" else ""
    return f"{target.address}:{target.port}{encryption}"
