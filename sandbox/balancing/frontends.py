# SPDX-License-Identifier: Apache-2.0
"""Write listeners as HAProxy's frontends: choose a rule, answer or forward, and say who asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sandbox.balancing import answers, attributes, tls
from sandbox.balancing.conditions import tests
from sandbox.balancing.shape import Balancer, FixedResponse, Forward, Listener, Redirect, Rule
from sandbox.balancing.words import quoted

# A time of eight hexadecimal digits, and 24 random ones.
_TRACE = "1-%[date,hex,bytes(8,8),lower]-%[uuid,regsub(-,,g),bytes(0,24)]"
_NO_RULE_YET = "!{ var(txn.rule) -m found }"


def frontend(balancer: Balancer, listener: Listener, *, address: str, directory: str) -> list[str]:
    """Return the lines of a listener."""
    backends = {group.arn: group.name for group in balancer.groups}
    return [
        f"frontend listener-{listener.port}",
        _bind(balancer, listener, address=address, directory=directory),
        *_dropped_headers(balancer.attributes),
        *(line for rule in listener.rules for line in _choice(rule)),
        *(line for rule in listener.rules for line in _answer(listener, rule)),
        *_forwarded_for(balancer.attributes),
        f"http-request set-header X-Forwarded-Proto {listener.protocol.lower()}",
        "http-request set-header X-Forwarded-Port '%[dst_port]'",
        *_trace_id(),
        *_host_header(balancer.attributes, listener),
        *_tls_headers(balancer.attributes, listener),
        *_response_headers(listener.attributes),
        *(line for rule in listener.rules for line in _forward(rule, backends)),
    ]


def certificate_file(directory: str, digest: str) -> str:
    """Return where a certificate lies."""
    return f"{directory}/{digest}.pem"


def _bind(balancer: Balancer, listener: Listener, *, address: str, directory: str) -> str:
    words = [f"bind {address}:{listener.port}"]
    if listener.protocol == "HTTPS":
        files = (certificate_file(directory, each.digest) for each in listener.certificates)
        # The first is the default: the one for clients that name none of the others' hosts.
        words += ["ssl", *(f"crt {path}" for path in files), tls.bind_options(listener.ssl_policy)]
        has_http2 = attributes.is_on(balancer.attributes, "routing.http2.enabled")
        words.append("alpn h2,http/1.1" if has_http2 else "alpn http/1.1")
    return " ".join(words)


def _dropped_headers(balancer: Mapping[str, str]) -> list[str]:
    if attributes.is_on(balancer, "routing.http.drop_invalid_header_fields.enabled"):
        return ["http-request del-header '[^-A-Za-z0-9]' -m reg"]
    return []


def _choice(rule: Rule) -> Iterator[str]:
    """Write down the first rule whose conditions all hold."""
    names = []
    for number, condition in enumerate(rule.conditions):
        name = f"{rule.name}-{number}"
        names.append(name)
        # ACLs of one name are alternatives of each other.
        yield from (f"acl {name} {test}" for test in tests(condition))
    yield f"http-request set-var(txn.rule) str({rule.name}) if {' '.join([_NO_RULE_YET, *names])}"


def _is_chosen(rule: Rule) -> str:
    return f"{{ var(txn.rule) -m str {rule.name} }}"


def _answer(listener: Listener, rule: Rule) -> Iterator[str]:
    if isinstance(rule.action, FixedResponse):
        yield f"http-request {answers.fixed_response(rule.action)} if {_is_chosen(rule)}"
    if isinstance(rule.action, Redirect):
        for words, condition in answers.redirects(rule.action, protocol=listener.protocol):
            yield f"http-request {words} if {_is_chosen(rule)} {condition}".rstrip()


def _forward(rule: Rule, backends: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(rule.action, Forward):
        return
    groups = [(backends[arn], weight) for arn, weight in rule.action.groups if weight > 0]
    if len(groups) > 1:
        total = sum(weight for _, weight in groups)
        yield f"http-request set-var(txn.draw) rand({total}) if {_is_chosen(rule)}"
    bound = 0
    for name, weight in groups[:-1]:
        bound += weight
        yield f"use_backend {name} if {_is_chosen(rule)} {{ var(txn.draw) -m int lt {bound} }}"
    if groups:
        yield f"use_backend {groups[-1][0]} if {_is_chosen(rule)}"


def _forwarded_for(balancer: Mapping[str, str]) -> list[str]:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html"""
    mode = balancer.get("routing.http.xff_header_processing.mode", "append")
    if mode == "preserve":
        return []
    if mode == "remove":
        return ["http-request del-header X-Forwarded-For"]
    has_port = attributes.is_on(balancer, "routing.http.xff_client_port.enabled")
    client = "%[src]:%[src_port]" if has_port else "%[src]"
    return [
        "http-request set-var(txn.chain) req.fhdr(X-Forwarded-For)",
        f"http-request set-header X-Forwarded-For '{client}'",
        f"http-request set-header X-Forwarded-For '%[var(txn.chain)], {client}' "
        "if { var(txn.chain) -m len gt 0 }",
    ]


def _trace_id() -> list[str]:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html"""
    before, name = "%[var(txn.trace)]", "http-request set-header X-Amzn-Trace-Id"
    has_one, has_root = "{ var(txn.trace) -m found }", "{ var(txn.trace) -m sub Root= }"
    return [
        "http-request set-var(txn.trace) req.fhdr(X-Amzn-Trace-Id)",
        f"{name} 'Root={_TRACE}' if !{has_one}",
        f"{name} 'Root={_TRACE};{before}' if {has_one} !{has_root}",
        f"{name} 'Self={_TRACE};{before}' if {has_root}",
    ]


def _host_header(balancer: Mapping[str, str], listener: Listener) -> list[str]:
    """Say the port where it is not the protocol's own, unless the header is to be left as it came."""
    is_usual = listener.port == {"HTTP": 80, "HTTPS": 443}[listener.protocol]
    if is_usual or attributes.is_on(balancer, "routing.http.preserve_host_header.enabled"):
        return []
    return [
        f"http-request set-header Host '%[req.hdr(host)]:{listener.port}' if !{{ req.hdr(host) -m sub : }}"
    ]


def _tls_headers(balancer: Mapping[str, str], listener: Listener) -> list[str]:
    name = "routing.http.x_amzn_tls_version_and_cipher_suite.enabled"
    if listener.protocol != "HTTPS" or not attributes.is_on(balancer, name):
        return []
    return [
        "http-request set-header X-Amzn-Tls-Version '%[ssl_fc_protocol]'",
        "http-request set-header X-Amzn-Tls-Cipher-Suite '%[ssl_fc_cipher]'",
    ]


def _response_headers(listener: Mapping[str, str]) -> list[str]:
    lines = []
    for key, header in attributes.RESPONSE_HEADERS.items():
        if value := listener.get(key):
            lines.append(f"http-after-response set-header {header} {quoted(value.replace('%', '%%'))}")
    if not attributes.is_on(listener, "routing.http.response.server.enabled", default="true"):
        lines.append("http-after-response del-header Server if { res.hdr(server) -m str awselb/2.0 }")
    return lines
