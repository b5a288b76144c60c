# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `image_facts`."""

from testinfra.host import Host


def test_a_shell_reads_which_image_it_runs_on(host: Host) -> None:
    said = host.check_output(
        ". /etc/slipway/image && echo $SLIPWAY_IMAGE $SLIPWAY_IMAGE_CLASS $SLIPWAY_IMAGE_PARENT"
    )
    assert said == "worker-0123456789ab worker ami-0123456789abcdef0"


def test_systemd_reads_it_too(host: Host) -> None:
    run = "systemd-run --quiet --pipe --wait --property=EnvironmentFile=/etc/slipway/image"
    assert host.check_output(f"{run} sh -c 'echo $SLIPWAY_IMAGE_BAKE_KEY'") == "0123456789ab"
