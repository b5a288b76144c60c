# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `worker_runner`."""

from collections.abc import Iterator

import pytest
from testinfra.host import Host

WORKER = "#!/bin/sh\\nid -un\\ntouch /srv/slipway/releases/1/written || echo read-only\\nexec sleep 600\\n"


@pytest.fixture(name="release")
def release_with_a_worker(host: Host) -> Iterator[None]:
    """Install a release whose worker says who it is and what it may write."""
    host.check_output("mkdir --parents /srv/slipway/releases/1/bin && ln -s releases/1 /srv/slipway/current")
    host.check_output(
        f"printf '{WORKER}' > /srv/slipway/current/bin/worker && chmod 0755 /srv/slipway/current/bin/worker"
    )
    yield
    host.run("systemctl stop slipway-worker; rm -r /srv/slipway")


def state(host: Host) -> str:
    """Return the service's state in systemd's words."""
    return str(host.check_output("systemctl show slipway-worker --property=ActiveState --value"))


def test_without_a_release_it_is_skipped_not_failed(host: Host) -> None:
    host.check_output("systemctl start slipway-worker")
    assert state(host) == "inactive"
    assert host.check_output("systemctl show slipway-worker --property=ConditionResult --value") == "no"


def start(host: Host) -> None:
    """Start the service and wait until its worker has said all it has to say."""
    host.check_output("systemctl start slipway-worker")
    said = "journalctl --unit slipway-worker | grep --quiet read-only"
    host.check_output(f"timeout 30 sh -c 'until {said}; do sleep 0.2; done'")


@pytest.mark.usefixtures("release")
def test_with_a_release_it_runs_as_the_worker_who_may_write_nowhere(host: Host) -> None:
    start(host)
    assert state(host) == "active"
    process = host.check_output("systemctl show slipway-worker --property=MainPID --value")
    assert host.check_output(f"ps -o user= -p {process}") == "worker"


@pytest.mark.usefixtures("release")
def test_a_worker_that_dies_is_started_again(host: Host) -> None:
    start(host)
    host.check_output("systemctl kill --signal=KILL slipway-worker")
    restarts = "systemctl show slipway-worker --property=NRestarts --value"
    host.check_output(f"timeout 30 sh -c 'until test $({restarts}) -ge 1; do sleep 0.2; done'")
    host.check_output(
        "timeout 30 sh -c 'until systemctl is-active --quiet slipway-worker; do sleep 0.2; done'"
    )


def test_nobody_can_log_in_as_the_worker(host: Host) -> None:
    assert host.user("worker").shell == "/usr/sbin/nologin"
    assert host.check_output("passwd --status worker").split()[1] == "L"


def test_it_starts_at_boot_and_is_well_sandboxed(host: Host) -> None:
    assert host.service("slipway-worker").is_enabled
    assert (
        float(host.check_output("systemd-analyze security --no-pager slipway-worker | tail -1").split()[-3])
        < 2
    )
