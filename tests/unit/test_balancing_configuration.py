# SPDX-License-Identifier: Apache-2.0
"""The configuration of a balancer's node says what the load balancer is, and HAProxy takes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from moto.elbv2.ssl_policies import SSL_POLICIES

from sandbox.api.errors import AwsError
from sandbox.balancing import answers, attributes, conditions, tls
from sandbox.balancing.authority import Authority
from sandbox.balancing.backends import backend
from sandbox.balancing.configuration import certificate_files, configuration
from sandbox.balancing.frontends import frontend
from sandbox.balancing.shape import (
    Balancer,
    Certificate,
    Condition,
    FixedResponse,
    Forward,
    HealthCheck,
    Listener,
    Redirect,
    Rule,
    Target,
    TargetGroup,
)
from sandbox.balancing.words import quoted, wildcard

API = TargetGroup(
    arn="arn:api",
    name="api",
    protocol="HTTP",
    health_check=HealthCheck(path="/health?deep=1", codes="200,301-302", interval_s=10, timeout_s=3),
    targets=(Target("i-1", 8080, "10.0.1.4", "i-1"), Target("10.0.2.9", 8080, "10.0.2.9")),
)
EMPTY = TargetGroup(arn="arn:empty", name="empty", protocol="HTTP", health_check=HealthCheck())
DEFAULT = Rule("default", (), Forward((("arn:api", 1),)))
HTTP = Listener(80, "HTTP", (DEFAULT,))
BALANCER = Balancer("arn:lb", "app/web/1", attributes.defaults(attributes.BALANCER), (HTTP,), (API, EMPTY))
EVERY_CONDITION = (
    Condition("host-header", ("*.example.com", "a?c.org")),
    Condition("path-pattern", ("/api/*", "/it's")),
    Condition("http-header", ("*Chrome*",), header="User-Agent"),
    Condition("http-request-method", ("GET", "HEAD")),
    Condition("query-string", ("version=v?", "*=beta")),
    Condition("source-ip", ("10.0.0.0/8",)),
)


def lines_of(listener: Listener, **changed: str) -> list[str]:
    """Return a frontend's lines."""
    balancer = replace(BALANCER, attributes={**BALANCER.attributes, **changed})
    return frontend(balancer, listener, address="10.0.0.5", directory="/run/x")


def with_rules(*rules: Rule) -> Listener:
    """Return a listener with these rules before the default one."""
    return replace(HTTP, rules=(*rules, DEFAULT))


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("plain-1.2/3", "plain-1.2/3"),
        ("two words", "'two words'"),
        ("$HOME", "'$HOME'"),
        ("it's", "it\\x27s"),
        ("a\nb", "a\\x0ab"),
        ("", "''"),
    ],
)
def test_a_value_is_one_word(value: str, word: str) -> None:
    assert quoted(value) == word


def test_wildcards_are_the_only_special_letters_of_a_pattern() -> None:
    assert wildcard("/a.b/*/?.png") == r"/a\.b/.*/.\.png"


def test_each_condition_is_an_acl() -> None:
    assert [conditions.tests(condition) for condition in EVERY_CONDITION] == [
        [
            r"req.hdr(host),field(1,:) -m reg -i '^.*\.example\.com$'",
            r"req.hdr(host),field(1,:) -m reg -i '^a.c\.org$'",
        ],
        ["path -m reg '^/api/.*$'", r"path -m reg \x5e/it\x27s\x24"],
        ["req.fhdr(User-Agent) -m reg -i '^.*Chrome.*$'"],
        ["method -m str GET", "method -m str HEAD"],
        ["query -m reg -i '(^|&)version=v[^&](&|$)'", "query -m reg -i '(^|&)[^&]*=beta(&|$)'"],
        ["src 10.0.0.0/8"],
    ]


