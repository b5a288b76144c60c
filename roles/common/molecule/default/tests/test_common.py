# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `common`."""

from testinfra.host import Host


def test_packages_are_installed(host: Host) -> None:
    assert [
        name for name in ("ca-certificates", "chrony", "curl", "sudo") if not host.package(name).is_installed
    ] == []


def test_time_comes_from_the_link_local_source(host: Host) -> None:
    assert host.run("chronyd -p -f /etc/chrony/chrony.conf").stdout.startswith(
        "server 169.254.169.123 iburst"
    )
    assert host.service("chrony").is_enabled


def test_the_journal_is_limited(host: Host) -> None:
    shown = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert "\nSystemMaxUse=200M\n" in shown
    assert "\nMaxRetentionSec=1month\n" in shown


def test_nothing_upgrades_a_running_machine(host: Host) -> None:
    states = [
        host.run(f"systemctl is-enabled apt-daily{suffix}.timer").stdout.strip()
        for suffix in ("", "-upgrade")
    ]
    assert states == ["masked", "masked"]
    assert 'APT::Periodic::Enable "0";' in host.check_output("apt-config dump").splitlines()


def test_apt_waits_for_its_lock(host: Host) -> None:
    assert 'DPkg::Lock::Timeout "300";' in host.check_output("apt-config dump").splitlines()


def test_locale_and_time_zone(host: Host) -> None:
    assert "LANG=C.UTF-8" in host.file("/etc/default/locale").content_string.splitlines()
    assert host.check_output("date +%Z") == "UTC"


def test_administrators_become_root_without_a_password(host: Host) -> None:
    host.check_output("id -u probe || useradd --groups operators probe")
    assert host.check_output("su -s /bin/sh probe -c 'sudo --non-interactive id -un'") == "root"


def test_others_do_not(host: Host) -> None:
    assert host.run("su -s /bin/sh nobody -c 'sudo --non-interactive id -un'").rc == 1
