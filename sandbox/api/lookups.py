# SPDX-License-Identifier: Apache-2.0
"""Answer by index what moto finds by going through everything: thousands of instances would take minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from moto.core.base_backend import AccountSpecificBackend, BackendDict
from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from sandbox.api.patches import Patches

_INDEX = "slipway_instances"


def install(patches: Patches) -> None:
    """Put the indexes in place."""
    patches.replace(TaggedEC2Resource, "get_tags", _tags_of)
    patches.replace(EC2Backend, "get_instance_by_id", instance)
    patches.replace(EC2Backend, "get_instance", _known_instance)
    patches.replace(EC2Backend, "get_multi_instances_by_id", _known_instances)
    for kind in (BackendDict, AccountSpecificBackend):
        patches.replace(kind, "__getitem__", _there_first(kind.__getitem__))


def instance(backend: Any, instance_id: str) -> Any | None:
    """Return an instance, or None; who is known may have been forgotten meanwhile."""
    known = _known(backend)
    found = known.get(instance_id) or _search(backend, instance_id, known)
    if found is not None and getattr(found, "is_forgotten", False):
        known.pop(instance_id, None)
        return None
    return found


def remember(backend: Any, instances: Iterable[Any]) -> None:
    """Have instances in the index before anybody looks for them."""
    _known(backend).update((each.id, each) for each in instances)


def forget(backend: Any, instances: Iterable[Any]) -> None:
    """Drop instances from the index that nobody will find any more."""
    known = _known(backend)
    for each in instances:
        known.pop(each.id, None)


def _known(backend: Any) -> dict[str, Any]:
    """Return the instances of a backend by id. Who is not known is looked for; it is saved with the rest."""
    known: dict[str, Any] | None = backend.__dict__.get(_INDEX)
    if known is None:
        known = backend.__dict__[_INDEX] = {}
    return known


def _known_instance(backend: Any, instance_id: str) -> Any:
    """Return an instance that there is."""
    found = instance(backend, instance_id)
    if found is None:
        raise InvalidInstanceIdError(instance_id)
    return found


def _known_instances(backend: Any, instance_ids: list[str], filters: Any = None) -> list[Any]:
    """Return instances that there are, in the order asked for."""
    found = [(instance_id, instance(backend, instance_id)) for instance_id in instance_ids]
    if missing := [instance_id for instance_id, each in found if each is None]:
        raise InvalidInstanceIdError(missing)
    return [each for _, each in found if each is not None and each.applies(filters)]


def _there_first(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def getitem(backends: Any, name: str) -> Any:
        """Return the backend that is there; moto sees at each look whether it has to be made."""
        found = dict.get(backends, name)
        return original(backends, name) if found is None else found

    return getitem


def _tags_of(resource: Any) -> list[dict[str, str]]:
    """Return a resource's tags; moto compares its id with that of every tag there is."""
    if not resource.id:
        return []
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "")
    return [
        {"resource_id": resource.id, "key": key, "value": value, "resource_type": kind}
        for key, value in dict(resource.ec2_backend.tags.get(resource.id, {})).items()
    ]


def _search(backend: Any, instance_id: str, known: dict[str, Any]) -> Any | None:
    """Look through all, the latest first: those are the ones not known yet."""
    for reservation in reversed(list(backend.reservations.values())):
        for each in reversed(reservation.instances):
            known.setdefault(each.id, each)
            if each.id == instance_id:
                return each
    return None