def test_the_first_rule_whose_conditions_hold_is_chosen() -> None:
    first = Rule("rule-1", (EVERY_CONDITION[0], EVERY_CONDITION[3]), FixedResponse(404, body="none"))
    chosen = [line for line in lines_of(with_rules(first)) if "txn.rule" in line]
    assert chosen == [
        "http-request set-var(txn.rule) str(rule-1) if !{ var(txn.rule) -m found } rule-1-0 rule-1-1",
        "http-request set-var(txn.rule) str(default) if !{ var(txn.rule) -m found }",
        "http-request return status 404 content-type text/plain string none hdr Server awselb/2.0"
        " if { var(txn.rule) -m str rule-1 }",
        "use_backend api if { var(txn.rule) -m str default }",
    ]


def test_weights_divide_requests_among_groups() -> None:
    rule = Rule("rule-1", (), Forward((("arn:api", 3), ("arn:empty", 1))))
    drawn = [line for line in lines_of(with_rules(rule)) if "rule-1 }" in line]
    assert drawn == [
        "http-request set-var(txn.draw) rand(4) if { var(txn.rule) -m str rule-1 }",
        "use_backend api if { var(txn.rule) -m str rule-1 } { var(txn.draw) -m int lt 3 }",
        "use_backend empty if { var(txn.rule) -m str rule-1 }",
    ]


def test_a_redirect_keeps_what_it_does_not_change() -> None:
    words = answers.redirects(Redirect(301, protocol="HTTPS", port="443"), protocol="HTTP")
    base = "https://%[req.hdr(host),field(1,:)]:443/%[path,regsub(^/,)]"
    assert words == [
        (
            f"return status 301 hdr Location '{base}?%[query]' hdr Server awselb/2.0",
            "{ query -m len gt 0 }",
        ),
        (f"return status 301 hdr Location '{base}' hdr Server awselb/2.0", ""),
    ]


def test_a_redirects_own_percent_sign_is_no_variable() -> None:
    words = answers.redirects(Redirect(302, host="x.org", path="/a%20b", query=""), protocol="HTTP")
    assert words == [
        ("return status 302 hdr Location 'http://x.org:%[dst_port]/a%%20b' hdr Server awselb/2.0", "")
    ]


def test_a_target_group_is_a_backend() -> None:
    assert [line for line in backend(API) if not line.startswith("http-")] == [
        "backend api",
        "balance roundrobin",
        "timeout check 3s",
        "option httpchk",
        "server i-1_8080_1 10.0.1.4:8080 check inter 10s rise 5 fall 2",
        "server 10.0.2.9_8080_1 10.0.2.9:8080 check inter 10s rise 5 fall 2",
        "option allbackups",
        "server spare-i-1_8080_1 10.0.1.4:8080 backup",
        "server spare-10.0.2.9_8080_1 10.0.2.9:8080 backup",
    ]
    assert "http-check expect status 200,301-302" in backend(API)
    assert backend(EMPTY) == ["backend empty", "balance roundrobin"]


def test_servers_carry_what_the_group_asks_for() -> None:
    check = HealthCheck(protocol="HTTP", port=9000)
    group = replace(API, protocol="HTTPS", health_check=check, slow_start_s=60, cookie_s=300)
    server = next(line for line in backend(group) if line.startswith("server i-1"))
    assert server == (
        "server i-1_8080_1 10.0.1.4:8080 ssl verify none check inter 30s rise 5 fall 2 port 9000"
        " no-check-ssl slowstart 60s cookie da50d7bc90d8b88f"
    )


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", "ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3"),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", "ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.3"),
        ("ELBSecurityPolicy-FS-1-2-Res-2020-10", "ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2"),
        ("ELBSecurityPolicy-2016-08", "ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.2"),
    ],
)
def test_a_policy_bounds_the_versions_of_tls(policy: str, versions: str) -> None:
    assert tls.bind_options(policy).startswith(versions + " cipher")


