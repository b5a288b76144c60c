# SPDX-License-Identifier: Apache-2.0
"""Give moto and the region's own modules the region's time, and chance from a seed, in place of the host's.

moto has a generator of its own that can be seeded, and one function for the time, but many modules go past
them. What they have in common is how they name what they use: `datetime`, `time`, `uuid`, `random`, `secrets`
and `os` are globals of the module. Those are replaced, module by module, and put back when the region ends.
"""

from __future__ import annotations

import datetime as datetime_module
import importlib
import os
import random
import secrets
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from types import ModuleType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from moto.backends import ALT_SERVICE_NAMES
from moto.moto_api._internal import mock_random

from sandbox import seeded_keys
from sandbox.api.allowlist import supported
from sandbox.api.patches import Patches
from sandbox.clock import RegionClock

# What draws in the region's name: checks in keys of OpenSSH, and tokens of the calls it makes of itself.
_PACKAGES = ("moto.", "sandbox.", "cryptography.hazmat.primitives.serialization.ssh", "botocore.handlers")
# What keeps the host's time: it tells how long things really take, or ends what takes too long.
_LEFT_ALONE = frozenset({"sandbox.clock", "sandbox.control", "sandbox.persistence", "sandbox.seeded_keys"})


def steer(patches: Patches, clock: RegionClock) -> None:
    """Put the region's time and moto's generator in place of the host's, everywhere."""
    _import_services()
    replacements = dict(_replacements(clock))
    for name, module in sorted(sys.modules.items()):
        if name.startswith(_PACKAGES) and name not in _LEFT_ALONE and name != __name__:
            _replace_in(patches, module, replacements)


def _replace_in(patches: Patches, module: ModuleType, replacements: dict[int, Any]) -> None:
    for name, value in list(vars(module).items()):
        if id(value) in replacements:
            patches.replace(module, name, replacements[id(value)])
        elif type(value) is random.SystemRandom:
            patches.replace(module, name, mock_random)


def _import_services() -> None:
    """Import what moto would import at the first call of a service."""
    for service in supported():
        package = ALT_SERVICE_NAMES.get(service, service).replace("-", "")
        importlib.import_module(f"moto.{package}.urls")


def _replacements(clock: RegionClock) -> Iterator[tuple[int, Any]]:
    """Yield by identity what stands for what."""
    moment = _datetime_of(clock)

    def seconds() -> float:
        return clock.now().timestamp()

    instead: list[tuple[Any, Any]] = [
        (datetime, moment),
        (datetime_module, _Standing(datetime_module, datetime=moment)),
        (time, _Standing(time, time=seconds)),
        (time.time, seconds),
        (uuid, _Standing(uuid, uuid1=mock_random.uuid1, uuid4=mock_random.uuid4)),
        (uuid.uuid1, mock_random.uuid1),
        (uuid.uuid4, mock_random.uuid4),
        (random, mock_random),
        (os, _Standing(os, urandom=mock_random.randbytes)),
        (os.urandom, mock_random.randbytes),
        (secrets, _Standing(secrets, choice=mock_random.choice, token_hex=_hex, token_bytes=_bytes)),
        (rsa, _Standing(rsa, generate_private_key=_rsa_key)),
        (ec, _Standing(ec, generate_private_key=_curve_key)),
        (Ed25519PrivateKey, _Standing(Ed25519PrivateKey, generate=_ed25519_key)),
    ]
    return ((id(original), substitute) for original, substitute in instead)


class _Standing:
    """Stands for a module: some names are other than there."""

    def __init__(self, original: Any, **others: Any) -> None:
        self.__dict__.update(others)
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _datetime_of(clock: RegionClock) -> Any:
    """Return a class that is datetime in all but what the time is; its instances are plain datetimes."""

    class Kind(type(datetime)):  # type: ignore[misc]
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, datetime)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, datetime)

    class RegionDatetime(datetime, metaclass=Kind):
        def __new__(cls, *arguments: Any, **options: Any) -> Any:
            return datetime(*arguments, **options)  # noqa: DTZ001 - as the caller has it

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            """Return the region's time; the region's host is in UTC."""
            moment = clock.now()
            return moment.astimezone(tz) if tz is not None else moment.replace(tzinfo=None)

        @classmethod
        def utcnow(cls) -> Any:
            """Return the region's time without a zone."""
            return clock.now().astimezone(UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            """Return the region's time without a zone."""
            return cls.now()

    return RegionDatetime


def _hex(count: int = 32) -> str:
    return mock_random.randbytes(count).hex()


def _bytes(count: int = 32) -> bytes:
    return mock_random.randbytes(count)


def _rsa_key(public_exponent: int, key_size: int, backend: object = None) -> rsa.RSAPrivateKey:
    del backend
    return seeded_keys.rsa_key(mock_random, key_size, public_exponent)


def _curve_key(curve: ec.EllipticCurve, backend: object = None) -> ec.EllipticCurvePrivateKey:
    del backend
    return seeded_keys.curve_key(mock_random, curve)


def _ed25519_key() -> Ed25519PrivateKey:
    return seeded_keys.ed25519_key(mock_random)
