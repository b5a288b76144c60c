# SPDX-License-Identifier: Apache-2.0
"""The outputs of a stack, and the exports among them.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
"""

from __future__ import annotations

from sandbox.cloudformation.changes import value_of
from sandbox.cloudformation.graph import Reference
from sandbox.cloudformation.intrinsics import Unresolvable
from sandbox.cloudformation.planning import Plan, output_values
from sandbox.cloudformation.stacks import Output, Stack, Stacks
from sandbox.cloudformation.world import World


def put_outputs(world: World, stack: Stack, plan: Plan) -> None:
    """Resolve a stack's outputs and put them in force.

    Raises:
        Unresolvable: an output can't be resolved, or an export's name is taken, or changed while in use.
    """

    def refer(reference: Reference) -> object:
        with world.lock:
            return value_of(stack.resources[reference.name], reference)

    found = output_values(plan, plan.scope(refer))
    outputs = [Output(name, **stated) for name, stated in found.items()]
    with world.lock:
        check_exports(world.stacks(), stack, outputs)
        stack.outputs = outputs
        stack.imports = frozenset(plan.lookups.imported)


def check_exports(stacks: Stacks, stack: Stack, outputs: list[Output]) -> None:
    """Refuse exports that another stack has, and changes to those that another imports.

    Raises:
        Unresolvable: naming the export and the other stack.
    """
    exports = stacks.exports()
    after = {each.export: each.value for each in outputs if each.export}
    for name in after:
        if name in exports and exports[name][0] is not stack:
            raise Unresolvable(
                f"Export with name {name} is already exported by stack {exports[name][0].name}"
            )
    for each in stack.outputs:
        if each.export and (users := importers(stacks, each.export)):
            if each.export not in after:
                raise Unresolvable(
                    f"Cannot delete export {each.export} as it is in use by {', '.join(users)}"
                )
            if after[each.export] != each.value:
                raise Unresolvable(
                    f"Cannot update export {each.export} as it is in use by {', '.join(users)}"
                )


def importers(stacks: Stacks, export: str) -> list[str]:
    """Return the names of the stacks that import an export."""
    return [stack.name for stack in stacks.living() if export in stack.imports]