def test_attributes_change_the_frontend() -> None:
    dropped = lines_of(HTTP, **{"routing.http.drop_invalid_header_fields.enabled": "true"})
    assert "http-request del-header '[^-A-Za-z0-9]' -m reg" in dropped
    removed = lines_of(HTTP, **{"routing.http.xff_header_processing.mode": "remove"})
    assert [line for line in removed if "X-Forwarded-For" in line] == [
        "http-request del-header X-Forwarded-For"
    ]
    secured = replace(HTTP, attributes={"routing.http.response.x_frame_options.header_value": "SAMEORIGIN"})
    assert "http-after-response set-header X-Frame-Options SAMEORIGIN" in lines_of(secured)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"no.such": "1"}, "ValidationError"),
        ({"idle_timeout.timeout_seconds": "0"}, "ValidationError"),
        ({"connection_logs.s3.enabled": "true"}, "UnsupportedOperation"),
    ],
)
def test_attributes_that_change_nothing_are_refused(given: dict[str, str], code: str) -> None:
    with pytest.raises(AwsError) as refused:
        attributes.check(attributes.BALANCER, given, operation="ModifyLoadBalancerAttributes")
    assert refused.value.code == code


def haproxy() -> str:
    """Return the program; Debian keeps it where only root's PATH looks."""
    found = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip("haproxy is not installed")
    return found


def full_balancer() -> Balancer:
    """Return a balancer that uses everything there is."""
    authority = Authority.new()
    certificate = authority.issue("*.example.com", ("example.com",))
    pem = certificate.certificate + certificate.key
    assert x509.load_pem_x509_certificate(certificate.certificate.encode())
    rules = (
        Rule("rule-1", EVERY_CONDITION, Redirect(301, protocol="HTTPS", port="443")),
        Rule("rule-2", (Condition("path-pattern", ("/tea",)),), FixedResponse(418, body="a\n'b' %[c] \\ $d")),
        Rule("rule-3", (Condition("path-pattern", ("/two",)),), Forward((("arn:api", 1), ("arn:empty", 9)))),
        DEFAULT,
    )
    switches = {name: "true" for name, (_, _, takes) in attributes.BALANCER.items() if takes("true")}
    https = replace(
        HTTP,
        port=8443,
        protocol="HTTPS",
        rules=rules,
        ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        certificates=(Certificate("one", pem), Certificate("two", pem)),
        attributes={
            **dict.fromkeys(attributes.RESPONSE_HEADERS, "max-age=1; x='100%'"),
            "routing.http.response.server.enabled": "false",
        },
    )
    policies = [
        replace(https, port=9000 + number, ssl_policy=policy)
        for number, policy in enumerate(sorted(SSL_POLICIES))
    ]
    stuck = replace(API, arn="arn:s", name="stuck", protocol="HTTPS", slow_start_s=30, cookie_s=60)
    algorithms = [
        replace(API, arn=f"arn:{name}", name=name, algorithm=name)
        for name in ("least_outstanding_requests", "weighted_random")
    ]
    return replace(
        BALANCER,
        attributes={**BALANCER.attributes, **switches},
        listeners=(with_rules(*rules[:-1]), https, *policies),
        groups=(API, EMPTY, stuck, *algorithms),
    )


@pytest.mark.parametrize("balancer", [full_balancer(), replace(BALANCER, listeners=())], ids=["full", "bare"])
def test_haproxy_takes_the_configuration(balancer: Balancer, tmp_path: Path) -> None:
    directory = str(tmp_path)
    for path, pem in certificate_files(balancer, directory=directory).items():
        Path(path).write_text(pem)
    (tmp_path / "servers").write_text("1\n")
    written = tmp_path / "haproxy.cfg"
    written.write_text(configuration(balancer, address="127.0.0.1", directory=directory))
    checked = subprocess.run(
        [haproxy(), "-c", "-f", str(written)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (checked.returncode, checked.stderr.replace("Configuration file is valid", "").strip()) == (0, "")
