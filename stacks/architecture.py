# SPDX-License-Identifier: Apache-2.0
"""All stacks of a network and of an environment, in the order in which they go up."""

from __future__ import annotations

from stacks import (
    access,
    audit,
    balancer,
    cdn,
    database,
    fleets,
    functions,
    network,
    operations,
    queues,
    security,
    state,
    storage,
)
from stacks.inputs import EnvironmentInputs, NetworkInputs
from stacks.stack import Stack


def network_stacks(inputs: NetworkInputs) -> tuple[Stack, ...]:
    """Return the stacks of a network: no database and no balancer where its file has none."""
    modules = [network, security]
    if inputs.network.database:
        modules.append(database)
    if inputs.network.domain:
        modules.append(balancer)
    modules.append(audit)
    return tuple(module.synthesise(inputs) for module in modules)


def environment_stacks(inputs: EnvironmentInputs) -> tuple[Stack, ...]:
    """Return the stacks of an environment, whose network's go up before."""
    modules = (state, queues, functions, storage, cdn, access, fleets, operations)
    return tuple(module.synthesise(inputs) for module in modules)
