# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `worker_runner`."""

from collections.abc import Iterator

import pytest
from testinfra.host import Host

WORKER = "#!/bin/sh\\nid -un\\ntouch /srv/slipway/releases/1/written || echo read-only\\nexec sleep 60\\n"


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


@pytest.mark.usefixtures("release")
def test_with_a_release_it_runs_as_the_worker_who_may_write_nowhere(host: Host) -> None:
    host.check_output("systemctl start slipway-worker")
    host.check_output(
        "timeout 10 sh -c 'until journalctl --unit slipway-worker | grep -q read-only; do sleep 0.1; done'"
    )
    assert state(host) == "active"
    assert (
        host.check_output("ps -o user= -p $(systemctl show slipway-worker --property=MainPID --value)")
        == "worker"
    )


@pytest.mark.usefixtures("release")
def test_a_worker_that_dies_is_started_again(host: Host) -> None:
    host.check_output("systemctl start slipway-worker && systemctl kill --signal=KILL slipway-worker")
    host.check_output(
        "timeout 15 sh -c 'until systemctl is-active --quiet slipway-worker; do sleep 0.2; done'"
    )
    assert int(host.check_output("systemctl show slipway-worker --property=NRestarts --value")) >= 1


def test_nobody_can_log_in_as_the_worker(host: Host) -> None:
    assert host.user("worker").shell == "/usr/sbin/nologin"
    assert host.check_output("passwd --status worker").split()[1] == "L"


def test_it_starts_at_boot_and_is_well_sandboxed(host: Host) -> None:
    assert host.service("slipway-worker").is_enabled
    assert (
        float(host.check_output("systemd-analyze security --no-pager slipway-worker | tail -1").split()[-3])
        < 2
    )
