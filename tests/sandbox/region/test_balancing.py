# SPDX-License-Identifier: Apache-2.0
"""A load balancer balances: real requests to real machines in two zones, over a real network."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from sandbox.names import of_checkout

from .conftest import RealRegion, until

pytestmark = pytest.mark.sandbox

SERVER = """#!/bin/sh
cat > /srv/server.py <<'END'
import http.server, json, os, socket, time, urllib.parse
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        status = 500 if url.path == "/health" and os.path.exists("/srv/sick") else 200
        body = json.dumps({"host": socket.gethostname(), "headers": dict(self.headers)}).encode()
        if url.path == "/slow":
            return self.drip(int(url.query))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def drip(self, seconds):
        self.send_response(200)
        self.send_header("Content-Length", str(seconds * 10))
        self.end_headers()
        for _ in range(seconds * 10):
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.1)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
END
systemd-run --unit=server python3 /srv/server.py
"""
HOST = "www.example.com"
RULES: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    (
        [{"Field": "host-header", "HostHeaderConfig": {"Values": ["old.*"]}}],
        {
            "Type": "redirect",
            "RedirectConfig": {"StatusCode": "HTTP_301", "Protocol": "HTTPS", "Port": "443", "Host": HOST},
        },
    ),
    (
        [
            {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/tea*"]}},
            {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}},
        ],
        {
            "Type": "fixed-response",
            "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "no"},
        },
    ),
]


@dataclass
class Balanced:
    """A balancer in two zones before two machines."""

    region: RealRegion
    arn: str = ""
    dns_name: str = ""
    listener: str = ""
    target_group: str = ""
    machines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def elbv2(self) -> Any:
        """The client."""
        return self.region.client("elbv2")

    def interfaces(self) -> list[dict[str, Any]]:
        """The balancer's interfaces."""
        full_name = self.arn.partition("loadbalancer/")[2]
        listed = self.region.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
        return [each for each in listed if each["Description"] == f"ELB {full_name}"]

    def addresses(self) -> list[str]:
        """The balancer's public addresses."""
        return sorted(each["Association"]["PublicIp"] for each in self.interfaces())

    def states(self) -> dict[str, tuple[str, str | None]]:
        """State and reason of each target."""
        answer = self.elbv2.describe_target_health(TargetGroupArn=self.target_group)
        return {
            each["Target"]["Id"]: (each["TargetHealth"]["State"], each["TargetHealth"].get("Reason"))
            for each in answer["TargetHealthDescriptions"]
        }

    def await_states(self, **wanted: str) -> dict[str, tuple[str, str | None]]:
        """Wait until the targets are in these states."""
        keys = {name.replace("_", "-"): state for name, state in wanted.items()}
        return dict(
            until(self.states, lambda seen: {name: state for name, (state, _) in seen.items()} == keys)
        )

    def await_healthy(self) -> None:
        """Wait until both machines are healthy."""
        self.await_states(**{each["InstanceId"].replace("-", "_"): "healthy" for each in self.machines})

    def delay(self, seconds: int) -> None:
        """Set how long a target drains."""
        given = [{"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}]
        self.elbv2.modify_target_group_attributes(TargetGroupArn=self.target_group, Attributes=given)

    def register(self, machine: dict[str, Any]) -> None:
        """Register a machine."""
        targets = [{"Id": machine["InstanceId"]}]
        self.elbv2.register_targets(TargetGroupArn=self.target_group, Targets=targets)

    def deregister(self, machine: dict[str, Any]) -> None:
        """Deregister a machine."""
        targets = [{"Id": machine["InstanceId"]}]
        self.elbv2.deregister_targets(TargetGroupArn=self.target_group, Targets=targets)

    def get(self, path: str = "/", *, address: str | None = None, **headers: str) -> tuple[int, Any, bytes]:
        """Return the status, headers and body of one request on a connection of its own."""
        connection = HTTPConnection(address or self.addresses()[0], timeout=30)
        try:
            connection.request("GET", path, headers={"Host": HOST, **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def who(self, number: int, address: str | None = None) -> Counter[str]:
        """Return which hosts answered so many requests."""
        chosen = address or self.addresses()[0]
        return Counter(json.loads(self.get(address=chosen)[2])["host"] for _ in range(number))

    def host_name(self, machine: dict[str, Any]) -> str:
        """Return what a machine calls itself."""
        return str(machine["PrivateDnsName"]).partition(".")[0]


def zone_subnet(region: RealRegion, zone: str) -> str:
    """Return the public subnet of a zone."""
    filters = [
        {"Name": "tag:slipway:tier", "Values": ["public"]},
        {"Name": "availability-zone", "Values": [f"us-east-1{zone}"]},
    ]
    return str(region.client("ec2").describe_subnets(Filters=filters)["Subnets"][0]["SubnetId"])


@pytest.fixture(name="balanced", scope="module")
def fixture_balanced(region: RealRegion) -> Iterator[Balanced]:
    """Return a balancer with two healthy targets; its group alone is admitted to them."""
    made = Balanced(region)
    ec2, elbv2 = region.client("ec2"), region.client("elbv2")
    front, back = region.group("balancer", 80, 443), region.group("balanced", 22)
    permission = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8081}
    ec2.authorize_security_group_ingress(
        GroupId=back, IpPermissions=[{**permission, "UserIdGroupPairs": [{"GroupId": front}]}]
    )
    subnets = [zone_subnet(region, zone) for zone in "ab"]
    made.machines = [
        region.launch(SubnetId=subnet, SecurityGroupIds=[back], UserData=SERVER) for subnet in subnets
    ]
    balancer = elbv2.create_load_balancer(Name="real", Subnets=subnets, SecurityGroups=[front])[
        "LoadBalancers"
    ][0]
    made.arn, made.dns_name = balancer["LoadBalancerArn"], balancer["DNSName"]
    made.target_group = elbv2.create_target_group(
        Name="real",
        Protocol="HTTP",
        Port=8080,
        VpcId=balancer["VpcId"],
        HealthCheckPath="/health",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": made.target_group}]
    made.listener = elbv2.create_listener(
        LoadBalancerArn=made.arn, Protocol="HTTP", Port=80, DefaultActions=forward
    )["Listeners"][0]["ListenerArn"]
    elbv2.get_waiter("load_balancer_available").wait(LoadBalancerArns=[made.arn])
    for machine in made.machines:
        made.register(machine)
    made.await_healthy()
    yield made
    elbv2.delete_load_balancer(LoadBalancerArn=made.arn)
    until(made.interfaces, lambda left: not left)
    region.terminate(*(each["InstanceId"] for each in made.machines))


def test_requests_go_to_both_zones_in_turn(balanced: Balanced) -> None:
    hosts = {balanced.host_name(machine): 5 for machine in balanced.machines}
    assert len(balanced.addresses()) == 2
    for address in balanced.addresses():
        assert balanced.who(10, address) == hosts


def test_only_the_balancer_is_admitted_to_the_machines(balanced: Balanced) -> None:
    with pytest.raises(OSError):
        socket.create_connection((balanced.machines[0]["PublicIpAddress"], 8080), timeout=2)
    group = {"GroupId": balanced.interfaces()[0]["Groups"][0]["GroupId"]}
    assert group["GroupId"] != balanced.machines[0]["SecurityGroups"][0]["GroupId"]


def test_targets_learn_who_asked(balanced: Balanced) -> None:
    given = {"X-Forwarded-For": "203.0.113.7", "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678"}
    headers = {
        name.lower(): value for name, value in json.loads(balanced.get("/", **given)[2])["headers"].items()
    }
    assert headers["x-forwarded-for"] == f"203.0.113.7, {balanced.region.operator}"
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == ("http", "80")
    assert headers["host"] == HOST
    own, _, before = headers["x-amzn-trace-id"].partition(";")
    assert (own[:7], before) == ("Self=1-", given["X-Amzn-Trace-Id"])


def test_rules_decide_by_priority(balanced: Balanced) -> None:
    arns = [
        balanced.elbv2.create_rule(
            ListenerArn=balanced.listener, Priority=priority, Conditions=conditions, Actions=[action]
        )["Rules"][0]["RuleArn"]
        for priority, (conditions, action) in enumerate(RULES, start=1)
    ]
    until(lambda: balanced.get("/tea?x=1")[0], lambda status: status == 503)
    status, headers, body = balanced.get("/tea?x=1")
    assert (status, headers["Server"], headers["Content-Type"], body) == (
        503, "awselb/2.0", "text/plain", b"no",
    )  # fmt: skip
    status, headers, _ = balanced.get("/tea?x=1", Host="old.example.com:80")
    assert (status, headers["Location"]) == (301, f"https://{HOST}:443/tea?x=1")
    for arn in arns:
        balanced.elbv2.delete_rule(RuleArn=arn)
    until(lambda: balanced.get("/tea")[0], lambda status: status == 200)


def test_machines_resolve_and_reach_the_balancer(balanced: Balanced) -> None:
    region, machine = balanced.region, balanced.machines[0]
    said = region.run(
        machine["PublicIpAddress"], f"getent ahostsv4 {balanced.dns_name} | cut -d' ' -f1 | sort -u"
    )
    assert said.split() == balanced.addresses()
    group_id = balanced.interfaces()[0]["Groups"][0]["GroupId"]
    permission = {
        "IpProtocol": "tcp",
        "FromPort": 80,
        "ToPort": 80,
        "IpRanges": [{"CidrIp": f"{machine['PublicIpAddress']}/32"}],
    }
    region.client("ec2").authorize_security_group_ingress(GroupId=group_id, IpPermissions=[permission])
    fetch = (
        f"python3 -c 'import urllib.request as u; print(u.urlopen(\"http://{balanced.dns_name}/\").status)'"
    )
    assert region.run(machine["PublicIpAddress"], fetch) == "200\n"


def test_tls_is_the_regions_own_and_not_old(balanced: Balanced, tmp_path: Path) -> None:
    acm = balanced.region.client("acm")
    certificate = acm.request_certificate(DomainName="*.example.com", ValidationMethod="DNS")[
        "CertificateArn"
    ]
    assert acm.describe_certificate(CertificateArn=certificate)["Certificate"]["Status"] == "ISSUED"
    listener = balanced.elbv2.create_listener(
        LoadBalancerArn=balanced.arn,
        Protocol="HTTPS",
        Port=443,
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": balanced.target_group}],
    )["Listeners"][0]["ListenerArn"]
    bundle = tmp_path / "ca.pem"
    with urllib.request.urlopen(f"{balanced.region.endpoint}/_slipway/ca.pem") as answer:  # noqa: S310
        bundle.write_bytes(answer.read())
    address = balanced.addresses()[0]

    def connect(**options: Any) -> str | None:
        context = ssl.create_default_context(cafile=str(bundle))
        context.set_alpn_protocols(["h2", "http/1.1"])
        for name, value in options.items():
            setattr(context, name, value)
        plain = socket.create_connection((address, 443), timeout=5)
        with plain, context.wrap_socket(plain, server_hostname=HOST) as wrapped:
            return f"{wrapped.version()} {wrapped.selected_alpn_protocol()}"

    def attempt() -> str | None:
        try:
            return connect()
        except OSError as error:
            return str(error)

    assert until(attempt, lambda said: "refused" not in said) == "TLSv1.3 h2"
    assert connect(maximum_version=ssl.TLSVersion.TLSv1_2) == "TLSv1.2 h2"
    old = ["openssl", "s_client", "-connect", f"{address}:443", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    refused = subprocess.run(old, capture_output=True, text=True, check=False, input="", timeout=20)
    assert refused.returncode != 0
    assert "alert protocol version" in refused.stderr
    encrypted = HTTPSConnection(address, context=ssl._create_unverified_context(), timeout=5)  # noqa: S323
    encrypted.request("GET", "/", headers={"Host": HOST})
    headers = json.loads(encrypted.getresponse().read())["headers"]
    assert {name.lower(): value for name, value in headers.items()}["x-forwarded-proto"] == "https"
    encrypted.close()
    assert acm.describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"] == [balanced.arn]
    balanced.elbv2.delete_listener(ListenerArn=listener)
    acm.delete_certificate(CertificateArn=certificate)


def test_an_unhealthy_target_leaves_and_comes_back(balanced: Balanced) -> None:
    sick, well = balanced.machines
    balanced.region.run(sick["PublicIpAddress"], "sudo touch /srv/sick")
    until(
        balanced.states,
        lambda seen: seen[sick["InstanceId"]] == ("unhealthy", "Target.ResponseCodeMismatch"),
    )
    assert balanced.who(6) == {balanced.host_name(well): 6}
    balanced.region.run(sick["PublicIpAddress"], "sudo rm /srv/sick")
    balanced.await_healthy()
    assert set(balanced.who(6)) == {balanced.host_name(machine) for machine in balanced.machines}


@dataclass
class Download:
    """A slow download in the background, from a given machine."""

    balanced: Balanced
    seconds: int
    received: int = 0
    is_over: bool = False

    def start(self) -> threading.Thread:
        """Begin it, and return when it has begun."""
        began = threading.Event()
        thread = threading.Thread(target=self._run, args=(began,), daemon=True)
        thread.start()
        assert began.wait(10)
        return thread

    def _run(self, began: threading.Event) -> None:
        connection = HTTPConnection(self.balanced.addresses()[0], timeout=30)
        with closing(connection), suppress(HTTPException, OSError):
            connection.request("GET", f"/slow?{self.seconds}")
            with connection.getresponse() as answer:
                while part := answer.read(1):
                    self.received += len(part)
                    began.set()
        self.is_over = True


def test_draining_lets_a_download_end(balanced: Balanced) -> None:
    leaving, staying = balanced.machines
    balanced.delay(60)
    downloads = [Download(balanced, 8), Download(balanced, 8)]  # one from each machine
    threads = [download.start() for download in downloads]
    balanced.deregister(leaving)
    balanced.await_states(
        **{
            leaving["InstanceId"].replace("-", "_"): "draining",
            staying["InstanceId"].replace("-", "_"): "healthy",
        }
    )
    until(lambda: balanced.who(4), lambda seen: set(seen) == {balanced.host_name(staying)})
    assert not any(download.is_over for download in downloads)
    for thread in threads:
        thread.join(20)
    assert [download.received for download in downloads] == [80, 80]
    balanced.register(leaving)
    balanced.await_healthy()


def test_what_has_not_ended_when_the_time_is_over_is_cut(balanced: Balanced) -> None:
    leaving, staying = balanced.machines
    balanced.delay(3)
    # Several, so that each machine serves one: a reload in between begins the round anew.
    downloads = [Download(balanced, 12) for _ in range(4)]
    threads = [download.start() for download in downloads]
    balanced.deregister(leaving)
    balanced.await_states(**{staying["InstanceId"].replace("-", "_"): "healthy"})
    for thread in threads:
        thread.join(20)
    balanced.register(leaving)
    balanced.await_healthy()
    received = [download.received for download in downloads]
    cut, whole = [size for size in received if size < 80], [size for size in received if size == 120]
    assert cut
    assert whole
    assert len(cut) + len(whole) == len(received)


def test_a_new_target_gets_no_request_before_it_is_healthy(balanced: Balanced) -> None:
    sick, well = balanced.machines
    balanced.delay(0)
    balanced.deregister(sick)
    balanced.await_states(**{well["InstanceId"].replace("-", "_"): "healthy"})
    balanced.region.run(sick["PublicIpAddress"], "sudo touch /srv/sick")
    balanced.register(sick)
    seen = until(balanced.states, lambda states: states[sick["InstanceId"]][1] == "Elb.InitialHealthChecking")
    assert seen[sick["InstanceId"]][0] == "initial"
    assert balanced.who(6) == {balanced.host_name(well): 6}
    balanced.region.run(sick["PublicIpAddress"], "sudo rm /srv/sick")
    balanced.await_healthy()


def test_no_request_is_lost_while_the_configuration_changes(balanced: Balanced) -> None:
    stopping, failures, answered = threading.Event(), [], Counter[int]()

    def ask(address: str) -> None:
        while not stopping.is_set():
            try:
                answered[balanced.get(address=address)[0]] += 1
            except (OSError, HTTPException) as error:
                failures.append(str(error))

    threads = [threading.Thread(target=ask, args=(address,)) for address in balanced.addresses()]
    for thread in threads:
        thread.start()
    for number in range(8):
        rule = balanced.elbv2.create_rule(
            ListenerArn=balanced.listener,
            Priority=100 + number,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": [f"/none-{number}"]}}],
            Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        )["Rules"][0]["RuleArn"]
        until(lambda n=number: balanced.get(f"/none-{n}")[0], lambda status: status == 404)
        balanced.elbv2.delete_rule(RuleArn=rule)
    stopping.set()
    for thread in threads:
        thread.join(10)
    assert failures == []
    assert set(answered) == {200}
    assert answered[200] > 50


def programs(balanced: Balanced, node_id: str) -> list[int]:
    """Return the ids of the processes at a node."""
    names = of_checkout(balanced.region.state.path.parent)
    argv = ["ip", "netns", "pids", names.machine_namespace(node_id)]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid in listed.split()]


def test_a_killed_node_is_started_again(balanced: Balanced) -> None:
    node = balanced.interfaces()[0]
    address = node["Association"]["PublicIp"]
    killed = programs(balanced, node["NetworkInterfaceId"])
    assert killed
    status = Path(f"/proc/{killed[0]}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "\nUid:\t0" not in status
    for pid in killed:
        os.kill(pid, signal.SIGKILL)

    def status_of_a_request() -> int | None:
        try:
            return balanced.get(address=address)[0]
        except (OSError, HTTPException):
            return None

    until(
        lambda: set(programs(balanced, node["NetworkInterfaceId"])) - set(killed),
        bool,
    )
    until(status_of_a_request, lambda status: status == 200)
    balanced.await_healthy()


@pytest.mark.parametrize(
    ("port", "status", "title"),
    [(8081, 502, b"502 Bad Gateway"), (8082, 504, None)],
    ids=["a port that refuses", "a port that the firewall drops"],
)
def test_a_target_that_cannot_be_reached(
    balanced: Balanced, port: int, status: int, title: bytes | None
) -> None:
    vpc_id = balanced.machines[0]["VpcId"]
    arn = balanced.elbv2.create_target_group(Name=f"dead-{port}", Protocol="HTTP", Port=port, VpcId=vpc_id)[
        "TargetGroups"
    ][0]["TargetGroupArn"]
    targets = [{"Id": balanced.machines[0]["InstanceId"]}]
    balanced.elbv2.register_targets(TargetGroupArn=arn, Targets=targets)
    rule = balanced.elbv2.create_rule(
        ListenerArn=balanced.listener,
        Priority=port,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": [f"/dead-{port}"]}}],
        Actions=[{"Type": "forward", "TargetGroupArn": arn}],
    )["Rules"][0]["RuleArn"]
    seen, headers, body = until(lambda: balanced.get(f"/dead-{port}"), lambda answer: answer[0] != 200)
    assert (seen, headers["Server"]) == (status, "awselb/2.0")
    assert title is None or title in body
    balanced.elbv2.delete_rule(RuleArn=rule)
    balanced.elbv2.delete_target_group(TargetGroupArn=arn)


def test_a_group_without_targets_is_unavailable(balanced: Balanced) -> None:
    vpc_id = balanced.machines[0]["VpcId"]
    arn = balanced.elbv2.create_target_group(Name="empty", Protocol="HTTP", Port=80, VpcId=vpc_id)[
        "TargetGroups"
    ][0]["TargetGroupArn"]
    rule = balanced.elbv2.create_rule(
        ListenerArn=balanced.listener,
        Priority=900,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/empty"]}}],
        Actions=[{"Type": "forward", "TargetGroupArn": arn}],
    )["Rules"][0]["RuleArn"]
    _, headers, body = until(lambda: balanced.get("/empty"), lambda answer: answer[0] == 503)
    assert headers["Server"] == "awselb/2.0"
    assert b"503 Service Temporarily Unavailable" in body
    balanced.elbv2.delete_rule(RuleArn=rule)
    balanced.elbv2.delete_target_group(TargetGroupArn=arn)
