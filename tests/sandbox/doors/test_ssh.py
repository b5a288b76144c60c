# SPDX-License-Identifier: Apache-2.0
"""Shells and commands on the demo's machines, and plain ssh by the written configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.bake.project import Ended
from tests.sandbox.doors.visitor import LIMIT_S, Visitor, until
from tests.sandbox.environments.demo import Demo

pytestmark = pytest.mark.sandbox

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


@pytest.fixture(name="visitor")
def fixture_visitor(demo: Demo, tmp_path: Path) -> Visitor:
    # What the script of ssh-config starts.
    inv = demo.project.path / "inv"
    if not inv.exists():
        inv.write_text(f'#!/bin/sh\ncd "$(dirname "$0")" && exec {sys.executable} -m invoke "$@"\n', "utf-8")
        inv.chmod(0o755)
    return Visitor(demo, tmp_path)


def addresses(demo: Demo, fleet: str) -> dict[str, str]:
    """Return private addresses of a fleet's machines by instance id, oldest first."""
    found = {each["InstanceId"]: each["PrivateIpAddress"] for each in demo.machines("sandbox", fleet)}
    times = {each["InstanceId"]: each["LaunchTime"] for each in demo.machines("sandbox", fleet)}
    return dict(sorted(found.items(), key=lambda item: (times[item[0]], item[0])))


def records_of(demo: Demo, code: int) -> list[dict[str, Any]]:
    """Return what operators' commands that ended with a code have told the bucket, in the order of time."""
    s3, bucket = demo.client("s3"), "slipway-sandbox-logs-123456789012"
    found = [
        json.loads(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read())
        for each in s3.list_objects_v2(Bucket=bucket, Prefix="access/").get("Contents", [])
        if "/operators-" in each["Key"]
    ]
    return sorted((each for each in found if each.get("exit_code") == code), key=lambda each: each["ended"])


class TestShell:
    def test_a_shell_has_a_real_terminal_and_its_exit_code_is_ours(self, visitor: Visitor) -> None:
        first = next(iter(addresses(visitor.demo, "api")))
        screen = visitor.at_terminal("ssh", "--environment", "sandbox", "--fleet", "api")
        assert f"ssh api-1: {first} in us-east-1" in screen.read_until("through i-")
        screen.read_until("$ ")
        screen.resize(33, 111)
        screen.type("stty size; echo do''ne\n")
        assert "33 111" in screen.read_until("done")
        screen.type("sleep 300; echo code $''?\n")
        time.sleep(1)
        screen.type("\x03")
        screen.type("echo co''de $?\n")
        screen.read_until("code 130")
        screen.type("exit 77\n")
        assert screen.wait() == 77
        record = records_of(visitor.demo, 77)[-1]
        assert (record["target"], record["instance_id"], record["door"]) == ([first], first, "shell")
        assert not list(Path("/tmp").glob(f"slipway-{record['session']}*"))  # noqa: S108 - nothing is left

    def test_a_command_reads_our_input_and_its_output_and_exit_code_are_ours(self, visitor: Visitor) -> None:
        command = "cat; echo error >&2; whoami; exit 7"
        assert visitor.ssh("--fleet", "worker", "--command", command, stdin="input\n") == Ended(
            7, "input\nadmin\n", "error\n"
        )

    def test_a_commands_own_255_is_no_failure_of_ours(self, visitor: Visitor) -> None:
        assert visitor.ssh("--fleet", "api", "--command", "exit 255") == Ended(255, "", "")

    def test_machines_are_chosen_by_number_zone_and_id_and_the_bastion_by_itself(
        self, visitor: Visitor
    ) -> None:
        ids = list(addresses(visitor.demo, "api"))
        zones = {each["InstanceId"]: each["Placement"] for each in visitor.demo.machines("sandbox", "api")}
        third = ids[2]
        same_zone = [each for each in ids if zones[each] == zones[third]]
        asked = {
            ("--fleet", "api", "--index", "3"): third,
            ("--fleet", "api", "--zone", zones[third]["AvailabilityZone"]): same_zone[0],
            ("--instance", third): third,
            ("--bastion",): next(iter(addresses(visitor.demo, "bastion"))),
        }
        for words, instance_id in asked.items():
            document = visitor.ssh(*words, "--command", "hostname -I", "--json").done()
            [machine] = document["machines"]
            assert (machine["instance_id"], machine["exit_code"]) == (instance_id, 0)
            fleet = "bastion" if words == ("--bastion",) else "api"
            assert addresses(visitor.demo, fleet)[instance_id] in machine["stdout"].split()

    def test_the_bastions_shell_is_behind_a_door_of_its_own(self, visitor: Visitor) -> None:
        assert visitor.ssh("--bastion", "--command", "whoami") == Ended(0, "admin\n", "")


