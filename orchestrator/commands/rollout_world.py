# SPDX-License-Identifier: Apache-2.0
"""The world of rollouts, joined with AWS: a part of the composition root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.commands.stacks import Place
from orchestrator.host_process import HostProcess

if TYPE_CHECKING:
    from orchestrator.aws.session import AwsSession
    from orchestrator.clock import Clock
    from orchestrator.config.models import Environment
    from orchestrator.workflows.rollout.world import RolloutWorld


def join(place: Place, environment: Environment, verb: str = "rollout") -> RolloutWorld:
    """Build the clients of an environment and hand them to the workflow as ports."""
    from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint  # noqa: PLC0415
    from orchestrator.clock import SystemClock  # noqa: PLC0415
    from orchestrator.config.prices import load_prices  # noqa: PLC0415
    from orchestrator.workflows.world import new_run_id  # noqa: PLC0415

    clock = SystemClock()
    credentials = CredentialSource(environment.credentials.value)
    session = AwsSession(Endpoint(environment.region, environment.endpoint_url or "", credentials))
    run_id = new_run_id(verb.rpartition(".")[2], clock)
    prices = load_prices(place.project).instances
    world = world_of(environment, session, clock, operator=operator(place.environ), run_id=run_id)
    return replace(world, hourly_usd={name: float(price) for name, price in prices.items()})


def world_of(
    environment: Environment, session: AwsSession, clock: Clock, *, operator: str, run_id: str
) -> RolloutWorld:
    """Return an environment and the ports into it, by one session; without prices."""
    from orchestrator.aws.cloudformation import AwsStacks  # noqa: PLC0415
    from orchestrator.aws.facts import AwsFacts  # noqa: PLC0415
    from orchestrator.aws.fleets import AwsFleets  # noqa: PLC0415
    from orchestrator.aws.identity import AwsIdentity  # noqa: PLC0415
    from orchestrator.aws.images import AwsImages  # noqa: PLC0415
    from orchestrator.aws.launch_templates import AwsLaunchTemplates  # noqa: PLC0415
    from orchestrator.aws.machines import AwsMachines  # noqa: PLC0415
    from orchestrator.aws.notices import AwsNotices  # noqa: PLC0415
    from orchestrator.aws.objects import S3Objects  # noqa: PLC0415
    from orchestrator.aws.parameters import SsmParameters  # noqa: PLC0415
    from orchestrator.aws.targets import AwsTargets  # noqa: PLC0415
    from orchestrator.locks import ObjectLocks  # noqa: PLC0415
    from orchestrator.workflows.rollout.world import RolloutWorld  # noqa: PLC0415

    objects = S3Objects(session, environment.config_bucket, clock)
    return RolloutWorld(
        environment=environment,
        fleets=AwsFleets(session),
        templates=AwsLaunchTemplates(session),
        targets=AwsTargets(session),
        images=AwsImages(session, clock),
        machines=AwsMachines(session, clock),
        parameters=SsmParameters(session),
        objects=objects,
        locks=ObjectLocks(objects, clock, lease=timedelta(seconds=environment.bake.lease_seconds)),
        identity=AwsIdentity(session),
        notices=AwsNotices(session),
        stacks=AwsStacks(session),
        facts=AwsFacts(session, clock),
        clock=clock,
        operator=operator,
        run_id=run_id,
        hourly_usd={},
    )


def operator(environ: Mapping[str, str]) -> str:
    """Return who runs the command, for records: `ann@laptop`; who became root by sudo is still himself."""
    me = HostProcess.current()
    return f"{environ.get('SUDO_USER') or me.user}@{me.host}"
