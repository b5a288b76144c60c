# SPDX-License-Identifier: Apache-2.0
"""Write docs/architecture.md and its pictures from the stacks: `python -m stacks.document`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from stacks.architecture import environment_stacks, network_stacks
from stacks.drawing import draw
from stacks.inputs import NetworkInputs
from stacks.project import environment_inputs, network_inputs, network_names
from stacks.reachability import Wiring, matrix
from stacks.stack import Stack
from stacks.wiring import read
from stacks.write import FUNCTION_KEYS

DOCUMENT = Path("docs/architecture.md")
PICTURES = Path("docs/diagrams")
LOCAL = "sandbox"

_INTRODUCTION = """\
# The architecture

Made from the stacks by `./inv docs`; a test fails when it is out of date.

Every network is a VPC of its own, and nothing leads from one to another: `production` is alone in its VPC;
`dev`, `test` and `qa` share `nonproduction`, its load balancer and its database cluster. Each has three
tiers of subnets in all of its zones. What a network and an environment consist of is in `networks/` and
`environments/`, whose `example.yaml` explain every key; `invoke provision --dry-run` shows what a change of
them would do, and what it would cost.

Stacks read each other's outputs by weak references (`Fn::GetStackOutput`), so no stack's update can be
blocked by another.
"""
_MATRIX = """\
Who can open a TCP connection to whom, and at which ports, of all that a rule names: security groups,
network ACLs in both directions, routes and public addresses, as the templates have them. Tests try each
cell with packets. `ssh_from` are the addresses that the network's file admits to ssh. What is open to the
internet is open to machines as well, through it.
"""


def files(project: Path) -> dict[Path, str]:
    """Return every generated file of the documentation, by its path in the project."""
    inputs = [network_inputs(project, name) for name in network_names(project) if name != LOCAL]
    networks = [(each, _stacks(project, each)) for each in inputs]
    made = {DOCUMENT: "\n".join(_document(networks))}
    for network, stacks in networks:
        made[PICTURES / f"{network.name}.svg"] = draw(network, _wiring(network, stacks))
    return made


def picture(project: Path, network: str) -> str:
    """Return the SVG of a network."""
    inputs = network_inputs(project, network)
    return draw(inputs, _wiring(inputs, _stacks(project, inputs)))


def _stacks(project: Path, inputs: NetworkInputs) -> list[Stack]:
    stacks = [*network_stacks(inputs)]
    for name in sorted(inputs.environments):
        stacks += environment_stacks(environment_inputs(project, name, FUNCTION_KEYS))
    return stacks


def _wiring(inputs: NetworkInputs, stacks: list[Stack]) -> Wiring:
    return read(stacks, operators=inputs.network.ssh_from)


def _document(networks: list[tuple[NetworkInputs, list[Stack]]]) -> Iterator[str]:
    yield _INTRODUCTION
    for inputs, stacks in networks:
        yield f"## {inputs.name}\n\n![The network {inputs.name}](diagrams/{inputs.name}.svg)\n"
        yield _MATRIX
        yield from _table(_wiring(inputs, stacks))
        yield ""
        yield from _stack_table(stacks)
        yield ""


def _table(wiring: Wiring) -> Iterator[str]:
    cells: Mapping[tuple[str, str], tuple[int, ...]] = matrix(wiring)
    names = [place.name for place in wiring.places]
    yield f"| from \\ to | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(names)}"
    for source in names:
        row = (", ".join(map(str, cells.get((source, target), ()))) or "-" for target in names)
        yield f"| **{source}** | {' | '.join(row)} |"


def _stack_table(stacks: list[Stack]) -> Iterator[str]:
    yield "| stack | what it is | resources | reads |"
    yield "|---|---|---|---|"
    for stack in stacks:
        reads = ", ".join(f"`{name.removeprefix('slipway-')}`" for name in stack.depends_on) or "-"
        template = stack.template.to_dict()
        yield f"| `{stack.name}` | {template['Description']} | {len(template['Resources'])} | {reads} |"


def write(project: Path) -> None:
    """Write the files."""
    for path, text in files(project).items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path.cwd())
