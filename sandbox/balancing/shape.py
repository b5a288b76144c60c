# SPDX-License-Identifier: Apache-2.0
"""What a load balancer is, as plain values: all that its configuration is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """A registered target that may be given requests. `instance_id` is None for an address.

    `serial` tells one registration from another: what is known of the first is not true of the second.
    """

    target_id: str
    port: int
    address: str
    instance_id: str | None = None
    serial: int = 1

    @property
    def name(self) -> str:
        """The target's name in configurations and statistics."""
        return target_name(self.target_id, self.port, self.serial)


def target_name(target_id: str, port: int, serial: int) -> str:
    """Return how configurations and statistics name a target."""
    return f"{target_id}_{port}_{serial}"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How targets are checked; `port` None is the port of the target's traffic."""

    protocol: str = "HTTP"
    path: str = "/"
    port: int | None = None
    codes: str = "200"
    interval_s: int = 30
    timeout_s: int = 5
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """A target group. `cookie_s` is how long a client stays with its target; None: it does not."""

    arn: str
    name: str
    protocol: str
    health_check: HealthCheck
    targets: tuple[Target, ...] = ()
    algorithm: str = "round_robin"
    slow_start_s: int = 0
    cookie_s: int | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """Give the request to a target of one of the groups, by weight: (ARN, weight)."""

    groups: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the client elsewhere; each part may name #{protocol}, #{host}, #{port}, #{path} and #{query}."""

    code: int
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"


@dataclass(frozen=True, slots=True)
class FixedResponse:
    """Answer without a target."""

    code: int
    content_type: str = "text/plain"
    body: str = ""


Action = Forward | Redirect | FixedResponse


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule: any of `values` fulfils it.

    `values` of query-string are "key=value", of which the key may be "*"; `header` is http-header's name.
    """

    field: str
    values: tuple[str, ...]
    header: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions together choose the action; the default rule has none."""

    name: str
    conditions: tuple[Condition, ...]
    action: Action


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, its chain and its key in one PEM; `digest` names the content."""

    digest: str
    pem: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener with its rules in the order of their priority, the default rule last."""

    port: int
    protocol: str
    rules: tuple[Rule, ...]
    ssl_policy: str = ""
    certificates: tuple[Certificate, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Balancer:
    """A load balancer with everything that it refers to. `full_name` is app/<name>/<id>."""

    arn: str
    full_name: str
    attributes: Mapping[str, str]
    listeners: tuple[Listener, ...]
    groups: tuple[TargetGroup, ...]
