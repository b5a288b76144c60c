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
from tests.bench.report import Report, Row
from tests.sandbox.region.conftest import RealRegion

pytestmark = pytest.mark.bench

PROJECT = Path(__file__).resolve().parents[2]
STOCK = Path(__file__).with_name("stock")
CLASS = "base"
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
    ours = provision(world, plan, tmp_path / "ours", is_stock=False)
    stock = provision(world, plan, tmp_path / "stock", is_stock=True)
    assert ours.tasks == stock.tasks, "not the same roles"
    what = f"class `{CLASS}`, {ours.tasks} tasks"
    report.add(
        "provisioning",
        (
            Row(
                f"{what}: ours", f"{ours.seconds:.1f} s", f"{ours.installing_s:.1f} s of it install packages"
            ),
            Row(
                f"{what}: stock",
                f"{stock.seconds:.1f} s",
                f"{stock.installing_s:.1f} s of it install packages",
            ),
            Row("ratio, stock to ours", f"{stock.seconds / ours.seconds:.1f}"),
            Row("ratio without the installation of packages", f"{stock.rest_s / ours.rest_s:.1f}"),
        ),
    )


def provision(world: World, plan: ClassPlan, project: Path, *, is_stock: bool) -> Provisioning:
    """Bake a candidate as `bake-ami` does, take it back, and return how long the playbook took."""
    steps: list[tuple[float, str]] = []
    world = replace(world, project=project)  # where the run's folder is
    source = plan.inputs.source
    assert source is not None
    subnet = world.machines.public_subnet(world.environment.network)
    with workbench(world, plan.name, subnet=subnet, operator_cidr=world.operator_cidr()) as bench:
        context = bench.folder / "context"
        stage(PROJECT, plan.inputs.files, context)
        if is_stock:
            shutil.copy(STOCK / "image.pkr.hcl", context / "packer")
            shutil.copy(STOCK / "ansible.cfg", context)
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
