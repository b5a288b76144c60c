# SPDX-License-Identifier: Apache-2.0
"""Fakes of orchestrator/ports.py. The contract tests hold them and the adapters to AWS to the same tests."""

from tests.fakes.basics import START, FakeClock, Recorded
from tests.fakes.doors import FakeAuditTrail, FakeAuthority, FakeDatabaseLogins
from tests.fakes.ec2 import CONSOLE, HOST_KEY, FakeBuilder, FakeImages, FakeMachines
from tests.fakes.facts import FakeFacts
from tests.fakes.fleets import FakeFleets, FakeLaunchTemplates, FakeNotices, FakeTargets, Trouble
from tests.fakes.local import FakeKeyMaker, FakePrograms, FakeReporter, FakeShell, FakeShells
from tests.fakes.stacks import FakeBundles, FakeParameters, FakeStacks, FakeTemplates
from tests.fakes.state import ACCOUNT, FakeHeldLock, FakeIdentity, FakeLocks, FakeObjects

__all__ = [
    "ACCOUNT",
    "CONSOLE",
    "HOST_KEY",
    "START",
    "FakeAuditTrail",
    "FakeAuthority",
    "FakeBuilder",
    "FakeBundles",
    "FakeClock",
    "FakeDatabaseLogins",
    "FakeFleets",
    "FakeFacts",
    "FakeHeldLock",
    "FakeIdentity",
    "FakeImages",
    "FakeKeyMaker",
    "FakeLaunchTemplates",
    "FakeLocks",
    "FakeMachines",
    "FakeNotices",
    "FakeObjects",
    "FakeParameters",
    "FakePrograms",
    "FakeReporter",
    "FakeShell",
    "FakeShells",
    "FakeStacks",
    "FakeTargets",
    "FakeTemplates",
    "Recorded",
    "Trouble",
]
