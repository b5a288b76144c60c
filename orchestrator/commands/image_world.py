# SPDX-License-Identifier: Apache-2.0
"""The world of the workflows about images, joined with AWS, ssh and tools: a part of the composition root."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.config.models import Environment
    from orchestrator.workflows.world import World


def join(project: Path, environment: Environment, verb: str, environ: Mapping[str, str]) -> World:
    """Build the clients of an environment and hand them to a workflow as ports."""
    from orchestrator.aws.identity import AwsIdentity  # noqa: PLC0415
    from orchestrator.aws.images import AwsImages  # noqa: PLC0415
    from orchestrator.aws.machines import AwsMachines  # noqa: PLC0415
    from orchestrator.aws.objects import S3Objects  # noqa: PLC0415
    from orchestrator.aws.operator_address import OperatorAddress  # noqa: PLC0415
    from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint  # noqa: PLC0415
    from orchestrator.clock import SystemClock  # noqa: PLC0415
    from orchestrator.locks import ObjectLocks  # noqa: PLC0415
    from orchestrator.ssh.client import SshShells  # noqa: PLC0415
    from orchestrator.ssh.keys import Ed25519KeyMaker  # noqa: PLC0415
    from orchestrator.tools.packer import Packer  # noqa: PLC0415
    from orchestrator.tools.process import Processes  # noqa: PLC0415
    from orchestrator.workflows.world import StoppableClock, World, new_run_id  # noqa: PLC0415

    clock = SystemClock()
    stoppable_clock = StoppableClock(clock)
    credentials = CredentialSource(environment.credentials.value)
    session = AwsSession(Endpoint(environment.region, environment.endpoint_url or "", credentials))
    objects = S3Objects(session, environment.config_bucket, clock)
    run_id = new_run_id(verb, clock)
    programs = Processes(run_id)
    return World(
        project=project,
        environment=environment,
        images=AwsImages(session, clock),
        machines=AwsMachines(session, clock),
        objects=objects,
        identity=AwsIdentity(session),
        locks=ObjectLocks(objects, clock, lease=timedelta(seconds=environment.bake.lease_seconds)),
        shells=SshShells(stoppable_clock),
        keys=Ed25519KeyMaker(),
        builder=Packer(
            programs,
            environ=environ,
            credentials=session.credentials_environ,
            python=Path(sys.executable),
            encrypted_root=environment.bake.encrypted_root,
            timeout_s=60.0 * environment.bake.timeout_minutes,
        ),
        programs=programs,
        clock=stoppable_clock,
        operator_cidr=OperatorAddress(environment.operator_address_url, clock).cidr,
        run_id=run_id,
    )
