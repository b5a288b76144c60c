# SPDX-License-Identifier: Apache-2.0
"""What a server is configured with: the region's own settings, and those parameters of a cluster it applies.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Reference.ParameterGroups.html
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# Parameters that MariaDB has with the same meaning; all others are kept and shown by RDS, and change nothing.
APPLIED = frozenset(
    {
        "character_set_server",
        "connect_timeout",
        "event_scheduler",
        "interactive_timeout",
        "log_queries_not_using_indexes",
        "long_query_time",
        "max_allowed_packet",
        "max_connect_errors",
        "max_connections",
        "net_read_timeout",
        "net_write_timeout",
        "require_secure_transport",
        "slow_query_log",
        "sql_mode",
        "time_zone",
        "tls_version",
        "wait_timeout",
    }
)
# Small: several servers share a developer's machine. Commits reach the kernel, not the disk: a server that is
# killed loses nothing, a host that is may.
_OWN = {
    "aria_pagecache_buffer_size": "1M",
    "binlog_format": "ROW",
    "character_set_server": "utf8mb4",
    "expire_logs_days": "0",
    "gtid_strict_mode": "ON",
    "innodb_autoextend_increment": "1",
    "innodb_buffer_pool_size": "32M",
    "innodb_data_file_path": "ibdata1:12M:autoextend",
    "innodb_flush_log_at_trx_commit": "2",
    "innodb_log_buffer_size": "2M",
    "innodb_log_file_size": "32M",
    "key_buffer_size": "1M",
    "log_bin": "binlog",
    "log_slave_updates": "ON",
    "max_connections": "500",
    "performance_schema": "OFF",
    "plugin_load_add": "aurora",
    "relay_log": "relay",
    # A commit is answered when a reader has it too, if there is one: on AWS they share what is stored.
    "rpl_semi_sync_master_enabled": "ON",
    "rpl_semi_sync_master_timeout": "2000",
    "rpl_semi_sync_master_wait_no_slave": "OFF",
    "rpl_semi_sync_slave_enabled": "ON",
    "skip_name_resolve": "ON",
    "slave_net_timeout": "10",
    "slow_query_log_file": "slow.log",
    "sync_binlog": "0",
    "table_open_cache": "400",
}
# Those which decide how a data directory is made.
_OF_FILES = ("innodb_autoextend_increment", "innodb_data_file_path", "innodb_log_file_size")


def file_options() -> list[str]:
    """Return the options with which a data directory is made."""
    return [f"--{name.replace('_', '-')}={_OWN[name]}" for name in _OF_FILES]


def applied(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return those of a cluster's parameters that its servers take; formulas are for AWS's machines."""
    return {name: value for name, value in parameters.items() if name in APPLIED and "{" not in value}


def configuration(parameters: Mapping[str, str], places: Mapping[str, Path | str | int]) -> str:
    """Return a server's option file. `places` are the settings that are this server's alone."""
    settings = {**_OWN, **applied(parameters), **places}
    lines = [f'{name} = "{_quoted(str(value))}"' for name, value in sorted(settings.items())]
    return "\n".join(["[mariadbd]", *lines, ""])


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
