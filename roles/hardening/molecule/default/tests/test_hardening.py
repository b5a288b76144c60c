# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `hardening`."""

from testinfra.host import Host


def test_packages_are_installed(host: Host) -> None:
    wanted = ("aide", "auditd", "debsums", "libpam-pwquality", "libpam-tmpdir", "usbguard")
    assert [name for name in wanted if not host.package(name).is_installed] == []


def test_kernel_parameters_are_read_at_boot_and_may_fail_one_by_one(host: Host) -> None:
    lines = host.file("/etc/sysctl.d/90-slipway.conf").content_string.splitlines()
    assert "-kernel.kptr_restrict = 2" in lines
    assert [line for line in lines if line and line[0] not in "-#"] == []
    assert host.service("systemd-sysctl").is_enabled


def test_blocked_modules_cannot_be_loaded(host: Host) -> None:
    for module in ("usb-storage", "dccp", "squashfs"):
        assert (
            host.check_output(
                f"modprobe --showconfig | grep -c '^install {module.replace('-', '_')} /bin/true'"
            )
            == "1"
        )


def test_new_accounts_are_private(host: Host) -> None:
    host.run("userdel --remove newcomer")
    host.check_output("useradd --create-home newcomer")
    assert host.file("/home/newcomer").mode == 0o700
    assert host.check_output("chage --list newcomer | grep Maximum").split()[-1] == "365"


def test_a_login_makes_files_that_others_cannot_read(host: Host) -> None:
    assert host.check_output("bash --login -c umask") == "0027"


def test_an_idle_shell_ends_and_cannot_say_otherwise(host: Host) -> None:
    tried = host.run("bash --login -c 'echo $TMOUT; TMOUT=0; echo went on'")
    assert (tried.stdout.split(), "readonly variable" in tried.stderr) == (["900"], True)


def test_core_dumps_are_off(host: Host) -> None:
    host.run("useradd plain")
    assert host.check_output("su - plain -c 'ulimit -Hc'") == "0"


def test_weak_passwords_are_refused(host: Host) -> None:
    host.run("useradd chooser")
    assert host.run("echo chooser:correcthorse | chpasswd").rc == 1
    assert host.run("echo chooser:c0rrect-Horse-b4ttery-Staple | chpasswd").rc == 0


def test_banners_warn_and_name_no_system(host: Host) -> None:
    for path in ("/etc/issue", "/etc/issue.net"):
        assert host.file(path).content_string.startswith("This is a private system.")


def test_audit_rules_are_well_formed(host: Host) -> None:
    host.check_output("augenrules --check")
    assert "-k identity" in host.file("/etc/audit/rules.d/50-slipway.rules").content_string


def test_file_checks_cover_the_system(host: Host) -> None:
    host.check_output("aide --config-check --config /etc/aide/aide.conf")
    assert host.service("slipway-aide.timer").is_enabled


def test_schedules_and_privileges_are_only_for_root(host: Host) -> None:
    modes = {path: host.file(path).mode for path in ("/etc/cron.daily", "/etc/sudoers.d", "/root")}
    assert modes == {"/etc/cron.daily": 0o700, "/etc/sudoers.d": 0o750, "/root": 0o700}


def test_what_a_container_cannot_do_is_skipped_not_failed(host: Host) -> None:
    host.run("systemctl start auditd.service usbguard.service slipway-aide.service")
    assert host.run("systemctl is-enabled usbguard-dbus.service").stdout.strip() == "masked"
    failed = host.check_output("systemctl list-units --state=failed --plain --no-legend").split()
    assert [
        unit for unit in ("auditd.service", "usbguard.service", "slipway-aide.service") if unit in failed
    ] == []
