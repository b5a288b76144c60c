# SPDX-License-Identifier: Apache-2.0
"""The region's daemon: `python -m sandbox.daemon`. `sandbox.control` starts it; nothing else needs to."""

from __future__ import annotations

import argparse
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS

from sandbox.api.server import ApiServer
from sandbox.pages import READY, Pages
from sandbox.region import Region, RegionOptions
from sandbox.simulation import OtherSeed, Simulation
from sandbox.state_dir import AlreadyRunning, DaemonRecord, StateDir
from sandbox.substrates import Carrier, Mode, carrier

log = logging.getLogger("sandbox.daemon")

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
Report = Callable[[str], None]
# Where machines reach the AWS API, at the region's own address.
API_PORT = 80
# New objects, looks at the new ones, and looks at those that stayed, before all are looked through.
_LOOK_FOR_GARBAGE_AFTER = (50_000, 20, 20)


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """The daemon's arguments."""

    state_dir: StateDir
    port: int
    region: str
    mode: Mode
    seed: int
    report_fd: int | None


def main(arguments: list[str] | None = None) -> int:
    """Run a region until SIGTERM."""
    options = _parse(arguments)
    try:
        with options.state_dir.held():
            _set_up_logs(options.state_dir)
            return _run(options, _reporter(options.report_fd))
    except AlreadyRunning:
        _reporter(options.report_fd)("failed the region of this checkout runs already")
        return 1


def _parse(arguments: list[str] | None) -> DaemonOptions:
    parser = argparse.ArgumentParser(prog="python -m sandbox.daemon", description=__doc__)
    parser.add_argument("--state-dir", type=Path, default=StateDir.of_checkout().path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--mode", type=Mode, choices=list(Mode), required=True)
    parser.add_argument("--seed", type=int, default=0, help="of a simulated region")
    parser.add_argument("--report-fd", type=int, help="where to write the phases of the start, a line each")
    given = parser.parse_args(arguments)
    return DaemonOptions(
        StateDir(given.state_dir), given.port, given.region, given.mode, given.seed, given.report_fd
    )


def _reporter(descriptor: int | None) -> Report:
    def report(line: str) -> None:
        log.info("%s", line)
        if descriptor is not None:
            try:
                os.write(descriptor, f"{line}\n".encode())
            except OSError:  # whoever started the region no longer listens
                log.debug("nobody hears: %s", line)

    return report


def _set_up_logs(state_dir: StateDir) -> None:
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    requests = logging.getLogger("sandbox.requests")
    requests.propagate = False
    handler = logging.FileHandler(state_dir.requests)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    requests.addHandler(handler)


def _run(options: DaemonOptions, report: Report) -> int:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        listener = socket.create_server(("127.0.0.1", options.port), backlog=128)
    except OSError as error:
        report(f"failed port {options.port}: {error.strerror}")
        return 1
    if options.mode is Mode.REAL:
        options.state_dir.note_machines()
    port = int(listener.getsockname()[1])
    options.state_dir.write(DaemonRecord(os.getpid(), port, options.mode, options.region))
    carried = carrier(options.mode, options.state_dir, on_progress=report)
    pages = Pages(mode=options.mode, region_name=options.region, operator_address=carried.operator_address)
    endpoint = f"http://127.0.0.1:{port}"
    region = Region(_region_options(options, carried, endpoint), carried.substrate, pages)
    try:
        region.start()
    except OtherSeed as error:
        report(f"failed {error}")
        return 1
    pages.describe(region)
    server = ApiServer(region.gateway)
    server.serve(listener)
    if carried.listen_api is not None:
        server.serve(carried.listen_api(API_PORT))
    begin = threading.Thread(target=_begin, args=(region, pages, report), name="begin", daemon=True)
    begin.start()
    stopping.wait()
    _end(server, region, carried)
    return 0


def _region_options(options: DaemonOptions, carried: Carrier, endpoint: str) -> RegionOptions:
    environment = {}
    if carried.api_address:
        environment["AWS_ENDPOINT_URL"] = f"http://{carried.api_address}"
    return RegionOptions(
        name=options.region,
        mode=options.mode,
        public_cidr=carried.public_cidr,
        endpoint=endpoint,
        state_file=options.state_dir.saved(options.mode),
        machine_environment=environment,
        simulation=Simulation(options.seed) if options.mode is Mode.SIMULATED else None,
    )


def _begin(region: Region, pages: Pages, report: Report) -> None:
    """Make the public image while the API answers already; `ready` is the last word."""

    def enter(phase: str) -> None:
        pages.progress.phase = phase
        report(phase)

    try:
        enter("making the public Debian 12 image")
        region.install_public_image()
    except Exception as error:  # whatever it is, the one who waits for `ready` must hear of it
        log.exception("the region could not begin")
        pages.progress.problem = str(error)
        report(f"failed {error}".replace("\n", " "))
        return
    enter(READY)
    _give_back_memory(region.options.name)


def _give_back_memory(region_name: str) -> None:
    """Drop what moto loaded for regions that do not exist here: a sixth of the daemon's memory."""
    for offerings in INSTANCE_TYPE_OFFERINGS.values():
        for other in [name for name in offerings if name != region_name]:
            del offerings[other]
    gc.collect()
    # What is there now stays; looking through it again and again would cost a large fleet's launch dearly.
    # So would the machines of one that has been launched: by default they are all looked through each time
    # there are a quarter more. Little of what a region drops is in circles.
    gc.freeze()
    gc.set_threshold(*_LOOK_FOR_GARBAGE_AFTER)
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def _end(server: ApiServer, region: Region, carried: Carrier) -> None:
    log.info("ending")
    server.close()
    region.close()
    carried.substrate.destroy_all()
    log.info("ended")


if __name__ == "__main__":
    sys.exit(main())
