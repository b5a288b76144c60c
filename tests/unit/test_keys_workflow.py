# SPDX-License-Identifier: Apache-2.0
"""Letting keys in, keeping people out, and signing keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from orchestrator.domain.door import Door
from orchestrator.domain.ssh_key import PublicKey, parse_public_key
from orchestrator.errors import AwsError, ConfigError, Refused
from orchestrator.ssh.certificates import new_key_pair
from orchestrator.workflows import keys
from orchestrator.workflows.doors.login import Opening
from orchestrator.workflows.sign_key import SignRequest, lifetime, openings, sign
from tests.fakes import START
from tests.unit.key_world import RUN, KeyLab

KEYS, BLOCKED = "/slipway/dev/ssh/keys", "/slipway/dev/ssh/blocked"
NOON = "2026-01-01T12:00:00Z"
FOLDER = f"access/2026/01/01/operators-{RUN}"


def key(comment: str = "bob@laptop") -> PublicKey:
    return parse_public_key(f"{new_key_pair()[1]} {comment}", source="test")


def record(event: str, **facts: object) -> tuple[str, dict[str, object]]:
    return f"{FOLDER}-{event}.json", {
        "session": RUN,
        "event": event,
        "environment": "dev",
        "who": "ann",
        "operator": "ann@laptop",
        "at": NOON,
        **facts,
    }


@pytest.fixture
def lab() -> KeyLab:
    return KeyLab()


@pytest.fixture
def bob() -> PublicKey:
    return key()


class TestAdd:
    def test_key_is_written_as_a_line_of_openssh_with_its_time(self, lab: KeyLab, bob: PublicKey) -> None:
        change = keys.add(lab.world, "bob", bob)
        line = str(bob).split()
        assert lab.parameters.values == {f"{KEYS}/bob": f"{line[0]} {line[1]} {NOON} bob@laptop"}
        assert change.as_dict() == {"event": "key-added", "name": "bob", "fingerprint": bob.fingerprint}
        assert change.lines() == (
            f"bob is let in with ed25519 {bob.fingerprint}: machines know it within a minute",
        )
        assert lab.records == [record("key-added", name="bob", key_fingerprint=bob.fingerprint)]

    def test_again_changes_nothing_and_says_so(self, lab: KeyLab, bob: PublicKey) -> None:
        keys.add(lab.world, "bob", bob)
        before = dict(lab.parameters.values)
        lab.clock.advance(60)
        change = keys.add(lab.world, "bob", replace(bob, comment="another"))
        assert (change.event, change.lines()) == ("", ("bob has that key already",))
        assert (lab.parameters.values, len(lab.records)) == (before, 1)

    def test_who_was_kept_out_is_let_in(self, lab: KeyLab, bob: PublicKey) -> None:
        lab.parameters.values[f"{BLOCKED}/bob"] = NOON
        change = keys.add(lab.world, "bob", bob)
        assert list(lab.parameters.values) == [f"{KEYS}/bob"]
        assert change.lines()[1] == f"bob was blocked since {NOON}, and no longer is"

    def test_same_key_lets_in_again_who_was_blocked_by_another_way(self, lab: KeyLab, bob: PublicKey) -> None:
        keys.add(lab.world, "bob", bob)
        before = dict(lab.parameters.values)
        lab.parameters.values[f"{BLOCKED}/bob"] = NOON
        assert keys.add(lab.world, "bob", bob).event == "key-added"
        assert lab.parameters.values == before

    def test_other_key_of_the_same_name_is_refused(self, lab: KeyLab, bob: PublicKey) -> None:
        keys.add(lab.world, "bob", bob)
        before, other = dict(lab.parameters.values), key()
        with pytest.raises(Refused) as refused:
            keys.add(lab.world, "bob", other)
        assert refused.value.cause == (
            f"bob has another key in dev: {bob.fingerprint}, not {other.fingerprint}"
        )
        assert lab.parameters.values == before

    def test_other_key_takes_its_place_when_that_is_meant(self, lab: KeyLab, bob: PublicKey) -> None:
        keys.add(lab.world, "bob", bob)
        other = key()
        lab.clock.advance(60)
        keys.add(lab.world, "bob", other, is_replaced=True)
        known = keys.look(lab.world).keys["bob"]
        assert (known.key, known.since) == (other, "2026-01-01T12:01:00Z")

    def test_somebody_elses_key_is_refused(self, lab: KeyLab, bob: PublicKey) -> None:
        keys.add(lab.world, "bob", bob)
        with pytest.raises(Refused) as refused:
            keys.add(lab.world, "carol", replace(bob, comment="carol"), is_replaced=True)
        assert refused.value.cause == f"{bob.fingerprint} is bob's key already"
        assert list(lab.parameters.values) == [f"{KEYS}/bob"]

    def test_key_that_somebody_added_meanwhile_stays(self, lab: KeyLab, bob: PublicKey) -> None:
        world = lab.world

        def interfere(_call: str) -> None:
            if lab.parameters.calls == ["below", "below"]:  # keys are read, and then who is blocked
                lab.parameters.values[f"{KEYS}/bob"] = "theirs"

        lab.parameters.after_call = interfere
        lab.parameters.values[f"{BLOCKED}/bob"] = NOON
        with pytest.raises(Refused, match="somebody added a key of that name just now"):
            keys.add(world, "bob", bob)
        assert lab.parameters.values == {f"{KEYS}/bob": "theirs", f"{BLOCKED}/bob": NOON}

    def test_missing_record_is_told(self, lab: KeyLab, bob: PublicKey) -> None:
        lab.trail.has_log_group = False
        with pytest.raises(AwsError) as failed:
            keys.add(lab.world, "bob", bob)
        assert failed.value.state == (
            "it is done (key-added bob), but it is not in the records: tell who keeps them"
        )
        assert f"{KEYS}/bob" in lab.parameters.values


class TestRemove:
    def test_key_goes_and_the_name_is_blocked(self, lab: KeyLab, bob: PublicKey) -> None:
        keys.add(lab.world, "bob", bob)
        change = keys.remove(lab.world, "bob", is_confirmed=False)
        assert lab.parameters.values == {f"{BLOCKED}/bob": NOON}
        assert change.lines() == (
            f"bob's key {bob.fingerprint} is gone; bob is blocked: machines know it within a minute",
            "certificates whose key id begins with bob/ are refused then, and bob's sessions end",
        )
        assert lab.records[-1] == record("key-removed", name="bob", key_fingerprint=bob.fingerprint)

    def test_doors_are_shut_before_the_key_goes(self, lab: KeyLab, bob: PublicKey) -> None:
        keys.add(lab.world, "bob", bob)
        lab.parameters.faults["delete"] = [KeyboardInterrupt()]
        with pytest.raises(KeyboardInterrupt):
            keys.remove(lab.world, "bob", is_confirmed=False)
        assert set(lab.parameters.values) == {f"{BLOCKED}/bob", f"{KEYS}/bob"}
        keys.remove(lab.world, "bob", is_confirmed=False)
        assert lab.parameters.values == {f"{BLOCKED}/bob": NOON}

    def test_name_without_key_is_blocked_too(self, lab: KeyLab) -> None:
        change = keys.remove(lab.world, "carol", is_confirmed=False)
        assert lab.parameters.values == {f"{BLOCKED}/carol": NOON}
        assert change.lines()[0] == (
            "carol had no key here; carol is blocked: machines know it within a minute"
        )

    def test_again_keeps_the_first_time(self, lab: KeyLab) -> None:
        keys.remove(lab.world, "bob", is_confirmed=False)
        lab.clock.advance(3600)
        change = keys.remove(lab.world, "bob", is_confirmed=False)
        assert (change.event, change.lines()) == ("", (f"bob is blocked since {NOON}",))
        assert (lab.parameters.values, len(lab.records)) == ({f"{BLOCKED}/bob": NOON}, 1)

    def test_broken_key_goes_as_well(self, lab: KeyLab) -> None:
        lab.parameters.values[f"{KEYS}/bob"] = "nonsense"
        assert keys.remove(lab.world, "bob", is_confirmed=False).lines()[0] == (
            "bob's key is gone; bob is blocked: machines know it within a minute"
        )

    def test_protected_environment_asks(self, bob: PublicKey) -> None:
        lab = KeyLab(is_protected=True)
        keys.add(lab.world, "bob", bob)
        with pytest.raises(Refused) as refused:
            keys.remove(lab.world, "bob", is_confirmed=False)
        assert refused.value.next_command == "invoke keys.remove --environment dev --name bob --yes"
        assert list(lab.parameters.values) == [f"{KEYS}/bob"]
        keys.remove(lab.world, "bob", is_confirmed=True)
        assert list(lab.parameters.values) == [f"{BLOCKED}/bob"]


class TestUnblock:
    def test_certificates_are_let_in_again_and_no_key_is_needed(self, lab: KeyLab) -> None:
        keys.remove(lab.world, "bob", is_confirmed=False)
        assert keys.unblock(lab.world, "bob").lines() == (
            f"bob was blocked since {NOON}, and no longer is: machines know it within a minute",
        )
        assert lab.parameters.values == {}
        assert lab.records[-1] == record("key-unblocked", name="bob", key_fingerprint="")

    def test_who_is_not_blocked_stays_so(self, lab: KeyLab) -> None:
        change = keys.unblock(lab.world, "bob")
        assert (change.event, change.lines(), lab.records) == ("", ("bob is not blocked",), [])


def test_all_keys_and_blocked_names_are_shown(lab: KeyLab) -> None:
    bob, dan = key("bob@laptop"), key("")
    keys.add(lab.world, "bob", bob)
    keys.remove(lab.world, "carol", is_confirmed=False)
    lab.parameters.values |= {
        f"{KEYS}/dan": str(dan),
        f"{KEYS}/eve": "ssh-dss AAAA",
        f"{KEYS}/eve/x": "deeper",
    }
    ring = keys.look(lab.world)
    assert ring.as_dict() == {
        "keys": [
            {
                "name": "bob",
                "type": "ed25519",
                "fingerprint": bob.fingerprint,
                "comment": "bob@laptop",
                "since": NOON,
            },
            {"name": "dan", "type": "ed25519", "fingerprint": dan.fingerprint, "comment": "", "since": ""},
            {"name": "eve", "problem": "DSA keys are too weak, machines take none"},
        ],
        "blocked": [{"name": "carol", "since": NOON}],
    }
    assert ring.lines() == (
        f"name  type     fingerprint{' ' * 41}since                 comment",
        f"bob   ed25519  {bob.fingerprint}  {NOON}  bob@laptop",
        f"dan   ed25519  {dan.fingerprint}  -                     -",
        f"eve   none     -{' ' * 51}-                     machines take no such key: "
        "DSA keys are too weak, machines take none",
        "",
        "blocked:",
        f"carol  since {NOON}",
    )


def test_nobody_is_shown_as_such(lab: KeyLab) -> None:
    assert keys.look(lab.world).lines() == ("no keys: people come with certificates",)


@pytest.mark.parametrize(
    ("name", "problem", "advice"),
    [
        ("", "keys.remove: --name is missing", ""),
        (
            "bob@example.com",
            "keys.remove: --name 'bob@example.com': letters, digits and . _ - only, at most 64, "
            "a letter or digit first",
            "invoke keys.remove --environment dev --name bob-example.com, as certificates call that person",
        ),
        (
            "../../dev",
            "keys.remove: --name '../../dev': letters, digits and . _ - only, at most 64, "
            "a letter or digit first",
            "invoke keys.remove --environment dev --name dev, as certificates call that person",
        ),
    ],
)
def test_names_that_no_certificate_has_are_refused(lab: KeyLab, name: str, problem: str, advice: str) -> None:
    with pytest.raises(ConfigError) as refused:
        keys.remove(lab.world, name, is_confirmed=True)
    assert (refused.value.problems, refused.value.next_command) == ((problem,), advice)
    assert lab.parameters.calls == []


def test_another_accounts_credentials_change_nothing(lab: KeyLab, bob: PublicKey) -> None:
    lab.identity.account = "999999999999"
    for act in (
        lambda: keys.look(lab.world),
        lambda: keys.add(lab.world, "bob", bob),
        lambda: keys.remove(lab.world, "bob", is_confirmed=True),
        lambda: keys.unblock(lab.world, "bob"),
        lambda: sign(lab.world, bob, SignRequest(), is_confirmed=True),
    ):
        with pytest.raises(Refused, match="the credentials are of account 999999999999"):
            act()
    assert (lab.parameters.calls, lab.authority.calls.count("sign"), lab.records) == ([], 0, [])


class TestSign:
    def test_certificate_says_who_may_do_what_until_when(self, lab: KeyLab, bob: PublicKey) -> None:
        signed = sign(lab.world, bob, SignRequest(hours="2"), is_confirmed=False)
        certificate = load_ssh_public_identity(signed.certificate.encode())
        assert isinstance(certificate, SSHCertificate)
        certificate.verify_cert_signature()
        principals = ("dev/bastion/jump", "dev/api/shell", "dev/worker/shell", "dev/mailer/shell")
        assert certificate.valid_principals == [each.encode() for each in principals]
        assert certificate.valid_before == (START + timedelta(hours=2)).timestamp()
        assert certificate.valid_after == (START - timedelta(minutes=1)).timestamp()
        assert certificate.key_id == f"ann/shell/{RUN}".encode()
        assert list(certificate.extensions) == [b"permit-port-forwarding", b"permit-pty"]
        assert signed.as_dict() == {
            "key_id": f"ann/shell/{RUN}",
            "serial": str(certificate.serial),
            "principals": list(principals),
            "valid_until": "2026-01-01T14:00:00Z",
            "key_fingerprint": bob.fingerprint,
        }
        assert lab.records == [
            record(
                "key-signed",
                principals=list(principals),
                valid_until="2026-01-01T14:00:00Z",
                key_fingerprint=bob.fingerprint,
                certificate_serial=str(certificate.serial),
            )
        ]

    def test_who_is_kept_out_gets_none(self, lab: KeyLab, bob: PublicKey) -> None:
        keys.remove(lab.world, "ann", is_confirmed=False)
        with pytest.raises(Refused) as refused:
            sign(lab.world, bob, SignRequest(), is_confirmed=True)
        assert refused.value.cause == f"ann is blocked since {NOON}"
        assert lab.authority.calls.count("sign") == 0

    def test_nobody_gets_one_that_is_not_in_the_records(self, lab: KeyLab, bob: PublicKey) -> None:
        lab.trail.has_log_group = False
        with pytest.raises(AwsError):
            sign(lab.world, bob, SignRequest(), is_confirmed=True)

    @pytest.mark.parametrize(("door", "is_refused"), [("shell", False), ("reader", False), ("writer", True)])
    def test_protected_environment_asks_about_its_writer(
        self, bob: PublicKey, door: str, *, is_refused: bool
    ) -> None:
        lab = KeyLab(is_protected=True)
        request = SignRequest(fleets=("api",), door=door)
        if is_refused:
            with pytest.raises(Refused, match="the key would open its writer"):
                sign(lab.world, bob, request, is_confirmed=False)
            assert lab.authority.calls.count("sign") == 0
        assert sign(lab.world, bob, request, is_confirmed=is_refused).principals == (
            "dev/bastion/jump",
            f"dev/api/{door}",
        )


@pytest.mark.parametrize(
    ("request_", "doors"),
    [
        (SignRequest(), (("bastion", "jump"), ("api", "shell"), ("worker", "shell"), ("mailer", "shell"))),
        (SignRequest(fleets=("api", "api-canary")), (("bastion", "jump"), ("api", "shell"))),
        (SignRequest(door="reader"), (("bastion", "jump"), ("api", "reader"), ("worker", "reader"))),
        (SignRequest(fleets=("gate",)), (("bastion", "shell"),)),
    ],
)
def test_what_a_request_opens(lab: KeyLab, request_: SignRequest, doors: tuple[tuple[str, str], ...]) -> None:
    assert openings(lab.environment, request_) == tuple(
        Opening(server_class, Door(door)) for server_class, door in doors
    )


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (SignRequest(door="jump"), "--door jump: is none of shell, reader, writer"),
        (SignRequest(door="window"), "--door window: is none of shell, reader, writer"),
        (
            SignRequest(fleets=("web",)),
            "--fleet web: dev has no such fleet, only api, api-canary, gate, mailer, worker",
        ),
        (
            SignRequest(fleets=("mailer",), door="reader"),
            "--fleet mailer: does not use the database, so there is no door reader",
        ),
        (
            SignRequest(fleets=("gate", "api")),
            "--fleet gate: alone, for a machine takes a certificate for one door",
        ),
    ],
)
def test_requests_that_make_no_sense_are_refused(lab: KeyLab, request_: SignRequest, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        openings(lab.environment, request_)
    assert refused.value.problems == (f"keys.sign: {problem}",)


@pytest.mark.parametrize(("hours", "found"), [("", 8), ("1", 1), ("8", 8)])
def test_hours_are_those_asked_for(lab: KeyLab, hours: str, found: int) -> None:
    assert lifetime(lab.environment, hours) == timedelta(hours=found)


@pytest.mark.parametrize("hours", ["0", "9", "-1", "1.5", "two", "٣"])
def test_hours_beyond_what_the_environment_allows_are_refused(lab: KeyLab, hours: str) -> None:
    with pytest.raises(ConfigError) as refused:
        lifetime(lab.environment, hours)
    assert refused.value.problems == (f"keys.sign: --hours {hours}: must be a whole number from 1 to 8",)
