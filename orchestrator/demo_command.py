# SPDX-License-Identifier: Apache-2.0
"""The demo, joined with AWS: provision, bake, provision what waited for images, and try it all."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.stack_commands import Place, bring_up, choose, join
from orchestrator.workflows.provision.world import Network

if TYPE_CHECKING:
    from orchestrator.workflows.demo import DemoWorld, Shown
    from orchestrator.workflows.provision.world import ProvisionWorld
    from orchestrator.workflows.world import World

ENVIRONMENT = "sandbox"


def demo(place: Place, world: World) -> Shown:
    """Bring the local environment up and try it; what is there already is left as it is."""
    from orchestrator.cli import StackWords  # noqa: PLC0415 - that module imports this one
    from orchestrator.console import reporter  # noqa: PLC0415
    from orchestrator.workflows import bake_ami  # noqa: PLC0415
    from orchestrator.workflows import demo as workflow  # noqa: PLC0415

    words = StackWords(environment=ENVIRONMENT)
    scope, request = choose(place, words, "provision", of_environment=Network.YES)
    stacks = join(place, scope, "demo")
    bring_up(stacks, replace(request, may_wait=True), _tell)
    with reporter("demo") as console:
        plan = bake_ami.observe_and_plan(world, bake_ami.BakeRequest(()))
        bake_ami.apply(world, plan, console)
    bring_up(stacks, request, _tell)
    with reporter("demo") as console:
        return workflow.show(_join(world, stacks), console)


def _tell(_document: object, lines: Sequence[str]) -> None:
    """Show what became of stacks beside the steps: the demo's own result comes at the end."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def _join(world: World, stacks: ProvisionWorld) -> DemoWorld:
    from orchestrator.aws.balancers import AwsBalancers  # noqa: PLC0415
    from orchestrator.aws.messages import AwsMessages  # noqa: PLC0415
    from orchestrator.aws.objects import S3Objects  # noqa: PLC0415
    from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint  # noqa: PLC0415
    from orchestrator.domain.stack import bucket_name  # noqa: PLC0415
    from orchestrator.web import HttpWeb  # noqa: PLC0415
    from orchestrator.workflows.demo import DemoWorld  # noqa: PLC0415

    environment = world.environment
    url = environment.endpoint_url or ""
    session = AwsSession(Endpoint(environment.region, url, CredentialSource(environment.credentials.value)))

    def bucket(asset_class: str) -> S3Objects:
        name = bucket_name(environment.name, asset_class, environment.account_id)
        return S3Objects(session, name, world.clock)

    return DemoWorld(
        environment=environment,
        stacks=stacks.stacks,
        uploads=bucket("uploads"),
        content=bucket("content"),
        messages=AwsMessages(session),
        balancers=AwsBalancers(session),
        web=HttpWeb(lambda: _fetch(f"{url}/_slipway/ca.pem")),
        clock=world.clock,
        run_id=world.run_id,
    )


def _fetch(url: str) -> str:
    """Return the certificate of the local region's authority, from the region itself."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the environment's own endpoint
        return str(answer.read().decode())
