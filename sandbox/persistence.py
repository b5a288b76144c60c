# SPDX-License-Identifier: Apache-2.0
"""Keep moto's state in a file, so that a region that is brought up again has what is durable.

moto has no store of its own. Its backends are plain objects, which dill can write together, with the
references between services. The file is only read by the versions that wrote it; any other is set aside.
"""

from __future__ import annotations

import copyreg
import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import dill
import moto.backends
from cryptography import x509
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives import serialization
from moto.core.base_backend import BackendDict
from moto.ssm.models import ParameterDict

log = logging.getLogger(__name__)

FORMAT = 1
SETTLE_S = 3.0

State = dict[str, dict[str, dict[str, Any]]]

# moto types this by a literal per service; here the services come from a file.
get_backend: Any = moto.backends.get_backend


class Unreadable(Exception):
    """The file is not one this version can read."""


class StateFile:
    """The file: a line of JSON that says what wrote it, then the pickled backends."""

    def __init__(self, path: Path, region: str) -> None:
        self._path = path
        self._header = {
            "format": FORMAT,
            "region": region,
            "moto": version("moto"),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        }

    def load(self) -> bool:
        """Put the saved backends in moto's place; False if there were none to put."""
        if not self._path.exists():
            return False
        try:
            state = self._read()
        except Unreadable as error:
            aside = self._path.with_suffix(f".unreadable-{int(time.time())}")
            self._path.rename(aside)
            log.warning("the saved region is set aside as %s: %s", aside.name, error)
            return False
        for service, accounts in state.items():
            saved = get_backend(service)
            for account, regions in accounts.items():
                for name, backend in regions.items():
                    saved[account][name] = backend
        return True

    def save(self) -> None:
        """Write moto's state, atomically. The caller sees to it that nothing changes meanwhile."""
        payload = dill.dumps(_all_backends(), recurse=False)
        part = self._path.with_suffix(".part")
        part.touch(mode=0o600)
        with part.open("wb") as out:
            out.write(json.dumps(self._header).encode() + b"\n")
            out.write(payload)
        part.replace(self._path)

    def _read(self) -> State:
        header, _, payload = self._path.read_bytes().partition(b"\n")
        try:
            if json.loads(header) != self._header:
                raise Unreadable(f"it was written by {header.decode(errors='replace')}")
            state: State = dill.loads(payload)  # noqa: S301 - our own file, in our own directory
        except Unreadable:
            raise
        except Exception as error:  # unpickling damaged bytes can raise anything
            raise Unreadable(f"it is damaged ({type(error).__name__})") from error
        return state


def _all_backends() -> State:
    state: State = {}
    every: Any = BackendDict
    for services in every._instances:
        for account, name, backend in services.iter_backends():
            state.setdefault(services.service_name, {}).setdefault(account, {})[name] = backend
    return state


def teach_dill() -> None:
    """Let be pickled what cannot by itself: keys, certificates, weak dictionaries, the parameter store."""
    for kind in (openssl.rsa.RSAPrivateKey, openssl.ec.ECPrivateKey, openssl.ed25519.Ed25519PrivateKey):
        copyreg.pickle(kind, _reduce_key)
    copyreg.pickle(x509.Certificate, _reduce_certificate)
    copyreg.pickle(WeakValueDictionary, _reduce_weak)
    ParameterDict.__reduce_ex__ = _reduce_parameters  # type: ignore[method-assign]
    # dill's own way leaves a lock that nobody holds locked for ever: whoever sends to a queue would wait.
    dill.register(type(threading.RLock()))(_save_lock)


def _save_lock(pickler: Any, lock: Any) -> None:
    pickler.save_reduce(threading.RLock, (), obj=lock)


def _reduce_key(key: Any) -> Any:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _load_key, (pem,)


def _load_key(pem: bytes) -> Any:
    return serialization.load_pem_private_key(pem, None)


def _reduce_certificate(certificate: x509.Certificate) -> Any:
    return _load_certificate, (certificate.public_bytes(serialization.Encoding.PEM),)


def _load_certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _reduce_weak(references: Any) -> Any:
    return WeakValueDictionary, (dict(references),)


def _reduce_parameters(parameters: Any, protocol: Any) -> Any:
    del protocol
    return _restore_parameters, (dict(parameters.__dict__), dict(parameters))


def _restore_parameters(attributes: dict[str, Any], items: dict[str, Any]) -> Any:
    parameters = ParameterDict.__new__(ParameterDict)
    parameters.default_factory = list
    parameters.__dict__.update(attributes)
    for name, value in items.items():
        dict.__setitem__(parameters, name, value)
    return parameters


class Saver:
    """Saves some seconds after a change, however many changes there are."""

    def __init__(
        self,
        save: Callable[[], None],
        all_locks: Callable[[], AbstractContextManager[None]],
        settle_s: float = SETTLE_S,
    ) -> None:
        self._save = save
        self._all_locks = all_locks
        self._settle_s = settle_s
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="saver", daemon=True)

    def start(self) -> None:
        """Save until closed."""
        self._thread.start()

    def changed(self) -> None:
        """Note that there is something to save."""
        self._changed.set()

    def close(self) -> None:
        """Save what is not saved yet, and end."""
        self._closing.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()
        self.save_now()

    def save_now(self) -> None:
        """Save at once."""
        with self._all_locks():
            self._save()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._changed.wait()
            if self._closing.wait(self._settle_s):
                return
            self._changed.clear()
            try:
                self.save_now()
            except Exception:  # a state that cannot be pickled must not end the region; it is said in the log
                log.exception("the region could not be saved")
