# SPDX-License-Identifier: Apache-2.0
"""Draw a network as SVG: tiers by zones, what is in them, and who may talk to whom at which ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from orchestrator.domain.svg import FAINT, INK, add_arrow_head, line, page, rect, text, written
from stacks.inputs import NetworkInputs
from stacks.reachability import INTERNET, OPERATORS, OTHER_NETWORK, Matrix, Place, Wiring, matrix

WIDTH, MARGIN, LABEL = 1180, 24, 132
OUTSIDE_HEIGHT, TIER_HEIGHT, GAP = 76, 150, 46
BOX_HEIGHT, BOX_WIDTH = 40, 150
TIERS = ("public", "application", "data")
_FILL = {"public": "#e8f1fb", "application": "#eaf6ec", "data": "#fbf0e4"}
_LINE = {"public": "#2f6db5", "application": "#2e8b46", "data": "#b8701f"}
_ARROW = "#444f5a"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a place is drawn: the middle of its box."""

    x: float
    y: float


def draw(inputs: NetworkInputs, wiring: Wiring) -> str:
    """Return the picture of a network; the same input always gives the same bytes."""
    height = MARGIN * 2 + 40 + OUTSIDE_HEIGHT + len(TIERS) * (TIER_HEIGHT + GAP)
    root = page(WIDTH, height, f"The network {inputs.name}")
    add_arrow_head(root, _ARROW)
    title = (
        f"{inputs.name}: {inputs.network.cidr}, {', '.join(sorted(inputs.environments)) or 'no environment'}"
    )
    text(root, MARGIN, MARGIN + 14, title, size=19, weight="600")
    spots = _spots(wiring)
    for name in TIERS:
        _add_tier(root, inputs, wiring, name)
    _add_arrows(root, wiring, spots, matrix(wiring))
    for place in wiring.places:
        if place.name in spots:
            _add_box(root, place, spots[place.name])
    return written(root)


def _top(tier: str) -> int:
    return MARGIN + 40 + OUTSIDE_HEIGHT + TIERS.index(tier) * (TIER_HEIGHT + GAP)


def _spots(wiring: Wiring) -> dict[str, Spot]:
    """Give each place its box; the outside is on top."""
    spots = {}
    inner = WIDTH - LABEL - 2 * MARGIN
    rows: dict[str, list[Place]] = {"": [], **{tier: [] for tier in TIERS}}
    for place in wiring.places:
        if place.name != OTHER_NETWORK:
            rows[place.tier].append(place)
    for tier, places in rows.items():
        y = _top(tier) + TIER_HEIGHT - 46 if tier else MARGIN + 40 + BOX_HEIGHT / 2
        for index, place in enumerate(places):
            x = MARGIN + LABEL + inner * (index + 0.5) / len(places)
            spots[place.name] = Spot(round(x, 1), y)
    return spots


def _add_tier(root: ET.Element, inputs: NetworkInputs, wiring: Wiring, name: str) -> None:
    top, left = _top(name), MARGIN + LABEL
    inner = WIDTH - left - MARGIN
    tier = wiring.tiers[name]
    ways = {"gateway": "internet gateway", "nat": "out through NAT", "": "no way out"}
    text(root, MARGIN, top + 26, name, size=16, weight="600", fill=_LINE[name])
    text(root, MARGIN, top + 48, ways[tier.way_out], size=12, fill=FAINT)
    width = inner / len(tier.cidrs)
    for index, (zone, cidr) in enumerate(zip(inputs.network.zones, tier.cidrs, strict=True)):
        x = left + index * width
        rect(root, x, top, width - 8, TIER_HEIGHT, _FILL[name], stroke=_LINE[name], rx="6")
        text(root, x + 10, top + 20, f"{inputs.region}{zone}", size=12, fill=FAINT)
        text(root, x + 10, top + 37, str(cidr), size=12, fill=FAINT)


def _add_box(root: ET.Element, place: Place, spot: Spot) -> None:
    colour = _LINE.get(place.tier, INK)
    left, top = spot.x - BOX_WIDTH / 2, spot.y - BOX_HEIGHT / 2
    rect(root, left, top, BOX_WIDTH, BOX_HEIGHT, "#ffffff", stroke=colour, stroke_width="2", rx="8")
    text(root, spot.x, spot.y + 5, place.name, size=15, weight="600", anchor="middle")


def _add_arrows(root: ET.Element, wiring: Wiring, spots: Mapping[str, Spot], cells: Matrix) -> None:
    """Draw what may connect, but not machines' way out: that is written beside each tier."""
    for (source, target), ports in sorted(cells.items()):
        is_way_out = target in (INTERNET, OPERATORS)
        # Whoever comes from ssh_from is on the internet as well: only what is more than that gets an arrow.
        more = tuple(port for port in ports if source != OPERATORS or port not in cells[INTERNET, target])
        if not more or is_way_out or _goes_through_the_internet(wiring, source, target):
            continue
        _arrow(root, spots[source], spots[target], ", ".join(map(str, more)))


def _goes_through_the_internet(wiring: Wiring, source: str, target: str) -> bool:
    """Whether a machine only reaches the other because everybody does."""
    tiers = {place.name: place.tier for place in wiring.places}
    return bool(tiers[source]) and target == "balancer"


def _arrow(root: ET.Element, start: Spot, end: Spot, ports: str) -> None:
    is_level = start.y == end.y
    down = 1 if end.y > start.y else -1
    half = BOX_WIDTH / 2 * (1 if end.x > start.x else -1)
    x1, y1 = (start.x + half, start.y) if is_level else (start.x, start.y + down * BOX_HEIGHT / 2)
    x2, y2 = (end.x - half, end.y) if is_level else (end.x, end.y - down * (BOX_HEIGHT / 2 + 3))
    line(root, (x1, y1), (x2, y2), _ARROW, stroke_width="1.6", marker_end="url(#head)")
    # Near the beginning, where arrows to one box are still apart.
    x, y = x1 + (x2 - x1) * 0.3, y1 + (y2 - y1) * 0.3
    half = 4 + 4 * len(ports)
    rect(root, x - half, y - 10, 2 * half, 18, "#ffffff", fill_opacity="0.9", rx="4")
    text(root, x, y + 4, ports, size=12, anchor="middle")
