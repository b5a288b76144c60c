# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `operator_access`: whom its doors let in, and to what.

Nobody answers as the metadata service here, so the files that the service keeps are written by tests, with
the service's own words for them.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testinfra.host import Host

SERVICES = ("slipway-publish-host-keys", "slipway-operator-access")
WORDS = """
import json, sys
from operator_access.rules import Known, Database, files
values = json.loads(sys.argv[1])
database = Database("127.0.0.1", "127.0.0.2", 3306) if values.pop("has_database") else None
values["blocked"] = frozenset(values["blocked"])
for name, text in files(Known("sandbox", database=database, **values)).items():
    open(f"/run/slipway-access/{name}", "w").write(text)
"""
TOLD = """
import json, sys
from operator_access.sessions import Sessions, line_of
sessions = Sessions({}.get, lambda who: False)
for text in sys.stdin:
    for record in sessions.feed(line_of(json.loads(text))):
        print(json.dumps(record))
"""
SSH = (
    "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes"
)
ANSWER = (
    "python3 -c \"import socket; s = socket.create_server(('127.0.0.1', 3306)); s.accept()[0].send(b'hi')\""
)

Know = Callable[..., None]
Login = Callable[..., Any]


@pytest.fixture(name="workshop", scope="module")
def authority_and_key(host: Host) -> Iterator[str]:
    """Yield a directory with an authority's key, and that of somebody."""
    host.check_output("rm -rf /root/ca && mkdir /root/ca")
    host.check_output("ssh-keygen -q -t rsa -b 4096 -N '' -f /root/ca/ca")
    host.check_output("ssh-keygen -q -t ed25519 -N '' -f /root/ca/key")
    yield "/root/ca"
    host.run("rm -rf /root/ca")


@pytest.fixture(name="know")
def known_files(host: Host, workshop: str) -> Know:
    """Return what writes the files that sshd reads."""
    authority = host.file(f"{workshop}/ca.pub").content_string.strip()

    def know(
        server_class: str, *, blocked: tuple[str, ...] = (), has_database: bool = False, has_key: bool = False
    ) -> None:
        own = host.file(f"{workshop}/key.pub").content_string.strip()
        values = {
            "server_class": server_class,
            "authority": authority,
            "keys": {"ada": own} if has_key else {},
            "blocked": blocked,
            "has_database": has_database,
        }
        host.check_output("cd /usr/local/lib/slipway && python3 -c %s %s", WORDS, json.dumps(values))

    return know


@pytest.fixture(name="login")
def login_with_a_certificate(host: Host, workshop: str) -> Login:
    """Return what logs in with a certificate for some principals."""

    def login(principals: str, command: str, *, key_id: str = "ada/shell/1", valid: str = "-1m:+5m") -> Any:
        sign = "ssh-keygen -q -t rsa-sha2-512 -s %s/ca -I %s -n %s -V %s -z 7 %s/key.pub"
        host.check_output(sign, workshop, key_id, principals, valid, workshop)
        done = host.run(f"timeout 10 {SSH} -i {workshop}/key {command}")
        host.check_output(f"rm {workshop}/key-cert.pub")
        return done

    return login


@pytest.mark.parametrize("service", SERVICES)
def test_it_starts_at_boot_and_is_well_sandboxed(host: Host, service: str) -> None:
    assert host.service(service).is_enabled
    exposure = host.check_output(f"systemd-analyze security --no-pager {service} | tail -1").split()[-3]
    assert float(exposure) < 5


def test_without_metadata_it_waits(host: Host) -> None:
    host.check_output("systemctl start slipway-operator-access")
    said = "journalctl --unit slipway-operator-access | grep --quiet metadata.is.not.there"
    host.check_output(f"timeout 60 sh -c 'until {said}; do sleep 0.2; done'")
    assert host.service("slipway-operator-access").is_running


def test_the_shell_opens_and_nothing_is_forwarded(know: Know, login: Login) -> None:
    know("api", has_database=True)
    done = login("sandbox/api/shell", "admin@127.0.0.1 'echo in'")
    assert (done.rc, done.stdout) == (0, "in\n"), done.stderr
    refused = login("sandbox/api/shell", "-W 127.0.0.1:22 admin@127.0.0.1 </dev/null")
    assert (refused.rc, refused.stdout) == (255, "")


@pytest.mark.parametrize(
    ("principals", "options", "blocked"),
    [
        ("sandbox/worker/shell", {}, ()),
        ("production/api/shell", {}, ()),
        ("admin", {}, ()),
        ("sandbox/api/shell", {"valid": "-5m:-1m"}, ()),
        ("sandbox/api/shell", {"valid": "+5m:+9m"}, ()),
        ("sandbox/api/shell", {}, ("ada",)),
        ("sandbox/api/shell", {"key_id": "ada"}, ()),
        ("sandbox/api/shell", {"key_id": "a.a/shell/1"}, ("a.a",)),
        ("sandbox/api/shell", {"key_id": "/shell/1"}, ()),
        ("sandbox/api/shell", {"key_id": "ada/.*/1"}, ()),
    ],
)
def test_everybody_else_is_refused(
    know: Know, login: Login, principals: str, options: dict[str, str], blocked: tuple[str, ...]
) -> None:
    know("api", blocked=blocked)
    refused = login(principals, "admin@127.0.0.1 'echo in'", **options)
    assert (refused.rc, refused.stdout) == (255, "")


def test_a_blocked_name_blocks_no_other_that_looks_like_it(know: Know, login: Login) -> None:
    know("api", blocked=("a.a", "ad", "adam"))
    assert login("sandbox/api/shell", "admin@127.0.0.1 'echo in'").stdout == "in\n"


