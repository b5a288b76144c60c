# SPDX-License-Identifier: Apache-2.0
"""What a fresh machine of an image must be like, judged from the report of the probe that ran on it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.domain.manifest import Contents
from orchestrator.errors import RemoteError

RUNNING = "running"
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Check:
    """What a class asks of a machine: a shell command, run as root, that has to end with 0."""

    name: str
    command: str
    timeout_s: float = 30.0


class FindingKind(StrEnum):
    """What a finding is about."""

    SYSTEMD = "systemd"
    UNIT = "unit"
    CHECK = "check"
    HYGIENE = "hygiene"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an image does not pass. `detail` may have several lines."""

    kind: FindingKind
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: {self.detail}"


@dataclass(frozen=True, slots=True)
class FailedUnit:
    """A unit of systemd that failed, with its last lines in the journal."""

    name: str
    journal: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that came with the image and must not."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How a check of the class ended."""

    name: str
    status: int
    output: str


@dataclass(frozen=True, slots=True)
class BootReport:
    """What the probe saw."""

    system_state: str
    failed_units: tuple[FailedUnit, ...]
    leftovers: tuple[Leftover, ...]
    checks: tuple[CheckResult, ...]
    broken_packages: tuple[str, ...]
    contents: Contents
    seconds: float = 0.0


def parse_report(text: str) -> BootReport:
    """Return the report in the probe's output.

    Raises:
        RemoteError: The output is no report.
    """
    lines = text.strip().splitlines()
    try:
        return _report(json.loads(lines[-1] if lines else ""))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        shown = tuple(line[:_SHOWN] for line in lines[-10:])
        raise RemoteError("probe: its output is no report", status=0, output=shown) from exc


def judge(report: BootReport) -> tuple[Finding, ...]:
    """Return all that keeps the image from being published; nothing means that it passed."""
    return (
        *_system_findings(report),
        *(_unit_finding(unit) for unit in report.failed_units),
        *(_check_finding(check) for check in report.checks if check.status != 0),
        *(Finding(FindingKind.PACKAGE, name, "not fully installed") for name in report.broken_packages),
        *(Finding(FindingKind.HYGIENE, each.path, each.why) for each in report.leftovers),
    )


def _system_findings(report: BootReport) -> tuple[Finding, ...]:
    """A state that failed units explain is no finding of its own."""
    if report.system_state == RUNNING or (report.system_state == "degraded" and report.failed_units):
        return ()
    return (Finding(FindingKind.SYSTEMD, "state", f"{report.system_state or 'unknown'}, not {RUNNING}"),)


def _unit_finding(unit: FailedUnit) -> Finding:
    journal = "".join(f"\n  {line}" for line in unit.journal)
    return Finding(FindingKind.UNIT, unit.name, f"failed{journal}")


def _check_finding(check: CheckResult) -> Finding:
    output = "".join(f"\n  {line}" for line in check.output.splitlines())
    return Finding(FindingKind.CHECK, check.name, f"exit code {check.status}{output}")


def _report(document: dict[str, Any]) -> BootReport:
    return BootReport(
        system_state=str(document["system_state"]),
        failed_units=tuple(
            FailedUnit(unit["name"], tuple(unit["journal"])) for unit in document["failed_units"]
        ),
        leftovers=tuple(Leftover(each["path"], each["why"]) for each in document["leftovers"]),
        checks=tuple(
            CheckResult(check["name"], int(check["status"]), check["output"]) for check in document["checks"]
        ),
        broken_packages=tuple(document["broken_packages"]),
        contents=Contents.from_document(document["contents"]),
        seconds=float(document["seconds"]),
    )
