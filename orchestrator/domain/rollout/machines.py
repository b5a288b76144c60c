# SPDX-License-Identifier: Apache-2.0
"""The machines of a fleet between two versions: counted by zone and by version. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from orchestrator.domain.fleet import FleetGroup, FleetInstance
from orchestrator.domain.refresh import ProtectedInstances, RefreshPreferences, StandbyInstances
from orchestrator.domain.rollout.progress import ZoneProgress

_COMING, _LEAVING = "Pending", ("Terminating", "Terminated", "Detach")


def zones_progress(group: FleetGroup, template_id: str, version: int) -> Mapping[str, ZoneProgress]:
    """Return each zone's machines: old and new in service, coming and leaving."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in group.instances:
        counts[each.zone, _kind(each, template_id, version)] += 1
    return {
        zone: ZoneProgress(*(counts[zone, kind] for kind in ("old", "new", "coming", "leaving")))
        for zone in sorted({*group.zones, *(zone for zone, _ in counts)})
    }


def _kind(machine: FleetInstance, template_id: str, version: int) -> str:
    if machine.is_in_service:
        return "new" if machine.is_of(template_id, version) else "old"
    if machine.lifecycle_state.startswith(_COMING):
        return "coming"
    return "leaving" if machine.lifecycle_state.startswith(_LEAVING) else "aside"


def is_leaving(machine: FleetInstance) -> bool:
    """Tell whether a machine is being terminated."""
    return machine.lifecycle_state.startswith(_LEAVING)


def versions_in_service(group: FleetGroup) -> str:
    """Return how many machines in service are of which version: `3 of version 7, 1 of version 8`."""
    counts = Counter(each.version for each in group.in_service)
    told = (
        f"{count} of {'an unknown version' if version is None else f'version {version}'}"
        for version, count in sorted(counts.items(), key=lambda item: item[0] or 0)
    )
    return ", ".join(told) or "no machine is in service"


def not_rolled_out(
    group: FleetGroup, template_id: str, version: int, preferences: RefreshPreferences
) -> Iterator[str]:
    """Give what keeps a fleet from being all on the new version: in service, healthy, in every zone."""
    for each in _to_be_new(group, preferences):
        if not each.is_of(template_id, version):
            yield f"{each.instance_id} is of version {each.version}"
    yield from (f"{each.instance_id} is unhealthy" for each in group.in_service if not each.is_healthy)
    yield from _missing(group)
    if group.desired_capacity >= len(group.zones):
        empty = [zone for zone, count in group.by_zone().items() if not count]
        yield from (f"no machine is in service in {zone}" for zone in empty)


def _to_be_new(group: FleetGroup, preferences: RefreshPreferences) -> Iterator[FleetInstance]:
    stays_protected = preferences.scale_in_protected_instances is ProtectedInstances.IGNORE
    stays_standby = preferences.standby_instances is StandbyInstances.IGNORE
    for each in group.instances:
        is_meant = each.is_in_service or (each.is_standby and not stays_standby)
        if is_meant and not (each.is_protected and stays_protected):
            yield each


def not_taken_back(group: FleetGroup, template_id: str, version: int) -> Iterator[str]:
    """Give what keeps a fleet from being what it was: machines of the version taken back, or too few."""
    for each in group.instances:
        if each.is_of(template_id, version) and not is_leaving(each):
            yield f"{each.instance_id} is still of version {version}"
    if group.numbered_version == version:
        yield f"the group still names version {version}"
    yield from _missing(group)


def _missing(group: FleetGroup) -> Iterator[str]:
    if len(group.in_service) < group.desired_capacity:
        yield f"{len(group.in_service)} of {group.desired_capacity} machines are in service"
