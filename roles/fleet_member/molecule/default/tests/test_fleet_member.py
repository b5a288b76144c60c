# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `fleet_member`. Groups are tried with the region's machines."""

import pytest
from testinfra.host import Host

SERVICES = ("slipway-ready", "slipway-leave")


@pytest.mark.parametrize("service", SERVICES)
def test_it_starts_at_boot_and_is_well_sandboxed(host: Host, service: str) -> None:
    assert host.service(service).is_enabled
    exposure = host.check_output(f"systemd-analyze security --no-pager {service} | tail -1").split()[-3]
    assert float(exposure) < 5


@pytest.mark.parametrize("service", SERVICES)
def test_outside_of_a_group_there_is_nothing_to_do(host: Host, service: str) -> None:
    host.check_output(f"systemctl start {service}")
    said = f"journalctl --unit {service} | grep --quiet no.Auto.Scaling.group"
    host.check_output(f"timeout 60 sh -c 'until {said}; do sleep 0.2; done'")
    assert not host.run(f"systemctl is-failed --quiet {service}").succeeded


def test_the_aws_library_is_there(host: Host) -> None:
    host.check_output("python3 -c 'import boto3'")
