# SPDX-License-Identifier: Apache-2.0
"""Correct moto's listeners, as `balancer_corrections` does its balancers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.elbv2 import exceptions
from moto.elbv2.models import ELBv2Backend, FakeListener

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches
from sandbox.balancing import attributes, tls
from sandbox.balancing.actions import check_actions, refresh

_DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    own = {
        "create_listener": _create_listener,
        "modify_listener": _modify_listener,
        "delete_listener": _delete_listener,
        "modify_listener_attributes": _modify_listener_attributes,
    }
    for name, make in own.items():
        patches.replace(ELBv2Backend, name, make(getattr(ELBv2Backend, name)))
    patches.replace(FakeListener, "rules", property(_rules_in_order))


def _create_listener(original: Callable[..., Any]) -> Callable[..., Any]:
    def create(
        backend: Any,
        load_balancer_arn: str,
        protocol: str,
        port: Any,
        ssl_policy: str,
        certificate: str | None,
        actions: Any,
        **options: Any,
    ) -> FakeListener:
        """Refuse a port that is taken, a protocol's missing parts, and actions that do not exist here."""
        record = backend.load_balancers.get(load_balancer_arn)
        if record is None:
            raise exceptions.LoadBalancerNotFoundError()
        if any(int(each.port) == int(port) for each in record.listeners.values()):
            raise exceptions.DuplicateListenerError()
        check_actions(backend, actions, load_balancer_arn=load_balancer_arn)
        _check_protocol(backend, protocol, [certificate] if certificate else [], ssl_policy)
        listener: FakeListener = original(
            backend, load_balancer_arn, protocol, port, ssl_policy, certificate, actions, **options
        )
        _settle_listener(listener)
        listener.attributes = attributes.defaults(attributes.LISTENER)
        refresh(backend)
        return listener

    return create


def _modify_listener(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify(
        backend: Any, arn: str, port: Any, protocol: Any, ssl_policy: Any, certificates: Any, actions: Any
    ) -> FakeListener:
        """Check the listener as it will be before changing it."""
        listener = backend.describe_listeners(None, [arn])[0]
        record = backend.load_balancers[listener.load_balancer_arn]
        others = [each for each in record.listeners.values() if each is not listener]
        if port is not None and any(int(each.port) == int(port) for each in others):
            raise exceptions.DuplicateListenerError()
        if actions:
            check_actions(backend, actions, load_balancer_arn=listener.load_balancer_arn)
        given = [each["CertificateArn"] for each in certificates or ()]
        kept = given[:1] or ([listener.certificate] if listener.certificate else [])
        after = protocol or listener.protocol
        _check_protocol(backend, after, kept, ssl_policy or listener.ssl_policy or _DEFAULT_POLICY)
        extra = [] if after == "HTTP" else [each for each in listener.certificates[1:] if each not in given]
        original(backend, arn, port, protocol, ssl_policy, certificates or [], actions or [])
        listener.certificates = [*kept, *extra]
        listener.certificate = kept[0] if kept else None
        _settle_listener(listener)
        refresh(backend)
        return listener  # type: ignore[no-any-return]

    return modify


def _settle_listener(listener: Any) -> None:
    """Show a policy and certificates on HTTPS listeners only, and a number as the port."""
    listener.port = int(listener.port)
    if listener.protocol == "HTTPS":
        listener.ssl_policy = listener.ssl_policy or _DEFAULT_POLICY
    else:
        listener.ssl_policy, listener.certificate, listener.certificates = None, None, []


def _check_protocol(backend: Any, protocol: str, certificates: list[str], ssl_policy: str) -> None:
    if protocol != "HTTPS":
        return
    if not certificates:
        raise AwsError("ValidationError", "A certificate must be specified for HTTPS listeners")
    for arn in certificates:
        if not arn.startswith("arn:aws:acm:") or not backend._certificate_exists(certificate_arn=arn):
            raise AwsError("CertificateNotFound", f"Certificate '{arn}' not found")
    if not tls.is_policy(ssl_policy):
        raise AwsError("SSLPolicyNotFound", f"SSL policy '{ssl_policy}' not found")


def _delete_listener(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete(backend: Any, listener_arn: str) -> Any:
        """Free the listener's target groups."""
        listener = original(backend, listener_arn)
        refresh(backend)
        return listener

    return delete


def _modify_listener_attributes(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify(backend: Any, listener_arn: str, attrs: list[dict[str, str]]) -> Any:
        """Take what is acted upon."""
        given = {each["Key"]: each.get("Value") or "" for each in attrs}
        attributes.check(attributes.LISTENER, given, operation="ModifyListenerAttributes")
        pairs = [{"Key": name, "Value": value} for name, value in given.items()]
        return original(backend, listener_arn, pairs)

    return modify


def _rules_in_order(listener: Any) -> dict[str, Any]:
    others = sorted(listener._non_default_rules.values(), key=lambda rule: int(rule.priority))
    return {rule.arn: rule for rule in [*others, *listener._default_rule.values()]}