def test_other_accounts_stay_closed(know: Know, login: Login, host: Host) -> None:
    know("api")
    host.check_output("id other || useradd --create-home --shell /bin/bash other")
    assert login("sandbox/api/shell", "other@127.0.0.1 'echo in'").rc == 255
    assert login("sandbox/api/shell", "root@127.0.0.1 'echo in'").rc == 255


def test_without_the_list_of_blocked_names_nobody_gets_in(know: Know, login: Login, host: Host) -> None:
    know("api")
    host.check_output("rm /run/slipway-access/blocked")
    assert login("sandbox/api/shell", "admin@127.0.0.1 'echo in'").rc == 255
    know("api")
    assert login("sandbox/api/shell", "admin@127.0.0.1 'echo in'").rc == 0


def test_the_jump_leads_on_to_ssh_and_runs_nothing(know: Know, login: Login) -> None:
    know("bastion")
    names = "sandbox/bastion/jump,sandbox/api/shell"
    assert login(names, "-W 127.0.0.1:22 admin@127.0.0.1 </dev/null").stdout.startswith("SSH-2.0-")
    assert login(names, "-W 127.0.0.1:3306 admin@127.0.0.1 </dev/null").rc == 255
    for asked in ("'echo in'", "-tt 'echo in'", "-s sftp </dev/null"):
        run = login(names, f"admin@127.0.0.1 {asked}")
        assert run.rc != 0
        assert "\nin" not in f"\n{run.stdout}"


def test_a_database_door_leads_to_its_endpoint_only(know: Know, login: Login, host: Host) -> None:
    know("api", has_database=True)
    host.check_output(f"systemd-run --unit answer {ANSWER}")
    host.check_output("timeout 10 sh -c 'until ss -ltn | grep -q :3306; do sleep 0.1; done'")
    opened = login(
        "sandbox/api/reader", "-W 127.0.0.1:3306 admin@127.0.0.1 </dev/null", key_id="ada/reader/1"
    )
    assert opened.stdout == "hi", opened.stderr
    for target in ("127.0.0.2:3306", "127.0.0.1:22", "localhost:3306"):
        refused = login(
            "sandbox/api/reader", f"-W {target} admin@127.0.0.1 </dev/null", key_id="ada/reader/1"
        )
        assert (refused.rc, refused.stdout) == (255, "")
    assert login("sandbox/api/reader", "admin@127.0.0.1 'echo in'", key_id="ada/reader/1").rc == 1


def test_a_plain_key_opens_the_shell_until_its_name_is_blocked(know: Know, host: Host, workshop: str) -> None:
    command = f"timeout 10 {SSH} -i {workshop}/key admin@127.0.0.1 'echo in'"
    know("api", has_key=True)
    assert host.run(command).stdout == "in\n"
    know("api", has_key=True, blocked=("ada",))
    assert host.run(command).rc == 255
    know("api")
    assert host.run(command).rc == 255


def test_keys_in_homes_open_nothing_on_a_machine_of_a_fleet(know: Know, host: Host, workshop: str) -> None:
    know("api")
    own, member = "/home/admin/.ssh/authorized_keys", "/run/slipway-access/fleet_member.conf"
    command = f"timeout 10 {SSH} -i {workshop}/key admin@127.0.0.1 'echo in'"
    reload = "systemctl reload ssh"
    host.check_output(f"install -D -o admin -m 600 {workshop}/key.pub {own} && chown admin /home/admin/.ssh")
    assert host.run(command).stdout == "in\n"
    host.check_output(f"echo 'AuthorizedKeysFile none' > {member} && {reload}")
    assert host.run(command).rc == 255
    host.check_output(f"rm {member} {own} && {reload}")


def test_a_tunnel_carries_more_connections_than_a_login_has_sessions(
    know: Know, host: Host, workshop: str
) -> None:
    know("bastion", has_key=True)
    host.check_output(
        f"systemd-run --unit tunnel {SSH} -i {workshop}/key -N -L 9000:127.0.0.1:22 admin@127.0.0.1"
    )
    host.check_output("timeout 10 sh -c 'until ss -ltn | grep -q :9000; do sleep 0.1; done'")
    ask = "import socket as s; c = [s.create_connection(('127.0.0.1', 9000)) for _ in range(8)]"
    told = host.check_output("python3 -c %s", f"{ask}; print([each.recv(4) for each in c])")
    host.check_output("systemctl stop tunnel")
    assert told == str([b"SSH-"] * 8)


def test_the_journal_tells_who_came_and_who_was_refused(know: Know, login: Login, host: Host) -> None:
    know("api")
    cursor = host.check_output("journalctl --show-cursor -n 0 -o cat").split()[-1]
    login("sandbox/api/shell", "admin@127.0.0.1 'echo in'", key_id="ada/shell/told")
    login("sandbox/api/shell", "admin@127.0.0.1", key_id="ada/shell/late", valid="-5m:-1m")
    shown = f"journalctl --after-cursor='{cursor}' -o json _UID=0"
    until = f"until {shown} | grep -q session.closed.for.user; do sleep 0.2; done"
    host.check_output("timeout 20 sh -c %s", until)
    told = host.check_output(f"cd /usr/local/lib/slipway && {shown} | python3 -c %s", TOLD)
    records = [json.loads(line) for line in told.splitlines()]
    seen = [
        {name: record.get(name) for name in ("event", "session", "who", "door", "user", "from", "why")}
        for record in records
    ]
    same = {"who": "ada", "door": "shell", "user": "admin", "from": "127.0.0.1", "why": None}
    assert seen == [
        {"event": "began", "session": "told", **same},
        {"event": "ended", "session": "told", **same},
        {"event": "refused", "session": "late", **same, "why": "Certificate invalid: expired"},
    ]
    assert {record["certificate_serial"] for record in records} == {"7"}
