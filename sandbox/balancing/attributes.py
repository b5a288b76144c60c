# SPDX-License-Identifier: Apache-2.0
"""Attributes of balancers, target groups and listeners: their defaults, and the values that are acted upon.

A value that would change nothing here is refused by name, but for two that every good template has:
access logs are asked for and not written, and there is no web firewall to fail. Names and defaults are of
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html,
API_TargetGroupAttribute.html and API_ListenerAttribute.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sandbox.api.errors import AwsError, unsupported

Check = Callable[[str], bool]

_RESPONSE = "routing.http.response"
RESPONSE_HEADERS = {
    f"{_RESPONSE}.{key}.header_value": header
    for key, header in {
        "strict_transport_security": "Strict-Transport-Security",
        "access_control_allow_origin": "Access-Control-Allow-Origin",
        "access_control_allow_methods": "Access-Control-Allow-Methods",
        "access_control_allow_headers": "Access-Control-Allow-Headers",
        "access_control_allow_credentials": "Access-Control-Allow-Credentials",
        "access_control_expose_headers": "Access-Control-Expose-Headers",
        "access_control_max_age": "Access-Control-Max-Age",
        "content_security_policy": "Content-Security-Policy",
        "x_content_type_options": "X-Content-Type-Options",
        "x_frame_options": "X-Frame-Options",
    }.items()
}


def _one_of(*values: str) -> Check:
    return lambda value: value in values


def _number(low: int, high: int) -> Check:
    return lambda value: bool(re.fullmatch(r"\d{1,6}", value)) and low <= int(value) <= high


def _anything(value: str) -> bool:
    del value
    return True


_SWITCH = _one_of("true", "false")
_OFF = _one_of("false")

# Per attribute its default, what AWS takes, and what is acted upon here.
Known = Mapping[str, tuple[str, Check, Check]]

BALANCER: Known = {
    "access_logs.s3.enabled": ("false", _SWITCH, _SWITCH),
    "access_logs.s3.bucket": ("", _anything, _anything),
    "access_logs.s3.prefix": ("", _anything, _anything),
    "connection_logs.s3.enabled": ("false", _SWITCH, _OFF),
    "connection_logs.s3.bucket": ("", _anything, _anything),
    "connection_logs.s3.prefix": ("", _anything, _anything),
    "health_check_logs.s3.enabled": ("false", _SWITCH, _OFF),
    "health_check_logs.s3.bucket": ("", _anything, _anything),
    "health_check_logs.s3.prefix": ("", _anything, _anything),
    "client_keep_alive.seconds": ("3600", _number(60, 604800), _one_of("3600")),
    "deletion_protection.enabled": ("false", _SWITCH, _SWITCH),
    "idle_timeout.timeout_seconds": ("60", _number(1, 4000), _number(1, 4000)),
    "ipv6.deny_all_igw_traffic": ("false", _SWITCH, _OFF),
    "load_balancing.cross_zone.enabled": ("true", _one_of("true"), _one_of("true")),
    # HAProxy refuses every ambiguous request, so it is never laxer than the strictest mode.
    "routing.http.desync_mitigation_mode": (
        "defensive",
        _one_of("defensive", "monitor", "strictest"),
        _one_of("defensive", "strictest"),
    ),
    "routing.http.drop_invalid_header_fields.enabled": ("false", _SWITCH, _SWITCH),
    "routing.http.preserve_host_header.enabled": ("false", _SWITCH, _SWITCH),
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": ("false", _SWITCH, _SWITCH),
    "routing.http.xff_client_port.enabled": ("false", _SWITCH, _SWITCH),
    "routing.http.xff_header_processing.mode": (
        "append",
        _one_of("append", "preserve", "remove"),
        _one_of("append", "preserve", "remove"),
    ),
    "routing.http2.enabled": ("true", _SWITCH, _SWITCH),
    "waf.fail_open.enabled": ("false", _SWITCH, _SWITCH),
    "zonal_shift.config.enabled": ("false", _SWITCH, _OFF),
}
_ALGORITHMS = _one_of("round_robin", "least_outstanding_requests", "weighted_random")
_HEALTHY_MINIMA = {
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
TARGET_GROUP: Known = {
    "deregistration_delay.timeout_seconds": ("300", _number(0, 3600), _number(0, 3600)),
    "stickiness.enabled": ("false", _SWITCH, _SWITCH),
    "stickiness.type": ("lb_cookie", _one_of("lb_cookie", "app_cookie"), _one_of("lb_cookie")),
    "stickiness.lb_cookie.duration_seconds": ("86400", _number(1, 604800), _number(1, 604800)),
    "stickiness.app_cookie.cookie_name": ("", _anything, _one_of("")),
    "stickiness.app_cookie.duration_seconds": ("86400", _number(1, 604800), _number(1, 604800)),
    "load_balancing.algorithm.type": ("round_robin", _ALGORITHMS, _ALGORITHMS),
    "load_balancing.algorithm.anomaly_mitigation": ("off", _one_of("on", "off"), _one_of("off")),
    "load_balancing.cross_zone.enabled": (
        "use_load_balancer_configuration",
        _one_of("true", "false", "use_load_balancer_configuration"),
        _one_of("true", "use_load_balancer_configuration"),
    ),
    "slow_start.duration_seconds": (
        "0",
        lambda value: value == "0" or _number(30, 900)(value),
        _number(0, 900),
    ),
    **{name: (value, _anything, _one_of(value)) for name, value in _HEALTHY_MINIMA.items()},
}
LISTENER: Known = {
    f"{_RESPONSE}.server.enabled": ("true", _SWITCH, _SWITCH),
    **{name: ("", _anything, _anything) for name in RESPONSE_HEADERS},
}


def defaults(known: Known) -> dict[str, str]:
    """Return the attributes of something new."""
    return {name: default for name, (default, _, _) in known.items()}


def check(known: Known, given: Mapping[str, str], *, operation: str) -> None:
    """Refuse what AWS has not, and by name what AWS has and this region can't do.

    Raises:
        AwsError: ValidationError or UnsupportedOperation.
    """
    for name, value in given.items():
        if name not in known:
            raise AwsError("ValidationError", f"Attribute key '{name}' is not recognized")
        _, is_valid, is_supported = known[name]
        if not is_valid(value):
            raise AwsError("ValidationError", f"The value '{value}' of attribute '{name}' is not valid")
        if not is_supported(value):
            raise unsupported(f"elbv2.{operation} with {name} = {value}")


def is_on(attributes: Mapping[str, str], name: str, *, default: str = "false") -> bool:
    """Return whether a switch is on."""
    return attributes.get(name, default) == "true"


def idle_timeout_s(attributes: Mapping[str, str]) -> int:
    """Return how long a connection may be silent."""
    return int(attributes.get("idle_timeout.timeout_seconds", "60"))
