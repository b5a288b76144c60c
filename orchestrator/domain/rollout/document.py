# SPDX-License-Identifier: Apache-2.0
"""Records of rollouts as JSON. Pure.

What a later version of Slipway adds is left out when an older one reads it, so that two operators with
different versions can work on one fleet; another schema is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from orchestrator.domain.forecast.course import Spread
from orchestrator.domain.refresh import ProtectedInstances, RefreshPreferences, StandbyInstances
from orchestrator.domain.rollout.progress import FailureKind, MachineFailure
from orchestrator.domain.rollout.record import SCHEMA, Note, Pause, Phase, RolloutRecord


def to_document(record: RolloutRecord) -> dict[str, Any]:
    """Return a record as plain data, with times as ISO 8601."""
    document: dict[str, Any] = _plain({"schema": SCHEMA, **asdict(record)})
    return document


def to_json(record: RolloutRecord) -> bytes:
    """Return a record as the body of an object: the same for the same record."""
    return json.dumps(to_document(record), indent=2, sort_keys=True).encode()


def from_json(body: bytes) -> RolloutRecord:
    """Read a record; raises ValueError when the body is none, or one of another schema."""
    try:
        document = json.loads(body)
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']}, known is {SCHEMA}")
        return RolloutRecord(**_known(RolloutRecord, document) | _typed(document))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not a record of a rollout: {exc!r}") from exc


def _typed(document: Mapping[str, Any]) -> dict[str, Any]:
    pause = document["pause"]
    return {
        "begun_at": datetime.fromisoformat(document["begun_at"]),
        "ended_at": _time_or_none(document["ended_at"]),
        "preferences": _preferences(document["preferences"]),
        "predicted_s": Spread(**document["predicted_s"]),
        "phase": Phase(document["phase"]),
        "refresh_ids": tuple(document["refresh_ids"]),
        "pause": Pause(pause["by"], datetime.fromisoformat(pause["at"])) if pause else None,
        "failures": tuple(map(_failure, document["failures"])),
        "notes": tuple(map(_note, document["notes"])),
    }


def _preferences(document: Mapping[str, Any]) -> RefreshPreferences:
    typed = {
        "checkpoint_percentages": tuple(document["checkpoint_percentages"]),
        "scale_in_protected_instances": ProtectedInstances(document["scale_in_protected_instances"]),
        "standby_instances": StandbyInstances(document["standby_instances"]),
        "alarms": tuple(document["alarms"]),
    }
    return RefreshPreferences(**_known(RefreshPreferences, document) | typed)


def _failure(document: Mapping[str, Any]) -> MachineFailure:
    typed = {
        "kind": FailureKind(document["kind"]),
        "at": datetime.fromisoformat(document["at"]),
        "console": tuple(document["console"]),
    }
    return MachineFailure(**_known(MachineFailure, document) | typed)


def _note(document: Mapping[str, Any]) -> Note:
    return Note(datetime.fromisoformat(document["at"]), str(document["what"]), str(document["says"]))


def _known(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in document.items() if name in names}


def _time_or_none(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
