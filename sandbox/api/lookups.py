# SPDX-License-Identifier: Apache-2.0
"""Answer by index what moto finds by going through everything: thousands of instances would take minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from moto.core.base_backend import AccountSpecificBackend, BackendDict
from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put the indexes in place."""
    patches.replace(TaggedEC2Resource, "get_tags", _tags_of)
    patches.replace(EC2Backend, "get_instance_by_id", instance)
    patches.replace(EC2Backend, "get_instance", _known_instance)
    for kind in (BackendDict, AccountSpecificBackend):
        patches.replace(kind, "__getitem__", _there_first(kind.__getitem__))


def instance(backend: Any, instance_id: str) -> Any | None:
    """Return an instance, or None."""
    return _INSTANCES.find(backend, instance_id)


def _known_instance(backend: Any, instance_id: str) -> Any:
    """Return an instance that there is."""
    found = _INSTANCES.find(backend, instance_id)
    if found is None:
        raise InvalidInstanceIdError(instance_id)
    return found


def _there_first(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def getitem(backends: Any, name: str) -> Any:
        """Return the backend that is there; moto sees at each look whether it has to be made."""
        found = dict.get(backends, name)
        return original(backends, name) if found is None else found

    return getitem


def remember(backend: Any, instances: Iterable[Any]) -> None:
    """Have instances in the index before anybody looks for them."""
    _INSTANCES.add(backend, instances)


def forget(backend: Any, instances: Iterable[Any]) -> None:
    """Drop instances from the index that nobody will find any more."""
    _INSTANCES.forget(backend, instances)


def _tags_of(resource: Any) -> list[dict[str, str]]:
    """Return a resource's tags; moto compares its id with that of every tag there is."""
    if not resource.id:
        return []
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "")
    return [
        {"resource_id": resource.id, "key": key, "value": value, "resource_type": kind}
        for key, value in dict(resource.ec2_backend.tags.get(resource.id, {})).items()
    ]


class _Instances:
    """Instances by id. Who is not known is looked for, and who is known may have been forgotten meanwhile."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()

    def find(self, backend: Any, instance_id: str) -> Any | None:
        """Return an instance, or None."""
        known = self._known.get(backend)
        if known is None:
            known = self._known.setdefault(backend, {})
        instance = known.get(instance_id) or self._search(backend, instance_id, known)
        if instance is not None and getattr(instance, "is_forgotten", False):
            known.pop(instance_id, None)
            return None
        return instance

    def add(self, backend: Any, instances: Iterable[Any]) -> None:
        """Know instances from now on."""
        self._known.setdefault(backend, {}).update((each.id, each) for each in instances)

    def forget(self, backend: Any, instances: Iterable[Any]) -> None:
        """Hold instances no more."""
        known = self._known.get(backend, {})
        for each in instances:
            known.pop(each.id, None)

    def _search(self, backend: Any, instance_id: str, known: dict[str, Any]) -> Any | None:
        """Look through all, the latest first: those are the ones not known yet."""
        for reservation in reversed(list(backend.reservations.values())):
            for instance in reversed(reservation.instances):
                known.setdefault(instance.id, instance)
                if instance.id == instance_id:
                    return instance
        return None


_INSTANCES = _Instances()
