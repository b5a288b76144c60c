# SPDX-License-Identifier: Apache-2.0
"""Take a resource handler through a resource's life: made, read, changed, read, removed, removed again.

@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    yield from handler_calls()

def test_a_queue_goes_round(call: Call) -> None:
    travel(call, Trip("AWS::SQS::Queue", {"DelaySeconds": 5}, changes=({"DelaySeconds": 6},)))
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from moto.core.models import DEFAULT_ACCOUNT_ID

from sandbox.clock import VirtualClock
from sandbox.cloudformation.handler import Call, Handler, Physical, Properties
from sandbox.cloudformation.registry import handlers
from sandbox.own_calls import OwnCalls
from sandbox.simulated import SimulatedSubstrate

from .conftest import REGION, make_region

SYSTEM_TAGS = {"aws:cloudformation:stack-name": "slipway-test-trip"}
_numbers = itertools.count(1)


class Removed:
    """Stands in `Trip.changes` for a property that the template has no more."""


REMOVED = Removed()


@dataclass(frozen=True, slots=True)
class Trip:
    """A resource's way.

    Attributes:
        given: What the template has; everything of it must be read back.
        changes: What each update puts in place; all else stays. REMOVED takes a property away.
        without: Attributes that the schema has and that the handler does not answer, on purpose.
    """

    type_name: str
    given: Properties
    changes: tuple[Mapping[str, Any], ...] = ()
    without: frozenset[str] = field(default_factory=frozenset)


def handler_calls(substrate: SimulatedSubstrate | None = None) -> Iterator[Call]:
    """Yield what handlers work with in a region of its own, which ends with the generator."""
    clock = VirtualClock()
    for local in make_region(substrate or SimulatedSubstrate(), clock=clock):
        calls = OwnCalls(local.region.gateway, REGION)
        yield Call(
            client=calls.client,
            account_id=DEFAULT_ACCOUNT_ID,
            region=REGION,
            name="slipway-test-trip",
            tags=SYSTEM_TAGS,
            is_alive=lambda: True,
            # Nobody waits: the region's time goes on while a handler sleeps.
            sleep=clock.advance,
        )


def travel(call: Call, trip: Trip) -> None:
    """Go the whole way."""
    current = dict(trip.given)
    with made(call, trip.type_name, current) as physical:
        assert missing_attributes(trip, physical) == set()
        handler = handlers()[trip.type_name]
        check_read(handler, call, physical.physical_id, current)
        for change in trip.changes:
            before = dict(current)
            after = _changed(trip.type_name, before, change)
            updated = handler.update(call, physical.physical_id, before=before, after=after)
            current.clear()
            current.update(after)
            assert updated.physical_id == physical.physical_id
            assert missing_attributes(trip, updated) == set()
            check_read(handler, call, physical.physical_id, after)
            _check_removals(handler, call, physical.physical_id, before=before, after=after)


@contextmanager
def made(call: Call, type_name: str, properties: Properties) -> Iterator[Physical]:
    """Make a resource for the time of a test, and see that nothing of it stays.

    It is removed with the properties as they are then, for those who change them meanwhile.
    """
    handler = handlers()[type_name]
    assert not uncovered(handler, properties), "a template with these would be refused"
    call = replace(call, name=f"slipway-test-{type_name.rpartition('::')[2]}-{next(_numbers)}")
    physical = handler.create(call, properties)
    try:
        yield physical
    finally:
        handler.delete(call, physical.physical_id, properties)
    assert handler.read(call, physical.physical_id) is None
    handler.delete(call, physical.physical_id, properties)


def check_read(handler: Handler, call: Call, physical_id: str, given: Properties) -> None:
    """Assert that what was given is read back, and that all that is read belongs to the type."""
    seen = handler.read(call, physical_id)
    assert seen is not None
    schema = schema_of(handler.type_name)
    hidden = {name for name, value in given.items() if _is_hidden(schema, name, value)}
    differing = {
        name: (value, seen.get(name))
        for name, value in given.items()
        if not (name in hidden and name not in seen) and not _comes_back(handler, name, value, seen.get(name))
    }
    assert not differing, f"{handler.type_name}: given, and read: {differing}"
    assert set(seen) <= set(schema["properties"]) - _top_level(schema, "readOnlyProperties")


def _is_hidden(schema: Mapping[str, Any], name: str, value: Any) -> bool:
    """Whether AWS tells nothing of a property, as of a password or of where code came from."""
    secret = frozenset(
        path.removeprefix("/properties/").replace("/*", "").replace("/", ".")
        for path in schema.get("writeOnlyProperties") or ()
    )
    return all(_is_covered(path, secret) for path in _paths(value, name))


def _comes_back(handler: Handler, name: str, given: Any, seen: Any) -> bool:
    if name in getattr(handler, "open_lists", ()):
        return all(each in seen for each in given)
    return holds(given, seen, ordered=_is_ordered(schema_of(handler.type_name), name))


def holds(given: Any, seen: Any, *, ordered: bool = True) -> bool:
    """Whether `seen` is `given`, or that and what AWS adds by itself."""
    if isinstance(given, Mapping) and isinstance(seen, Mapping):
        return all(
            name in seen and holds(value, seen[name], ordered=ordered) for name, value in given.items()
        )
    if isinstance(given, list | tuple) and isinstance(seen, list | tuple):
        return len(given) == len(seen) and _pairs(list(given), list(seen), ordered)
    # A number is a number; but True is not 1, and no number is its text.
    return isinstance(given, bool) is isinstance(seen, bool) and bool(given == seen)


def uncovered(handler: Handler, properties: Properties) -> set[str]:
    """Return the properties, in dots, that the handler does not claim to apply."""
    paths = {path for name, value in properties.items() for path in _paths(value, name)}
    return {path for path in paths if not _is_covered(path, handler.properties)}


def missing_attributes(trip: Trip, physical: Physical) -> set[str]:
    """Return what Fn::GetAtt could ask for in AWS and can't here."""
    wanted = _top_level(schema_of(trip.type_name), "readOnlyProperties")
    return wanted - set(physical.attributes) - trip.without


