# SPDX-License-Identifier: Apache-2.0
"""How long a bake's playbook takes with our settings, and with the defaults of Packer and Ansible."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.cli import Context
from orchestrator.config.tree import stage
from orchestrator.workflows.bake_ami import BakeRequest, observe_and_plan
from orchestrator.workflows.bake_ami.candidate import build_candidate, take_back
from orchestrator.workflows.bake_ami.plan import ClassPlan
from orchestrator.workflows.bake_ami.workbench import workbench
from orchestrator.workflows.world import World
from tests.bench.report import Report, sample
from tests.sandbox.region.conftest import RealRegion

pytestmark = pytest.mark.bench

PROJECT = Path(__file__).resolve().parents[2]
STOCK = Path(__file__).with_name("stock")
CLASS = "base"
ROUNDS = 2
BEGIN, END = "Provisioning with Ansible", "Stopping the source instance"


@dataclass(frozen=True, slots=True)
class Provisioning:
    """One run of the class's playbook."""

    tasks: int
    seconds: float
    installing_s: float

    @property
    def rest_s(self) -> float:
        """Return the seconds without package installation, which depends on the mirror and the disk."""
        return self.seconds - self.installing_s


@pytest.fixture(name="world")
def fixture_world(region: RealRegion, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return what `bake-ami` works with, joined with this run's region."""
    monkeypatch.setenv("SLIPWAY_SANDBOX_PORT", str(urlsplit(region.endpoint).port))
    return Context(PROJECT)._world("sandbox", "bench")


def test_provisioning(report: Report, world: World, tmp_path: Path) -> None:
    plan = observe_and_plan(world, BakeRequest((CLASS,))).classes[0]
    stage(PROJECT, plan.inputs.files, tmp_path / "ours")
    shutil.copytree(tmp_path / "ours", tmp_path / "stock")
    shutil.copy(STOCK / "image.pkr.hcl", tmp_path / "stock" / "packer")
    shutil.copy(STOCK / "ansible.cfg", tmp_path / "stock")
    world = replace(world, project=tmp_path)  # its folders of runs
    rounds = [
        (provision(world, plan, tmp_path / "ours"), provision(world, plan, tmp_path / "stock"))
        for _ in range(ROUNDS)
    ]
    assert len({run.tasks for pair in rounds for run in pair}) == 1, f"not the same roles: {rounds}"
    ours, stock = zip(*rounds, strict=True)
    what = f"class `{CLASS}`, {ours[0].tasks} tasks"
    report.add(
        "provisioning",
        (
            sample(f"{what}: ours", [run.seconds for run in ours], unit="s", digits=1),
            sample(f"{what}: stock", [run.seconds for run in stock], unit="s", digits=1),
            sample("ratio, stock to ours", [b.seconds / a.seconds for a, b in rounds], unit=""),
            sample("ours, installing packages", [run.installing_s for run in ours], unit="s", digits=1),
            sample("stock, installing packages", [run.installing_s for run in stock], unit="s", digits=1),
            sample("ratio without installing packages", [b.rest_s / a.rest_s for a, b in rounds], unit=""),
        ),
    )


def provision(world: World, plan: ClassPlan, context: Path) -> Provisioning:
    """Bake a candidate as `bake-ami` does, take it back, and return how long the playbook took."""
    steps: list[tuple[float, str]] = []
    source = plan.inputs.source
    assert source is not None
    subnet = world.machines.public_subnet(world.environment.network)
    with workbench(world, plan.name, subnet=subnet, operator_cidr=world.operator_cidr()) as bench:
        shutil.copytree(context, bench.folder / "context")
        image = build_candidate(
            world,
            plan,
            foundation_ami_id=source.ami_id,
            bench=bench,
            on_step=lambda text: steps.append((time.perf_counter(), text)),
        )
        take_back(world, image)
    return read_steps(steps)


def read_steps(steps: list[tuple[float, str]]) -> Provisioning:
    """Return what the steps, each with the time it began, say about the playbook."""
    texts = [text for _, text in steps]
    begin = next(place for place, text in enumerate(texts) if text.startswith(BEGIN))
    end = next(place for place, text in enumerate(texts) if text.startswith(END))
    within = steps[begin : end + 1]
    lengths = [(after - before, text) for (before, text), (after, _) in zip(within, within[1:], strict=False)]
    return Provisioning(
        tasks=len(lengths) - 1,  # the first is Ansible's start
        seconds=steps[end][0] - steps[begin][0],
        installing_s=sum(seconds for seconds, text in lengths if is_installation(text)),
    )


def is_installation(step: str) -> bool:
    """Tell whether the task has apt install or upgrade something."""
    name = step.rpartition(" : ")[2]
    return name.startswith(("Install", "Upgrade", "Update"))
