# SPDX-License-Identifier: Apache-2.0
"""Live with a host firewall that drops what it forwards by default, as Docker and ufw set it up.

A drop in any table is final, so our own table cannot let machines out past it: the exception must stand in
theirs. What may be forwarded for machines is still decided by our table.
"""

from __future__ import annotations

import json
from typing import Any

from sandbox import process
from sandbox.network import namespaces

_CHAIN = ("ip", "filter", "FORWARD")


def admit(link: str) -> None:
    """Except the link from a FORWARD chain whose policy is drop."""
    entries = _entries()
    drops = any(entry.get("chain", {}).get("policy") == "drop" for entry in entries)
    if not drops or handles(entries, link):
        return
    chain = " ".join(_CHAIN)
    rules = [f'insert rule {chain} {side} "{link}" accept' for side in ("iifname", "oifname")]
    namespaces.load_rules(None, "\n".join(rules) + "\n")


def withdraw(link: str) -> None:
    """Remove what `admit` added."""
    found = handles(_entries(), link)
    if found:
        lines = [f"delete rule {' '.join(_CHAIN)} handle {handle}" for handle in found]
        namespaces.load_rules(None, "\n".join(lines) + "\n")


def handles(entries: list[dict[str, Any]], link: str) -> list[int]:
    """Return the handles of the rules that name the link."""
    rules = [entry["rule"] for entry in entries if "rule" in entry]
    return [int(rule["handle"]) for rule in rules if _names(rule, link)]


def _names(rule: dict[str, Any], link: str) -> bool:
    return any(part.get("match", {}).get("right") == link for part in rule.get("expr", []))


def _entries() -> list[dict[str, Any]]:
    listed = process.run(["nft", "--json", "list", "tables"], action="list nftables tables")
    tables = [entry.get("table", {}) for entry in json.loads(listed)["nftables"]]
    if not any((table.get("family"), table.get("name")) == _CHAIN[:2] for table in tables):
        return []
    listed = process.run(
        ["nft", "--json", "list", "table", *_CHAIN[:2]], action="list the host's filter table"
    )
    entries: list[dict[str, Any]] = json.loads(listed)["nftables"]
    return [entry for entry in entries if _chain_of(entry) == _CHAIN[2]]


def _chain_of(entry: dict[str, Any]) -> object:
    return entry.get("rule", {}).get("chain") or entry.get("chain", {}).get("name")
