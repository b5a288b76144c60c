# SPDX-License-Identifier: Apache-2.0
"""Fakes and adapters have the ports' methods, with the same parameters."""

from __future__ import annotations

import inspect

import pytest

from orchestrator import ports
from orchestrator.aws.audit_trail import AwsAuditTrail
from orchestrator.aws.authority import KmsAuthority
from orchestrator.aws.cloudformation import AwsStacks
from orchestrator.aws.database_logins import AwsDatabaseLogins
from orchestrator.aws.directory import AwsDirectory
from orchestrator.aws.fleets import AwsFleets
from orchestrator.aws.identity import AwsIdentity
from orchestrator.aws.images import AwsImages
from orchestrator.aws.launch_templates import AwsLaunchTemplates
from orchestrator.aws.machines import AwsMachines
from orchestrator.aws.notices import AwsNotices
from orchestrator.aws.objects import S3Objects
from orchestrator.aws.parameters import SsmParameters
from orchestrator.aws.targets import AwsTargets
from orchestrator.locks import ObjectLocks
from orchestrator.ssh.certificates import OpenSshCertificates
from orchestrator.ssh.client import SshShell, SshShells
from orchestrator.ssh.keys import Ed25519KeyMaker
from orchestrator.tools.bundles import FunctionBundles
from orchestrator.tools.openssh_shells import OpenSshShell, OpenSshShells
from orchestrator.tools.terminal import OwnTerminal
from stacks.synthesis import ProjectTemplates
from tests import fakes
from tests.fakes.directory import FakeDirectory

PAIRS = [
    (ports.Images, AwsImages),
    (ports.Images, fakes.FakeImages),
    (ports.Machines, AwsMachines),
    (ports.Machines, fakes.FakeMachines),
    (ports.Objects, S3Objects),
    (ports.Objects, fakes.FakeObjects),
    (ports.Identity, AwsIdentity),
    (ports.Identity, fakes.FakeIdentity),
    (ports.Authority, KmsAuthority),
    (ports.Authority, fakes.FakeAuthority),
    (ports.AuditTrail, AwsAuditTrail),
    (ports.AuditTrail, fakes.FakeAuditTrail),
    (ports.DatabaseLogins, AwsDatabaseLogins),
    (ports.DatabaseLogins, fakes.FakeDatabaseLogins),
    (ports.Certificates, OpenSshCertificates),
    (ports.Directory, AwsDirectory),
    (ports.Directory, FakeDirectory),
    (ports.DoorShells, OpenSshShells),
    (ports.DoorShell, OpenSshShell),
    (ports.Terminal, OwnTerminal),
    (ports.KeyMaker, Ed25519KeyMaker),
    (ports.KeyMaker, fakes.FakeKeyMaker),
    (ports.Shells, SshShells),
    (ports.Shells, fakes.FakeShells),
    (ports.RemoteShell, SshShell),
    (ports.RemoteShell, fakes.FakeShell),
    (ports.Builder, fakes.FakeBuilder),
    (ports.Reporter, fakes.FakeReporter),
    (ports.Locks, ObjectLocks),
    (ports.Locks, fakes.FakeLocks),
    (ports.Programs, fakes.FakePrograms),
    (ports.Parameters, SsmParameters),
    (ports.Parameters, fakes.FakeParameters),
    (ports.Stacks, AwsStacks),
    (ports.Stacks, fakes.FakeStacks),
    (ports.Templates, ProjectTemplates),
    (ports.Templates, fakes.FakeTemplates),
    (ports.Bundles, FunctionBundles),
    (ports.Bundles, fakes.FakeBundles),
    (ports.Fleets, AwsFleets),
    (ports.Fleets, fakes.FakeFleets),
    (ports.LaunchTemplates, AwsLaunchTemplates),
    (ports.LaunchTemplates, fakes.FakeLaunchTemplates),
    (ports.Targets, AwsTargets),
    (ports.Targets, fakes.FakeTargets),
    (ports.Notices, AwsNotices),
    (ports.Notices, fakes.FakeNotices),
]


def methods(port: type) -> dict[str, list[str]]:
    found = inspect.getmembers(port, inspect.isfunction)
    return {
        name: [str(parameter.replace(annotation=inspect.Parameter.empty)) for parameter in signature(method)]
        for name, method in found
        if not name.startswith("_")
    }


def signature(method: object) -> list[inspect.Parameter]:
    return list(inspect.signature(method).parameters.values())  # type: ignore[arg-type]


@pytest.mark.parametrize(("port", "implementation"), PAIRS, ids=lambda each: each.__name__)
def test_an_implementation_takes_what_its_port_says(port: type, implementation: type) -> None:
    wanted, found = methods(port), methods(implementation)
    assert wanted
    assert {name: found.get(name) for name in wanted} == wanted
