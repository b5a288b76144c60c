# SPDX-License-Identifier: Apache-2.0
"""Boot-test an image: launch a fresh machine from it and let a probe tell what it finds there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from orchestrator.clock import wait_until
from orchestrator.domain.boot_test import BootReport, judge, parse_report
from orchestrator.domain.host_keys import host_keys_in_console
from orchestrator.domain.image import Image
from orchestrator.errors import BootTestFailed, RemoteError, WaitTimeout
from orchestrator.ports import CommandResult, Machine, MachineRequest, StepSink
from orchestrator.workflows.bake_ami.workbench import Workbench
from orchestrator.workflows.world import World

CONSOLE_LINES = 10
USER = "admin"
ENDED = frozenset({"shutting-down", "terminated", "stopping", "stopped"})
PROBE_TIMEOUT_S = 300.0


def boot_test(
    world: World, image: Image, program: bytes, *, bench: Workbench, on_step: StepSink
) -> BootReport:
    """Launch a machine from the image, run the probe on it and return its report.

    Raises:
        BootTestFailed: the machine did not come up, could not be reached, or the probe found something.
    """
    with _machine(world, image, bench) as instance_id:
        on_step(f"boot test: waiting for {instance_id}")
        address, host_keys = _wait_for_machine(world, image, instance_id)
        on_step(f"boot test: looking around on {instance_id}")
        result = _probe(world, image, program, address=address, host_keys=host_keys, bench=bench)
    report = parse_report(result.stdout)
    findings = judge(report)
    if findings:
        raise BootTestFailed(_what(image), tuple(str(finding) for finding in findings))
    return report


@contextmanager
def _machine(world: World, image: Image, bench: Workbench) -> Iterator[str]:
    request = MachineRequest(
        ami_id=image.ami_id,
        instance_type=world.environment.bake.instance_type,
        subnet_id=bench.subnet.subnet_id,
        security_group_id=bench.security_group_id,
        key_name=bench.key_name,
        tags={**bench.tags, "Name": f"boot-test-{image.class_name}"},
        client_token=f"{bench.key_name}-boot"[-64:],
    )
    instance_id = world.machines.run(request)
    try:
        yield instance_id
    finally:
        world.machines.terminate([instance_id])


def _wait_for_machine(world: World, image: Image, instance_id: str) -> tuple[str, tuple[str, ...]]:
    """Return the machine's address, and the host keys it wrote to its console: EC2 vouches for those."""
    timeout = timedelta(minutes=world.environment.bake.boot_test_timeout_minutes)
    try:
        machine = wait_until(
            lambda: world.machines.describe(instance_id),
            lambda seen: seen.state not in ("pending",),
            clock=world.clock,
            timeout=timeout,
            what=f"machine {instance_id} to run",
        )
        _refuse_ended(image, machine)
        console = wait_until(
            lambda: world.machines.console_output(instance_id),
            lambda text: bool(host_keys_in_console(text)),
            clock=world.clock,
            timeout=timeout,
            what=f"host keys on the console of {instance_id}",
        )
    except WaitTimeout as exc:
        tail = world.machines.console_output(instance_id).splitlines()[-CONSOLE_LINES:]
        raise BootTestFailed(_what(image), (exc.what, *tail)) from exc
    return machine.public_address, host_keys_in_console(console)


def _refuse_ended(image: Image, machine: Machine) -> None:
    if machine.state in ENDED:
        finding = f"machine {machine.instance_id} is {machine.state}: {machine.state_reason}"
        raise BootTestFailed(_what(image), (finding,))


def _probe(  # noqa: PLR0913 - where to and with what
    world: World,
    image: Image,
    program: bytes,
    *,
    address: str,
    host_keys: Sequence[str],
    bench: Workbench,
) -> CommandResult:
    timeout_s = 60.0 * world.environment.bake.boot_test_timeout_minutes
    try:
        with world.shells.connect(
            address, user=USER, private_key=bench.private_key, host_keys=host_keys, timeout_s=timeout_s
        ) as shell:
            result = shell.run("sudo -n python3 -", stdin=program, timeout_s=PROBE_TIMEOUT_S)
    except RemoteError as exc:
        raise BootTestFailed(_what(image), (f"{exc.what}: {exc.cause}",)) from exc
    if result.status != 0:
        raise BootTestFailed(_what(image), (f"the probe ended with {result.status}", result.stderr[-2000:]))
    return result


def _what(image: Image) -> str:
    return f"boot test of {image.class_name} {image.ami_id}"
