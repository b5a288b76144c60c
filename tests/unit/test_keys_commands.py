# SPDX-License-Identifier: Apache-2.0
"""The files that commands about keys read and write, and what they show."""

from __future__ import annotations

import io
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands import keys
from orchestrator.commands.key_words import KeyWords
from orchestrator.commands.keys import KeyDesk
from orchestrator.commands.stacks import Place
from orchestrator.config.models import Environment
from orchestrator.errors import ConfigError, Refused, SlipwayError
from orchestrator.ssh.certificates import new_key_pair, user_certificate
from orchestrator.workflows.doors.world import DoorWorld
from tests.fakes import START, FakeTemplates
from tests.unit.key_world import RUN, KeyLab

PROJECT = Path(__file__).resolve().parents[2]


class Counter:
    """A desk at which keys of a lab are handled; keeps what is shown."""

    def __init__(self, home: Path) -> None:
        self.lab = KeyLab()
        self.documents: list[object] = []
        self.lines: list[str] = []
        self.joined: list[tuple[str, str]] = []
        place = Place(PROJECT, {"HOME": str(home)}, None, lambda project, network: FakeTemplates())
        self.desk = KeyDesk(place, self._join, self._show)

    def _join(self, environment: Environment, verb: str) -> DoorWorld:
        self.joined.append((environment.name, verb))
        return self.lab.world

    def _show(self, document: object, lines: Sequence[str]) -> None:
        self.documents.append(document)
        self.lines += lines

    def run(self, verb: str, **words: Any) -> None:
        keys.run(self.desk, verb, KeyWords(**({"environment": "dev"} | words)))


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(tmp_path)


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """The operator's own key, where ssh-keygen puts it."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    path = tmp_path / ".ssh" / "id_ed25519.pub"
    path.write_text(f"{new_key_pair()[1]} ann@laptop\n", "utf-8")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_key_of_a_file_is_let_in(counter: Counter, public: Path) -> None:
    counter.run("add", name="ann", key="~/.ssh/id_ed25519.pub")
    assert counter.joined == [("dev", "keys.add")]
    assert (
        counter.lab.parameters.values["/slipway/dev/ssh/keys/ann"].split()[:2]
        == public.read_text().split()[:2]
    )
    assert counter.lines[0].startswith("ann is let in with ed25519 SHA256:")


def test_key_comes_from_standard_input(
    counter: Counter, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(public.read_bytes())))
    counter.run("add", environment="", name="ann", key="-")
    assert counter.joined == [("sandbox", "keys.add")]
    counter.run("list")
    counter.run("remove", name="ann")
    counter.run("unblock", name="ann")
    assert [each["event"] for each in counter.documents if isinstance(each, dict) and "event" in each] == [
        "key-added",
        "key-removed",
        "key-unblocked",
    ]
    assert counter.lab.parameters.values == {}


def test_missing_key_is_named(counter: Counter, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        counter.run("add", name="ann", key="~/.ssh/none.pub")
    assert refused.value.problems == (f"{tmp_path}/.ssh/none.pub: No such file or directory",)
    with pytest.raises(ConfigError, match="--key is missing"):
        counter.run("add", name="ann", key="")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"ssh-ed25519 " + b"A" * 70000, "is longer than any key"),
        (b"ssh-ed25519 \xff\xfe", "the key is broken: its base64 can't be read"),
    ],
)
def test_file_that_is_no_key_is_refused(counter: Counter, tmp_path: Path, body: bytes, problem: str) -> None:
    path = tmp_path / "key.pub"
    path.write_bytes(body)
    with pytest.raises(ConfigError) as refused:
        counter.run("add", name="ann", key=str(path))
    assert refused.value.problems == (f"{path}: {problem}",)


def test_private_key_is_never_repeated_in_a_message(counter: Counter, tmp_path: Path) -> None:
    path, private = tmp_path / "id_ed25519", new_key_pair()[0]
    path.write_text(private, "utf-8")
    with pytest.raises(ConfigError) as refused:
        counter.run("add", name="ann", key=str(path))
    assert refused.value.problems == (
        f"{path}: that is a private key, which must never leave its owner's machine",
    )
    assert private.splitlines()[1] not in str(refused.value)


def test_certificate_is_written_where_ssh_looks_for_it(counter: Counter, public: Path) -> None:
    counter.run("sign", fleets=("api",))
    path = public.with_name("id_ed25519-cert.pub")
    assert path.read_text("utf-8").startswith("ssh-ed25519-cert-v01@openssh.com AAAA")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert names(public.parent) == ["id_ed25519-cert.pub", "id_ed25519.pub"]
    assert counter.lines == [
        f"{path} opens until 2026-01-01T20:00:00Z:",
        "  dev/bastion/jump",
        "  dev/api/shell",
        f"it is ann/shell/{RUN} in records; ssh-keygen -L -f {path} shows it",
    ]


def test_own_certificate_is_renewed(counter: Counter, public: Path) -> None:
    path = public.with_name("id_ed25519-cert.pub")
    counter.run("sign")
    first = path.read_text("utf-8")
    counter.run("sign")
    assert path.read_text("utf-8") != first


def foreign() -> str:
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415

    key = rsa.generate_private_key(65537, 3072)
    authority = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return user_certificate(
        new_key_pair()[1],
        key_id="ann",
        principals=("ann",),
        serial=1,
        valid_after=START,
        valid_before=START,
        extensions=(),
        authority=authority.decode(),
        sign=lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA512()),
    )


@pytest.mark.parametrize("make", [foreign, lambda: "my notes", lambda: ""])
def test_what_another_authority_signed_is_kept(
    counter: Counter, public: Path, make: Callable[[], str]
) -> None:
    path, text = public.with_name("id_ed25519-cert.pub"), make()
    path.write_text(text, "utf-8")
    with pytest.raises(Refused) as refused:
        counter.run("sign")
    assert refused.value.cause == "the file is no certificate of dev"
    assert (path.read_text("utf-8"), counter.lab.records) == (text, [])
    counter.run("sign", output=str(public.with_name("dev")))
    assert names(public.parent) == ["dev", "id_ed25519-cert.pub", "id_ed25519.pub"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"key": "-"},
        {"output": "/nowhere/at/all"},
        {"door": "window"},
        {"hours": "99"},
        {"fleets": ("none",)},
    ],
)
def test_nothing_is_signed_or_left_when_the_words_are_wrong(
    counter: Counter, public: Path, arguments: dict[str, Any]
) -> None:
    with pytest.raises(SlipwayError) as refused:
        counter.run("sign", **arguments)
    assert refused.value.exit_code == 3
    assert (counter.lab.authority.calls.count("sign"), names(public.parent)) == (0, ["id_ed25519.pub"])


def test_key_on_standard_input_is_signed_into_a_file(
    counter: Counter, public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(public.read_bytes())))
    counter.run("sign", key="-", output="~/ann-cert.pub")
    assert (tmp_path / "ann-cert.pub").read_text("utf-8").startswith("ssh-ed25519-cert-v01@openssh.com ")
