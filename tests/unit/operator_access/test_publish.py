# SPDX-License-Identifier: Apache-2.0
"""Host keys are published once, never over others, and never at the price of the machine's service."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from operator_access.publish import HostKeys, Leftover, Outcome, publish_at_boot

AWAY = EndpointConnectionError(endpoint_url="https://ssm")
DENIED = ClientError({"Error": {"Code": "AccessDeniedException"}}, "PutParameter")
OWN = "ssh-ed25519 AAAA\nssh-rsa BBBB"


@dataclass
class FakePlace:
    """A parameter, and the errors of the next calls."""

    value: str | None = None
    errors: list[Exception] = field(default_factory=list)
    calls: int = 0

    def publish(self, value: str) -> bool:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.value is not None:
            return False
        self.value = value
        return True

    def published(self) -> str | None:
        return self.value


def test_keys_are_published_and_that_is_remembered(tmp_path: Path) -> None:
    place = FakePlace()
    assert HostKeys(place, OWN, state=tmp_path).publish(0.0) is Outcome.PUBLISHED
    assert HostKeys(place, OWN, state=tmp_path).publish(0.0) is Outcome.PUBLISHED
    assert (place.value, place.calls) == (OWN, 1)


def test_the_same_keys_may_be_there(tmp_path: Path) -> None:
    assert HostKeys(FakePlace(f"{OWN}\n"), OWN, state=tmp_path).publish(0.0) is Outcome.PUBLISHED


def test_others_are_an_error_stay_and_nothing_more_is_tried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = FakePlace("ssh-ed25519 ZZZZ")
    for _ in range(2):
        own = HostKeys(place, OWN, state=tmp_path)
        assert (own.publish(100.0), own.publish(100.0)) == (Outcome.REFUSED, Outcome.REFUSED)
    assert (place.value, place.calls) == ("ssh-ed25519 ZZZZ", 1)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_new_keys_are_tried_again(tmp_path: Path) -> None:
    place = FakePlace("ssh-ed25519 ZZZZ")
    HostKeys(place, OWN, state=tmp_path).publish(0.0)
    place.value = None
    assert HostKeys(place, "ssh-ed25519 CCCC", state=tmp_path).publish(0.0) is Outcome.PUBLISHED


def test_while_aws_does_not_answer_it_is_tried_again_more_and_more_seldom(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, pauses = FakePlace(errors=[AWAY, AWAY, DENIED, AWAY]), []
    outcome = HostKeys(place, OWN, state=tmp_path).publish(30.0, sleep=pauses.append)
    assert (outcome, pauses) == (Outcome.PUBLISHED, [1.0, 2.0, 4.0, 8.0])
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 3


def test_the_boot_waits_until_the_limit_and_later_it_goes_on(tmp_path: Path) -> None:
    place, pauses = FakePlace(errors=[AWAY] * 4), []
    own = HostKeys(place, OWN, state=tmp_path)
    assert own.publish(10.0, sleep=pauses.append) is Outcome.LATER
    assert pauses == [1.0, 2.0, 4.0]
    assert own.publish(0.0, sleep=pauses.append) is Outcome.PUBLISHED
    assert pauses == [1.0, 2.0, 4.0]


def test_a_full_disk_does_not_keep_keys_from_being_published(tmp_path: Path) -> None:
    place = FakePlace()
    own = HostKeys(place, OWN, state=tmp_path / "absent")
    assert (own.publish(0.0), own.publish(0.0)) == (Outcome.PUBLISHED, Outcome.PUBLISHED)
    assert (place.value, place.calls) == (OWN, 1)


class TestWhatTheBootLeaves:
    """The long-running part starts before the machine has its keys: it does only what the boot has left."""

    def test_nothing_is_left_when_the_boot_has_published(self, tmp_path: Path) -> None:
        place = FakePlace()
        publish_at_boot(HostKeys(place, OWN, state=tmp_path), 0.0, run=tmp_path)
        Leftover(place, run=tmp_path, state=tmp_path).publish()
        assert place.calls == 1

    def test_before_the_boot_has_tried_nothing_is_published(self, tmp_path: Path) -> None:
        place = FakePlace()
        Leftover(place, run=tmp_path, state=tmp_path).publish()
        assert place.calls == 0

    def test_what_the_boot_could_not_do_is_done_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("operator_access.publish.host_keys", lambda: OWN)
        place = FakePlace(errors=[AWAY, AWAY])
        publish_at_boot(HostKeys(place, OWN, state=tmp_path), 0.0, run=tmp_path)
        left = Leftover(place, run=tmp_path, state=tmp_path)
        for _ in range(3):
            left.publish()
        assert (place.value, place.calls) == (OWN, 3)