class TestAll:
    def test_a_command_runs_on_all_machines_and_lines_tell_where_they_are_from(
        self, visitor: Visitor
    ) -> None:
        found = addresses(visitor.demo, "api")
        done = visitor.ssh("--fleet", "api", "--all", "--command", "hostname -I; echo no >&2; exit 4")
        assert done.status == 4
        lines = [f"api-{n} {name} | {address}" for n, (name, address) in enumerate(found.items(), 1)]
        assert sorted(line.rstrip() for line in done.stdout.splitlines()) == lines
        said = done.stderr.splitlines()
        assert sorted(line for line in said if "|" in line) == [
            f"api-{n} {name} | no" for n, name in enumerate(found, 1)
        ]
        assert sum("exit code 4" in line for line in said) == len(found)

    def test_programs_get_one_document(self, visitor: Visitor) -> None:
        found = addresses(visitor.demo, "api")
        done = visitor.ssh("--fleet", "api", "--all", "--command", "hostname -I", "--json")
        assert (done.status, done.stderr) == (0, "")
        machines = json.loads(done.stdout)["machines"]
        assert [(each["name"], each["instance_id"]) for each in machines] == [
            (f"api-{n}", name) for n, name in enumerate(found, 1)
        ]
        assert [each["stdout"].split()[0] for each in machines] == list(found.values())
        assert {each["error"] for each in machines} == {""}


class TestRefusals:
    def test_what_is_not_there_is_told_with_what_is(self, visitor: Visitor) -> None:
        wrong = {
            ("--fleet", "apis"): (3, "sandbox has no such fleet, only api, bastion, worker"),
            ("--fleet", "api", "--index", "99"): (23, "there is no machine number 99"),
            ("--fleet", "api", "--zone", "z"): (23, "no machine runs in zone z"),
            ("--instance", "i-00000000000000000"): (23, "does not run"),
            ("--fleet", "api", "--all"): (3, "--all needs a --command"),
        }
        for words, (code, said) in wrong.items():
            done = visitor.ssh(*words)
            assert (done.status, done.stdout) == (code, "")
            assert said in done.stderr

    @pytest.mark.parametrize("fleet", ["api", "bastion"])
    def test_another_host_key_is_refused(self, visitor: Visitor, fleet: str) -> None:
        instance_id = next(iter(addresses(visitor.demo, fleet)))
        with other_keys(visitor.demo, fleet, instance_id):
            done = visitor.ssh("--fleet", "api", "--command", "true")
        assert done.status == 22
        assert f"error: ssh {instance_id}: the machine shows another host key" in done.stderr
        assert visitor.ssh("--fleet", "api", "--command", "true").status == 0

    def test_a_user_who_is_not_there_is_refused(self, visitor: Visitor) -> None:
        done = visitor.ssh("--fleet", "api", "--user", "nobody2", "--command", "true")
        assert done.status == 21
        assert "the machine does not let us in" in done.stderr

    def test_who_is_blocked_is_refused(self, visitor: Visitor) -> None:
        who = str(records_of_anybody(visitor)["who"])
        assert visitor.demo.json("keys.remove", "--name", who, "--yes")["event"] == "key-removed"
        try:
            until(
                lambda: visitor.ssh("--fleet", "api", "--command", "true").status == 21,
                what="the operator is refused",
            )
        finally:
            visitor.demo.json("keys.unblock", "--name", who)
        until(lambda: visitor.ssh("--fleet", "api", "--command", "true").status == 0, what="let in again")


def records_of_anybody(visitor: Visitor) -> dict[str, Any]:
    """Return a record of the visitor's own."""
    assert visitor.ssh("--fleet", "api", "--command", "exit 78").status == 78
    return records_of(visitor.demo, 78)[-1]


@contextmanager
def other_keys(demo: Demo, fleet: str, instance_id: str) -> Iterator[None]:
    """Let the parameter of a machine's host keys hold others for a while."""
    ssm, name = demo.client("ssm"), f"/slipway/sandbox/host-keys/{fleet}/{instance_id}"
    before = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    ssm.put_parameter(Name=name, Value=OTHER_KEY, Type="String", Overwrite=True)
    try:
        yield
    finally:
        ssm.put_parameter(Name=name, Value=before, Type="String", Overwrite=True)


