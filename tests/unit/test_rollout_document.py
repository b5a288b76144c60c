# SPDX-License-Identifier: Apache-2.0
"""Records of rollouts as JSON, and how they are changed by several at once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orchestrator.domain.forecast.course import Spread
from orchestrator.domain.refresh import ProtectedInstances, RefreshPreferences
from orchestrator.domain.rollout.document import from_json, to_json
from orchestrator.domain.rollout.progress import FailureKind, MachineFailure
from orchestrator.domain.rollout.record import Happened, Note, Pause, Phase, RolloutRecord
from orchestrator.errors import Refused
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.names import rollout_id
from tests.unit.rollout_world import Lab

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAIN = RolloutRecord(
    rollout_id="rollout-20260101T120000-abcdef",
    environment="dev",
    fleet="api",
    group="slipway-dev-api",
    begun_by="ann@laptop",
    begun_at=NOW,
    template_id="lt-1",
    old_version=1,
    old_ami_id="ami-1",
    new_ami_id="ami-2",
    preferences=RefreshPreferences(),
    max_failures=2,
    predicted_s=Spread(1, 2, 3),
)
FULL = replace(
    PLAIN,
    phase=Phase.ROLLED_BACK,
    preferences=RefreshPreferences(
        checkpoint_percentages=(25, 100),
        checkpoint_delay_s=60,
        alarms=("a",),
        scale_in_protected_instances=ProtectedInstances.WAIT,
    ),
    new_version=2,
    refresh_ids=("r-1", "r-2"),
    pause=Pause("bob", NOW),
    failures=(MachineFailure("i-1", FailureKind.HOOK, "late", NOW, "activity", ("one", "two")),),
    notes=(Note(NOW, Happened.BEGUN, "x"),),
    ended_at=NOW,
    passed_checkpoint=25,
)


@pytest.mark.parametrize("record", [PLAIN, FULL], ids=["plain", "full"])
def test_a_record_is_read_as_it_was_written(record: RolloutRecord) -> None:
    assert from_json(to_json(record)) == record
    assert to_json(from_json(to_json(record))) == to_json(record)


def test_what_a_later_version_adds_is_left_out() -> None:
    document = json.loads(to_json(FULL)) | {"added": 1}
    document["preferences"]["added"] = 1
    assert from_json(json.dumps(document).encode()) == FULL


NO_RECORDS = {
    "nothing": b"",
    "a list": b"[]",
    "no schema": b"{}",
    "another schema": b'{"schema": 2}',
    "a field too few": b'{"schema": 1}',
    "an unknown phase": to_json(PLAIN).replace(b'"begun"', b'"unheard of"'),
}


@pytest.mark.parametrize("body", NO_RECORDS.values(), ids=NO_RECORDS.keys())
def test_what_is_no_record_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        from_json(body)


def test_a_record_that_cannot_be_read_changes_nothing() -> None:
    lab = Lab()
    lab.objects.objects["records/rollout/api/rollout-1.json"] = b'{"schema": 9}'
    with pytest.raises(Refused, match="schema 9"):
        lab.plan()


def test_changes_of_two_terminals_are_both_kept() -> None:
    lab = Lab()
    world = lab.world()
    kept = records.begin(world, PLAIN)
    records.change(world, kept, lambda each: replace(each, pause=Pause("bob", NOW)))
    changed = records.change(world, kept, lambda each: replace(each, phase=Phase.VERSIONED))
    assert (changed.record.pause, changed.record.phase) == (Pause("bob", NOW), Phase.VERSIONED)
    assert records.latest(world, "api") == changed


def test_a_second_record_of_the_same_id_is_refused() -> None:
    lab = Lab()
    records.begin(lab.world(), PLAIN)
    assert records.begin(lab.world(), PLAIN).record == PLAIN
    with pytest.raises(Refused, match="already"):
        records.begin(lab.world(), replace(PLAIN, begun_by="bob"))


def test_ids_of_rollouts_sort_by_time_whichever_command_begins_them() -> None:
    first, later = (
        rollout_id("rollout.rollback-20260101T120000-ffffff"),
        rollout_id("rollout-20260101T120001-000000"),
    )
    assert first == "rollout-20260101T120000-ffffff"
    assert first < later
