# SPDX-License-Identifier: Apache-2.0
"""`publish` the machine's host keys once, or `watch` over its doors for as long as it runs."""

from __future__ import annotations

import argparse
import logging
import time

from .machine import Machine, this_machine

LONGEST_PAUSE_S = 60.0

log = logging.getLogger(__package__)


def main() -> None:
    """Do what the arguments say; on a machine that is in no environment there is nothing to do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("publish", "watch"))
    parser.add_argument("--refresh-s", type=float, default=30.0)
    parser.add_argument("--limit-s", type=float, default=30.0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    machine = _machine(options.limit_s if options.what == "publish" else float("inf"))
    if machine is None:
        log.info("in no environment: nothing to do")
    elif options.what == "publish":
        # Only here: it takes longer to import than all the rest takes to run.
        from .cloud import Cloud  # noqa: PLC0415
        from .publish import HostKeys, publish_at_boot  # noqa: PLC0415

        publish_at_boot(HostKeys(Cloud(machine)), options.limit_s)
    else:
        from .watch import watch  # noqa: PLC0415

        watch(machine, refresh_s=options.refresh_s)


def _machine(limit_s: float) -> Machine | None:
    """Return which machine this is, once the metadata service answers; outside of EC2 it never does."""
    waited, pause = 0.0, 1.0
    while True:
        try:
            return this_machine()
        except OSError as error:
            if waited == 0.0:
                log.info("the instance's metadata is not there: %s", error)
        if waited + pause > limit_s:
            return None
        time.sleep(pause)
        waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE_S)


if __name__ == "__main__":
    main()
