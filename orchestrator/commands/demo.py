# SPDX-License-Identifier: Apache-2.0
"""The demo, joined with AWS: provision, bake, provision what waited for images, try it all, and roll it."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.commands.stacks import Place, bring_up, choose, join
from orchestrator.commands.tunnel_words import ENGINES
from orchestrator.workflows.provision.world import Network

if TYPE_CHECKING:
    from orchestrator.ports import Load
    from orchestrator.workflows.demo import DemoWorld, Shown
    from orchestrator.workflows.provision.world import ProvisionWorld
    from orchestrator.workflows.world import World

ENVIRONMENT = "sandbox"


def demo(place: Place, world: World) -> Shown:
    """Bring the local environment up and try it; what is there already is left as it is."""
    from orchestrator.cli import StackWords  # noqa: PLC0415 - that module imports this one
    from orchestrator.console import reporter  # noqa: PLC0415
    from orchestrator.workflows import bake_ami  # noqa: PLC0415

    words = StackWords(environment=ENVIRONMENT)
    scope, request = choose(place, words, "provision", of_environment=Network.YES)
    stacks = join(place, scope, "demo")
    bring_up(stacks, replace(request, may_wait=True), _tell)
    with reporter("demo") as console:
        plan = bake_ami.observe_and_plan(world, bake_ami.BakeRequest(()))
        bake_ami.apply(world, plan, console)
    bring_up(stacks, request, _tell)
    return _show(place, world, _join(world, stacks))


def _show(place: Place, world: World, demo_world: DemoWorld) -> Shown:
    """Try the environment while the next images are baked, then roll them out."""
    from orchestrator.commands import db_tunnel, rollout_world  # noqa: PLC0415
    from orchestrator.console.rollout import rollout_view  # noqa: PLC0415
    from orchestrator.workflows import demo as workflow  # noqa: PLC0415

    with rollout_view("demo") as view:
        rollouts = workflow.RolloutDemo(
            world=rollout_world.join(place, world.environment),
            load=_load(world),
            show=view.show,
            addresses=workflow.page_addresses(demo_world),
            host=world.environment.host or "",
        )
        with workflow.baking(world, workflow.variants_wanted(rollouts), view) as variants:
            shown = workflow.show(demo_world, view)
            view.step("demo", "querying the database through the double tunnel")
            queried = workflow.query(db_tunnel.join(place, world.environment, ENGINES[0]), view)
            return replace(shown, queried=queried, rolled=workflow.roll_both(rollouts, variants, view))


def _load(world: World) -> Load:
    from orchestrator.tools.load import TlsLoad  # noqa: PLC0415
    from orchestrator.tools.process import Processes  # noqa: PLC0415

    authority = f"{world.environment.endpoint_url}/_slipway/ca.pem"
    return TlsLoad(
        lambda: Processes(world.run_id), python=Path(sys.executable), authority=lambda: _fetch(authority)
    )


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
