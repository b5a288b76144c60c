# SPDX-License-Identifier: Apache-2.0
"""Show that an environment works: a page through the balancer, a job, a photo, and doors that are closed."""

from __future__ import annotations

import http.client
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.clock import Clock, wait_until
from orchestrator.config.models import Environment
from orchestrator.domain.stack import EnvironmentStack, NetworkStack, stack_name
from orchestrator.errors import Stranded
from orchestrator.ports import Balancers, Messages, Objects, Reporter, Stacks, Web, WebAnswer
from orchestrator.workflows.demo.doors import Queried
from orchestrator.workflows.demo.rollouts import Rolled

STEPS = 4
CLOSED_PORTS = (22, 3306, 8000, 8080)
_PAGE = timedelta(minutes=5)
_JOB = timedelta(minutes=5)
_PHOTO = timedelta(minutes=2)
_EDGE = 48


@dataclass(frozen=True, slots=True)
class DemoWorld:
    """An environment that is up, and the ways to try it."""

    environment: Environment
    stacks: Stacks
    uploads: Objects
    content: Objects
    messages: Messages
    balancers: Balancers
    web: Web
    clock: Clock
    run_id: str

    def output(self, owner: str, kind: NetworkStack | EnvironmentStack, name: str) -> str:
        """Return an output of one of the environment's stacks or its network's."""
        return self.stacks.get(stack_name(owner, kind)).outputs[name]


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to look at now."""

    host: str
    address: str
    image: str
    worker: str
    variants: Sequence[str]
    endpoint_url: str
    queried: Queried | None = None
    rolled: tuple[Rolled, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "host": self.host,
            "address": self.address,
            "image": self.image,
            "worker": self.worker,
            "variants": list(self.variants),
            "closed_ports": list(CLOSED_PORTS),
            "database": self.queried and self.queried.as_dict(),
            "rollouts": [each.as_dict() for each in self.rolled],
        }

    def lines(self) -> tuple[str, ...]:
        """Return it as an operator reads it."""
        closed = ", ".join(str(port) for port in CLOSED_PORTS)
        fetch = f"curl -i --cacert ca.pem --resolve {self.host}:443:{self.address} https://{self.host}/health"
        return (
            "",
            "An environment of your own runs on this machine, provisioned by CloudFormation alone:",
            f"  page     https://{self.host}/health answers 200 through the balancer, from {self.image}",
            f"  job      done by worker {self.worker}, told through the events topic",
            f"  photo    uploaded, and turned into {', '.join(self.variants)}",
            f"  doors    ports {closed} of the balancer are closed",
            *(f"  database {line}" for line in (self.queried.lines() if self.queried else ())),
            *(f"  rollout  {each.line()}" for each in self.rolled),
            "",
            "Look around:",
            "  ./inv sandbox.status                           what runs",
            f"  curl -so ca.pem {self.endpoint_url}/_slipway/ca.pem",
            f"  {fetch}",
            "  ./inv ssh --fleet api                          a shell on a private machine",
            "  ./inv db-tunnel --client                       the mysql client on the private database",
            "  ./inv provision --environment sandbox --dry-run  what a change of the files would do",
            "  ./inv drift --all                              what differs from the stacks",
            "  ./inv rollout.history --environment sandbox --fleet api",
            "  ./inv sandbox.logs                             every API call",
            "  ./inv sandbox.down                             stop; images and data are kept",
        )


def show(world: DemoWorld, reporter: Reporter) -> Shown:
    """Try everything from outside.

    Raises:
        WaitTimeout: Something did not come about in minutes.
        Stranded: A door is open that must be closed.
    """
    host = world.environment.host or ""
    reporter.step("demo", f"waiting for https://{host}/health", position=(1, STEPS))
    address, page = _page(world, host)
    reporter.step("demo", "sending a job to the workers", position=(2, STEPS))
    worker = _job(world)
    reporter.step("demo", "uploading a photo", position=(3, STEPS))
    variants = _photo(world)
    reporter.step("demo", "trying the doors that must be closed", position=(4, STEPS))
    _refuse_open_doors(world, address)
    reporter.done("demo", f"{host} answers at {address}")
    return Shown(host, address, page.image, worker, variants, world.environment.endpoint_url or "")


def page_addresses(world: DemoWorld) -> tuple[str, ...]:
    """Return the addresses of the balancer, one in each zone."""
    name = world.output(world.environment.network, NetworkStack.BALANCER, "BalancerFullName")
    return world.balancers.addresses(name)


def _page(world: DemoWorld, host: str) -> tuple[str, WebAnswer]:
    [address, *_] = page_addresses(world)
    page = wait_until(
        lambda: world.web.get(address, host, "/health", is_encrypted=True),
        lambda answer: answer.status == http.client.OK,
        clock=world.clock,
        timeout=_PAGE,
        what=f"https://{host}/health at {address} to answer 200",
    )
    redirect = world.web.get(address, host, "/health", is_encrypted=False)
    if redirect.status != http.client.MOVED_PERMANENTLY:
        raise Stranded(f"http://{host}", f"it answers {redirect.status} instead of a redirect to https")
    return address, page


def _job(world: DemoWorld) -> str:
    """Send a job and return the machine that did it."""
    owner = world.environment.name
    queue_url = world.output(owner, EnvironmentStack.QUEUES, "JobsQueueUrl")
    topic_arn = world.output(owner, EnvironmentStack.QUEUES, "EventsTopicArn")
    with world.messages.listen(topic_arn, world.run_id) as listener:
        world.messages.send(queue_url, json.dumps({"id": world.run_id}))

        def machine() -> str:
            told = [json.loads(message) for message in listener.receive()]
            return next((str(each["machine"]) for each in told if each["job"]["id"] == world.run_id), "")

        return wait_until(
            machine, bool, clock=world.clock, timeout=_JOB, what=f"job {world.run_id} to be done"
        )


def _photo(world: DemoWorld) -> tuple[str, ...]:
    """Upload a photo and return its variants."""
    key = f"demo/{world.run_id}.png"
    world.uploads.put(key, _png(_EDGE))
    sizes = world.environment.image_variants.sizes
    keys = wait_until(
        lambda: world.content.keys(f"variants/{key}/"),
        lambda found: len(found) == 2 * len(sizes),
        clock=world.clock,
        timeout=_PHOTO,
        what=f"the variants of {key}",
    )
    return tuple(each.rpartition("/")[2] for each in keys)


def _png(edge: int) -> bytes:
    """Return a square with a gradient: the smallest photo that shows something."""
    rows = b"".join(
        b"\0" + bytes(value for x in range(edge) for value in (x * 5 % 256, y * 5 % 256, 120))
        for y in range(edge)
    )
    header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _refuse_open_doors(world: DemoWorld, address: str) -> None:
    for port in CLOSED_PORTS:
        if world.web.is_open(address, port):
            raise Stranded(
                f"balancer at {address}",
                f"port {port} answers although its security group admits only 80 and 443",
                next_command="invoke sandbox.logs",
            )
