# SPDX-License-Identifier: Apache-2.0
"""Show that it works: launch from the published api image, and try its doors from outside."""

from __future__ import annotations

import http.client
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from orchestrator.clock import wait_until
from orchestrator.errors import Stranded
from orchestrator.ports import Machine, MachineRequest, Reporter
from orchestrator.workflows.bake_ami.result import BakeResult
from orchestrator.workflows.world import World

DEMO_TAG = "slipway:demo"
NAME = "slipway-demo"
OPEN_PORT = 80
# Ports the machine listens on or that people try first; the security group lets none of them through.
CLOSED_PORTS = (22, 443, 8000, 8080)
STEPS = 3
ANSWER_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to look at now."""

    instance_id: str
    address: str
    health: str
    image_header: str
    closed_ports: Sequence[int]
    baked: BakeResult
    endpoint_url: str

    def as_dict(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "instance_id": self.instance_id,
            "address": self.address,
            "health": self.health,
            "image": self.image_header,
            "closed_ports": list(self.closed_ports),
            "images": self.baked.as_dict(),
        }

    def lines(self) -> tuple[str, ...]:
        """Return it as an operator reads it."""
        closed = ", ".join(str(port) for port in self.closed_ports)
        return (
            "",
            "A region of your own runs on this machine:",
            *(f"  image    {each.line()}" for each in self.baked.classes.values()),
            f"  machine  {self.instance_id} at {self.address}",
            f"  health   http://{self.address}/health answers {self.health}, from image {self.image_header}",
            f"  firewall ports {closed} are closed by its security group",
            "",
            "Look around:",
            "  ./inv sandbox.status                     what runs",
            f"  curl -i http://{self.address}/health",
            "  ./inv bake-ami --dry-run                 what a bake would do now (change a role and see)",
            f"  AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws --endpoint-url {self.endpoint_url} "
            "--region us-east-1 ec2 describe-instances",
            "  ./inv sandbox.logs                       every API call",
            "  ./inv sandbox.down                       stop; images and data are kept",
        )


def launch_and_check(world: World, baked: BakeResult, reporter: Reporter) -> Shown:
    """Launch the demo machine, unless it runs, and try it from outside."""
    ami_id = baked.classes["api"].ami_id
    reporter.step("machine", "launching from the published api image", position=(1, STEPS))
    instance_id = _running(world, ami_id) or _launch(world, ami_id)
    machine = wait_until(
        lambda: world.machines.describe(instance_id),
        lambda seen: seen.state != "pending",
        clock=world.clock,
        timeout=timedelta(minutes=2),
        what=f"machine {instance_id} to run",
    )
    reporter.step("machine", f"waiting for {machine.public_address}/health", position=(2, STEPS))
    status, image = wait_until(
        lambda: _health(machine.public_address),
        lambda answer: answer[0] == http.client.OK,
        clock=world.clock,
        timeout=timedelta(minutes=3),
        what=f"{machine.public_address}/health to answer 200",
    )
    reporter.step("machine", "trying the doors that must be closed", position=(3, STEPS))
    _refuse_open_doors(machine)
    reporter.done("machine", f"{instance_id} answers at {machine.public_address}")
    return Shown(
        instance_id=instance_id,
        address=machine.public_address,
        health=str(status),
        image_header=image,
        closed_ports=CLOSED_PORTS,
        baked=baked,
        endpoint_url=world.environment.endpoint_url or "",
    )


def _running(world: World, ami_id: str) -> str | None:
    """Return the demo machine of an earlier call; one of an older image goes."""
    found = None
    for machine in world.machines.tagged(DEMO_TAG):
        if machine.ami_id == ami_id and machine.state in ("pending", "running"):
            found = machine.instance_id
        else:
            world.machines.terminate([machine.instance_id])
    return found


def _launch(world: World, ami_id: str) -> str:
    subnet = world.machines.public_subnet(world.environment.network)
    tags = {DEMO_TAG: "machine", "Name": NAME}
    for group in world.machines.security_groups_tagged(DEMO_TAG):
        world.machines.delete_security_group(group.resource_id)
    group_id = world.machines.create_security_group(
        NAME, subnet.vpc_id, ssh_from=world.operator_cidr(), tags=tags, ports=(OPEN_PORT,)
    )
    world.machines.delete_key(NAME)
    folder = Path(world.project, "build", "demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    _, public_key = world.keys.make(folder, NAME)
    world.machines.import_key(NAME, public_key, tags)
    return world.machines.run(
        MachineRequest(
            ami_id=ami_id,
            instance_type=world.environment.bake.instance_type,
            subnet_id=subnet.subnet_id,
            security_group_id=group_id,
            key_name=NAME,
            tags=tags,
        )
    )


def _health(address: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, OPEN_PORT, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
    except OSError:
        return 0, ""
    else:
        return answer.status, answer.getheader("X-Slipway-Image") or ""
    finally:
        connection.close()


def _refuse_open_doors(machine: Machine) -> None:
    for port in CLOSED_PORTS:
        try:
            socket.create_connection((machine.public_address, port), timeout=1.0).close()
        except OSError:
            continue
        raise Stranded(
            f"machine {machine.instance_id}",
            f"port {port} answers although its security group admits only port {OPEN_PORT}",
            next_command="invoke sandbox.logs",
        )
