# SPDX-License-Identifier: Apache-2.0
"""The world of doors, joined with AWS and the system's OpenSSH; and the commands that use the latter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.commands.rollout_world import operator
from orchestrator.commands.stacks import DEFAULT_ENVIRONMENT, Place, Show
from orchestrator.config.loader import load_environment

if TYPE_CHECKING:
    from orchestrator.commands.shell_words import ShellWords
    from orchestrator.config.models import Environment
    from orchestrator.tools.openssh_shells import OpenSshShells
    from orchestrator.workflows.doors.world import DoorWorld

# Programs of ours that are told to end have nothing to clean up.
_GRACE_S = 5.0


def join(place: Place, environment: Environment, verb: str) -> DoorWorld:
    """Build the clients of an environment and hand them to workflows as ports."""
    from orchestrator.aws.audit_trail import AwsAuditTrail  # noqa: PLC0415
    from orchestrator.aws.authority import KmsAuthority  # noqa: PLC0415
    from orchestrator.aws.cloudformation import AwsStacks  # noqa: PLC0415
    from orchestrator.aws.database_ca import DatabaseCa  # noqa: PLC0415
    from orchestrator.aws.database_logins import AwsDatabaseLogins  # noqa: PLC0415
    from orchestrator.aws.directory import AwsDirectory  # noqa: PLC0415
    from orchestrator.aws.identity import AwsIdentity  # noqa: PLC0415
    from orchestrator.aws.parameters import SsmParameters  # noqa: PLC0415
    from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint  # noqa: PLC0415
    from orchestrator.clock import SystemClock  # noqa: PLC0415
    from orchestrator.ssh.certificates import OpenSshCertificates  # noqa: PLC0415
    from orchestrator.workflows.doors.world import DoorWorld  # noqa: PLC0415
    from orchestrator.workflows.world import new_run_id  # noqa: PLC0415

    clock = SystemClock()
    credentials = CredentialSource(environment.credentials.value)
    session = AwsSession(Endpoint(environment.region, environment.endpoint_url or "", credentials))
    return DoorWorld(
        environment=environment,
        directory=AwsDirectory(session),
        parameters=SsmParameters(session),
        authority=KmsAuthority(session, environment.name),
        certificates=OpenSshCertificates(),
        identity=AwsIdentity(session),
        stacks=AwsStacks(session),
        audit=AwsAuditTrail(session, environment.name, environment.account_id, clock),
        logins=AwsDatabaseLogins(session),
        clock=clock,
        operator=operator(place.environ),
        run_id=new_run_id(verb.rpartition(".")[2], clock),
        database_ca=DatabaseCa(environment.database_ca_url).certificates,
    )


def ssh(place: Place, words: ShellWords, show: Show) -> int:
    """Visit machines and return the exit code."""
    from orchestrator.console.doors import ShellOutput  # noqa: PLC0415
    from orchestrator.workflows.doors import shell  # noqa: PLC0415
    from orchestrator.workflows.doors.shell_plan import observe_and_plan  # noqa: PLC0415

    name = words.environment or DEFAULT_ENVIRONMENT
    environment = load_environment(place.project, name, endpoint_port=place.endpoint_port)
    world = join(place, environment, "ssh")
    request = words.request()
    plan = observe_and_plan(world, request)
    shells = _shells(place, world)
    screen = ShellOutput(plan.longest_name, is_silent=words.as_json)
    if not (words.is_all or words.as_json):
        return shell.attend(world, plan, request, shells, screen)
    outcomes = shell.on_each(world, plan, request, shells, screen)
    if words.as_json:
        show({"machines": [each.as_dict() for each in outcomes]}, ())
    else:
        screen.summary(outcomes)
    return shell.highest(outcomes)


def _shells(place: Place, world: DoorWorld) -> OpenSshShells:
    from orchestrator.tools.openssh_shells import OpenSshShells  # noqa: PLC0415
    from orchestrator.tools.process import Processes  # noqa: PLC0415
    from orchestrator.tools.terminal import OwnTerminal  # noqa: PLC0415

    return OpenSshShells(
        Processes(world.run_id, grace_s=_GRACE_S),
        OwnTerminal(),
        environ=place.environ,
        environment=world.environment.name,
        clock=world.clock,
    )
