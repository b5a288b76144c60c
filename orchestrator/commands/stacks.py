# SPDX-License-Identifier: Apache-2.0
"""The commands about stacks, joined with AWS: the part of the composition root that they share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.config.loader import load_environment
from orchestrator.config.scope import NetworkScope, load_scope
from orchestrator.errors import ConfigError
from orchestrator.workflows.provision.world import Network, ProvisionWorld, Request, Store

if TYPE_CHECKING:
    from orchestrator.aws.session import AwsSession
    from orchestrator.cli import StackWords
    from orchestrator.ports import Templates

# Plans that somebody's work overtakes are made anew so often.
_ROUNDS = 3
DEFAULT_ENVIRONMENT = "sandbox"

Show = Callable[[object, Sequence[str]], None]
MakeTemplates = Callable[[Path, str], "Templates"]


@dataclass(frozen=True, slots=True)
class Place:
    """The project, and what is around this process."""

    project: Path
    environ: Mapping[str, str]
    endpoint_port: int | None
    make_templates: MakeTemplates


def choose(
    place: Place, words: StackWords, verb: str, *, of_environment: Network
) -> tuple[NetworkScope, Request]:
    """Return what a choice means.

    Args:
        of_environment: Whether the network belongs to the choice of a single environment.

    Raises:
        ConfigError: Not exactly one thing is chosen, or it does not exist.
    """
    if bool(words.network) + bool(words.environment) != 1 and not words.is_all:
        raise ConfigError(verb, (f"{verb}: name one of --network, --environment and --all",))
    if words.network and words.environment:
        raise ConfigError(verb, (f"{verb}: --network and --environment exclude each other",))
    name = words.environment or ("" if words.network else DEFAULT_ENVIRONMENT)
    network = words.network
    if name:
        network = load_environment(place.project, name, endpoint_port=place.endpoint_port).network
    scope = load_scope(place.project, network, endpoint_port=place.endpoint_port)
    environments: tuple[str, ...] = (name,)
    title, whether = f"environment {name}", of_environment
    if words.network:
        title, environments, whether = f"network {network}", (), Network.YES
    if words.is_all:
        title = f"network {network} with all in it"
        environments, whether = tuple(scope.environments), Network.YES
    request = Request(
        title=f"{title} (account {scope.first.account_id}, {scope.first.region})",
        command=_typed(words, verb),
        network=whether,
        environments=environments,
        allowed=frozenset(words.allowed),
    )
    return scope, request


def _typed(words: StackWords, verb: str) -> str:
    """Return how the command was typed, so that it can be typed again."""
    said = [f"invoke {verb}"]
    said += [f"--network {words.network}"] if words.network else []
    said += [f"--environment {words.environment}"] if words.environment else []
    said += ["--all"] if words.is_all else []
    return " ".join((*said, *(f"--allow-replace {each}" for each in words.allowed)))


def provision(place: Place, words: StackWords, show: Show, *, is_dry_run: bool, is_confirmed: bool) -> None:
    """Plan, and unless it is a dry run bring up what the plan says."""
    scope, request = choose(place, words, "provision", of_environment=Network.IF_MISSING)
    world = join(place, scope, "provision")
    bring_up(world, request, show, is_dry_run=is_dry_run, is_confirmed=is_confirmed)


def bring_up(
    world: ProvisionWorld,
    request: Request,
    show: Show,
    *,
    is_dry_run: bool = False,
    is_confirmed: bool = False,
) -> None:
    """Plan, show the plan, and unless it is a dry run carry it out."""
    from orchestrator.console import reporter  # noqa: PLC0415
    from orchestrator.workflows import provision as workflow  # noqa: PLC0415

    for _ in range(_ROUNDS):
        with workflow.planned(world, request) as draft:
            plan = draft.plan
            if is_dry_run or plan.is_empty:
                show(plan.as_dict(), workflow.plan_lines(plan))
                return
            if not plan.busy:
                sys.stderr.write("".join(f"{line}\n" for line in workflow.plan_lines(plan)))
                workflow.confirm(world, request, plan, is_confirmed=is_confirmed)
                with reporter("provision") as console:
                    result = workflow.apply(world, request, draft, console)
                show(result.as_dict(), result.lines())
                return
        with reporter("provision") as console:
            workflow.follow_busy(world, request, console)
    workflow.confirm(world, request, plan, is_confirmed=is_confirmed)


def drift(place: Place, words: StackWords, show: Show) -> None:
    """Compare, print what differs, and fail if something does."""
    from orchestrator.console import reporter  # noqa: PLC0415
    from orchestrator.workflows import drift as workflow  # noqa: PLC0415

    scope, request = choose(place, words, "drift", of_environment=Network.NO)
    world = join(place, scope, "drift")
    with reporter("drift") as console:
        report = workflow.look(world, request, console)
    if not (words.as_json and report.drifts):  # the error is the document then
        show(report.as_dict(), report.lines())
    workflow.refuse_drift(request, report)


def destroy(place: Place, words: StackWords, show: Show, *, is_dry_run: bool, is_confirmed: bool) -> None:
    """Plan, and unless it is a dry run delete what the plan says."""
    from orchestrator.console import reporter  # noqa: PLC0415
    from orchestrator.workflows import destroy as workflow  # noqa: PLC0415

    scope, request = choose(place, words, "destroy", of_environment=Network.NO)
    world = join(place, scope, "destroy")
    plan = workflow.observe_and_plan(world, request)
    if is_dry_run or plan.is_empty:
        show(plan.as_dict(), plan.lines())
        return
    workflow.confirm(request, is_confirmed=is_confirmed)
    with reporter("destroy") as console:
        result = workflow.apply(world, request, plan, console)
    show(result.as_dict(), result.lines())


def join(place: Place, scope: NetworkScope, verb: str) -> ProvisionWorld:
    """Build the clients of a network's account and hand them to a workflow as ports."""
    from orchestrator.aws.cloudformation import AwsStacks  # noqa: PLC0415
    from orchestrator.aws.fleets import AwsFleets  # noqa: PLC0415
    from orchestrator.aws.identity import AwsIdentity  # noqa: PLC0415
    from orchestrator.aws.images import AwsImages  # noqa: PLC0415
    from orchestrator.aws.launch_templates import AwsLaunchTemplates  # noqa: PLC0415
    from orchestrator.aws.parameters import SsmParameters  # noqa: PLC0415
    from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint  # noqa: PLC0415
    from orchestrator.clock import SystemClock  # noqa: PLC0415
    from orchestrator.config.prices import load_prices  # noqa: PLC0415
    from orchestrator.tools.bundles import FunctionBundles  # noqa: PLC0415
    from orchestrator.tools.process import Processes  # noqa: PLC0415
    from orchestrator.workflows.world import StoppableClock, new_run_id  # noqa: PLC0415

    clock, first = SystemClock(), scope.first
    credentials = CredentialSource(first.credentials.value)
    session = AwsSession(Endpoint(first.region, first.endpoint_url or "", credentials))
    run_id = new_run_id(verb, clock)
    return ProvisionWorld(
        scope=scope,
        stacks=AwsStacks(session),
        templates=place.make_templates(place.project, scope.name),
        bundles=FunctionBundles(
            place.project, Processes(run_id), python=Path(sys.executable), environ=place.environ
        ),
        parameters=SsmParameters(session),
        images=AwsImages(session, clock),
        fleets=AwsFleets(session),
        launch_templates=AwsLaunchTemplates(session),
        identity=AwsIdentity(session),
        stores={name: _store(session, scope, name) for name in scope.environments},
        prices=load_prices(place.project),
        clock=StoppableClock(clock),
        run_id=run_id,
        aws=f"aws --endpoint-url {first.endpoint_url}" if first.endpoint_url else "aws",
    )


def _store(session: AwsSession, scope: NetworkScope, name: str) -> Store:
    from orchestrator.aws.objects import S3Objects  # noqa: PLC0415
    from orchestrator.clock import SystemClock  # noqa: PLC0415
    from orchestrator.domain.stack import bucket_name  # noqa: PLC0415
    from orchestrator.locks import ObjectLocks  # noqa: PLC0415

    clock, environment = SystemClock(), scope.environments[name]
    objects = S3Objects(session, environment.config_bucket, clock)
    lease = timedelta(seconds=environment.bake.lease_seconds)
    bundles = bucket_name(name, "bundles", environment.account_id)
    return Store(objects, ObjectLocks(objects, clock, lease=lease), S3Objects(session, bundles, clock))
