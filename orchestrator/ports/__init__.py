# SPDX-License-Identifier: Apache-2.0
"""What workflows need of the world. Adapters have these shapes; only cli.py joins them.

Every method raises AwsError (NotFound where the object is asked for by id) or RemoteError, never a library's
own error.
"""

from orchestrator.ports.database_client import DatabaseClient, DatabaseSession
from orchestrator.ports.demo import (
    Balancers,
    Listener,
    Load,
    LoadReport,
    LoadRequest,
    Messages,
    RunningLoad,
    Web,
    WebAnswer,
)
from orchestrator.ports.door_shells import DoorShell, DoorShells, OnMachineLine
from orchestrator.ports.doors import (
    AuditTrail,
    Authority,
    Certificates,
    DatabaseLogins,
    Directory,
    DoorMachine,
    Hop,
    Login,
    Route,
    Routes,
    Terminal,
    Tunnel,
    TunnelOptions,
    Tunnels,
)
from orchestrator.ports.fleets import Fleets, LaunchTemplates, Notices, Targets
from orchestrator.ports.images import Builder, BuildRequest, Images
from orchestrator.ports.machines import Machine, MachineRequest, Machines, Subnet, Tagged
from orchestrator.ports.programs import CommandResult, KeyMaker, Programs, RemoteShell, Shells
from orchestrator.ports.screen import Reporter, StepSink
from orchestrator.ports.stacks import Bundle, Bundles, ChangeSetRequest, Stacks, Templates
from orchestrator.ports.state import HeldLock, Identity, Lock, Locks, Objects, Parameters, StoredObject

__all__ = [
    "AuditTrail",
    "Authority",
    "Balancers",
    "BuildRequest",
    "Builder",
    "Bundle",
    "Bundles",
    "Certificates",
    "ChangeSetRequest",
    "CommandResult",
    "DatabaseClient",
    "DatabaseLogins",
    "DatabaseSession",
    "Directory",
    "DoorMachine",
    "DoorShell",
    "DoorShells",
    "Fleets",
    "HeldLock",
    "Hop",
    "Identity",
    "Images",
    "KeyMaker",
    "LaunchTemplates",
    "Listener",
    "Load",
    "LoadReport",
    "LoadRequest",
    "Lock",
    "Locks",
    "Login",
    "Machine",
    "MachineRequest",
    "Machines",
    "Messages",
    "Notices",
    "Objects",
    "OnMachineLine",
    "Parameters",
    "Programs",
    "RemoteShell",
    "Reporter",
    "Route",
    "Routes",
    "RunningLoad",
    "Shells",
    "Stacks",
    "StepSink",
    "StoredObject",
    "Subnet",
    "Tagged",
    "Targets",
    "Templates",
    "Terminal",
    "Tunnel",
    "TunnelOptions",
    "Tunnels",
    "Web",
    "WebAnswer",
]
