# SPDX-License-Identifier: Apache-2.0
"""The local region's status page as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def region_table(page: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the local region's status page as lines: what it is, its machines, its images."""
    megabytes = page["machine_memory_bytes"] / 2**20
    lines = [
        f"{page['endpoint']}  {page['mode']} machines, up for {page['uptime_s']:.0f} s, pid {page['pid']}, "
        f"machines use {megabytes:.0f} MiB",
        *([f"seed {page['seed']}, its time is {page['now']}"] if "seed" in page else []),
        "",
    ]
    machines = [("machine", "state", "status", "private", "public", "image")]
    machines += [
        (
            row["instance_id"],
            row["state"],
            row.get("status") or "-",
            row.get("private_address") or "-",
            row.get("public_address") or "-",
            row.get("ami_id") or "-",
        )
        for row in page["machines"]
    ]
    images = [("image", "state", "name")]
    images += [(row["ami_id"], row["state"], row["name"]) for row in page["images"]]
    return (*lines, *_columns(machines), "", *_columns(images))


def _columns(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return tuple(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
