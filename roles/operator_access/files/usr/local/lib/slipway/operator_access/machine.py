# SPDX-License-Identifier: Apache-2.0
"""Find out which machine this is: of which environment, fleet and class. The instance's metadata knows."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

METADATA = "http://169.254.169.254/latest"
IMAGE_FACTS = Path("/etc/slipway/image")
TIMEOUT_S = 5
NOT_FOUND = 404

# Reads an item of the instance's metadata; None where there is none.
Read = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of an environment's fleet."""

    environment: str
    fleet: str
    server_class: str
    instance_id: str
    region: str
    account_id: str


def read_metadata(path: str) -> str | None:
    """Return an item of the instance's metadata, or None where there is none.

    Raises:
        OSError: Nobody answers.
    """
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    ask = urllib.request.Request(f"{METADATA}/api/token", method="PUT", headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(ask, timeout=TIMEOUT_S) as answer:  # noqa: S310
            token = answer.read().decode()
        headers = {"X-aws-ec2-metadata-token": token}
        item = urllib.request.Request(f"{METADATA}/{path}", headers=headers)  # noqa: S310
        with urllib.request.urlopen(item, timeout=TIMEOUT_S) as answer:  # noqa: S310
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        if error.code == NOT_FOUND:
            return None
        raise


def this_machine(read: Read = read_metadata, facts: Path = IMAGE_FACTS) -> Machine | None:
    """Return which machine this is; one without the tags of a fleet is none of ours.

    Raises:
        OSError: Nobody answers.
    """
    environment = read("meta-data/tags/instance/slipway:environment")
    fleet = read("meta-data/tags/instance/slipway:fleet")
    server_class = image_class(facts)
    if not (environment and fleet and server_class):
        return None
    identity = json.loads(read("dynamic/instance-identity/document") or "{}")
    return Machine(
        environment, fleet, server_class, identity["instanceId"], identity["region"], identity["accountId"]
    )


def image_class(facts: Path = IMAGE_FACTS) -> str:
    """Return the class of the machine's image, or an empty text on a machine of no image of ours."""
    if not facts.exists():
        return ""
    lines = dict(line.split("=", 1) for line in facts.read_text().splitlines() if "=" in line)
    return lines.get("SLIPWAY_IMAGE_CLASS", "").strip("'\"")