class TestPlainSsh:
    def test_programs_that_stand_on_ssh_reach_machines(self, visitor: Visitor) -> None:
        written = visitor.run("ssh-config", "--environment", "sandbox", "--install", "--json").done()
        hosts = [each["host"] for each in written["hosts"]]
        assert hosts[0] == "bastion.sandbox"
        assert sorted(hosts[1:]) == [*(f"api-{n}.sandbox" for n in range(1, 5)), "worker-1.sandbox"]
        config = visitor.config
        first = next(iter(addresses(visitor.demo, "api").values()))
        assert visitor.plain("ssh", "-F", config, "api-1.sandbox", "hostname -I").stdout.split()[0] == first
        body = os.urandom(1 << 20)
        (visitor.home / "file").write_bytes(body)
        visitor.plain("scp", "-F", config, visitor.home / "file", "api-1.sandbox:/tmp/copied")
        visitor.plain("rsync", "-e", f"ssh -F {config}", "api-1.sandbox:/tmp/copied", visitor.home / "back")
        assert (visitor.home / "back").read_bytes() == body
        ping = visitor.plain(
            Path(sys.executable).with_name("ansible"),
            "all",
            *("-i", "api-1.sandbox,api-2.sandbox,worker-1.sandbox,", "-m", "ping"),
            f"--ssh-common-args=-F {config}",
        )
        assert ping.stdout.count('"ping": "pong"') == 3
        visitor.plain("ssh", "-F", config, "-O", "exit", "bastion.sandbox", check=False)

    def test_a_replaced_machine_is_known_to_the_next_connection(self, visitor: Visitor) -> None:
        visitor.run("ssh-config", "--environment", "sandbox", "--json").done()
        before = addresses(visitor.demo, "api")
        gone = next(iter(before))
        visitor.demo.client("ec2").terminate_instances(InstanceIds=[gone])
        until(
            lambda: len(set(addresses(visitor.demo, "api")) - set(before)) == 1,
            what="the group has launched another machine",
        )
        [fresh] = set(addresses(visitor.demo, "api")) - set(before)
        until(lambda: knows(visitor, fresh), what="the new machine has published its keys")
        name = visitor.config.with_name("hosts").read_text().partition(f"HostKeyAlias {fresh}")[0]
        host = name.rpartition("Host ")[2].split()[0]
        command = ("ssh", "-F", visitor.config, host, "hostname -I")
        assert visitor.plain(*command).stdout.split()[0] == addresses(visitor.demo, "api")[fresh]
        visitor.plain("ssh", "-F", visitor.config, "-O", "exit", "bastion.sandbox", check=False)

    def test_what_is_begun_on_a_machine_that_vanishes_is_told(self, visitor: Visitor) -> None:
        found = list(addresses(visitor.demo, "api"))
        argv = visitor.argv(
            *("ssh", "--environment", "sandbox", "--fleet", "api", "--all", "--json"),
            *("--command", "echo begun; sleep 20; echo through"),
        )
        running = subprocess.Popen(
            argv, cwd=visitor.demo.project.path, env=visitor.environ, stdout=subprocess.PIPE, text=True
        )
        time.sleep(6)
        visitor.demo.client("ec2").terminate_instances(InstanceIds=[found[0]])
        stdout, _ = running.communicate(timeout=LIMIT_S)
        outcomes = {each["instance_id"]: each for each in json.loads(stdout)["machines"]}
        assert running.returncode == 23
        assert outcomes[found[0]]["stdout"] == "begun\n"
        assert "the connection was lost" in outcomes[found[0]]["error"]
        assert {outcomes[each]["stdout"] for each in found[1:]} == {"begun\nthrough\n"}
        until(
            lambda: len(addresses(visitor.demo, "api")) >= len(found),
            what="the group is whole again",
        )


def knows(visitor: Visitor, instance_id: str) -> bool:
    """Let ssh read a configuration that is a minute old, and tell whether a machine is in it then."""
    hosts = visitor.config.with_name("hosts")
    then = time.time() - 61
    os.utime(hosts, (then, then))
    visitor.plain("ssh", "-G", "-F", visitor.config, "bastion.sandbox")
    return instance_id in hosts.read_text()