@cache
def schema_of(type_name: str) -> dict[str, Any]:
    """Return the type's schema in AWS's registry."""
    schema: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, type_name).schema
    return schema


def _changed(type_name: str, before: Properties, change: Mapping[str, Any]) -> dict[str, Any]:
    fixed = _top_level(schema_of(type_name), "createOnlyProperties") & set(change)
    assert not fixed, f"{fixed} can't be changed in place"
    after = {**before, **change}
    return {name: value for name, value in after.items() if value is not REMOVED}


def _check_removals(
    handler: Handler, call: Call, physical_id: str, *, before: Properties, after: Properties
) -> None:
    seen = handler.read(call, physical_id) or {}
    kept = {name for name in set(before) - set(after) if holds(before[name], seen.get(name), ordered=False)}
    assert kept == set(), f"{handler.type_name} keeps what the template has no more"


def _pairs(given: list[Any], seen: list[Any], ordered: bool) -> bool:
    if ordered:
        return all(holds(one, other) for one, other in zip(given, seen, strict=True))
    rest = list(seen)
    for one in given:
        found = next((each for each in rest if holds(one, each, ordered=False)), None)
        if found is None:
            return False
        rest.remove(found)
    return True


def _paths(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _paths(below, f"{prefix}.{name}")
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for each in value:
            yield from _paths(each, prefix)
    else:
        yield prefix


def _is_covered(path: str, names: frozenset[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:count]) in names for count in range(1, len(parts) + 1))


def _top_level(schema: Mapping[str, Any], kind: str) -> set[str]:
    return {path.removeprefix("/properties/") for path in schema.get(kind) or ()} & set(schema["properties"])


def _is_ordered(schema: Mapping[str, Any], name: str) -> bool:
    return schema["properties"][name].get("insertionOrder") is not False
