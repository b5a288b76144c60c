# SPDX-License-Identifier: Apache-2.0
"""Draw the way to a machine and a database for docs/access.md: `python -m orchestrator.documents.access`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from orchestrator.domain.svg import FAINT, add_arrow_head, line, page, rect, text, written

PICTURE = Path("docs/diagrams/access.svg")
WIDTH, HEIGHT, MARGIN = 1180, 376, 24
_TOP, _BOX_WIDTH, _BOX_HEIGHT, _ROW = 96, 220, 128, 17
_BELOW = 272
_ARROW = "#444f5a"


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    tier: str
    says: tuple[str, ...]
    fill: str
    stroke: str


_PLACES = (
    _Place(
        "your machine",
        "invoke, ssh, mysql",
        ("a key and a certificate,", "valid for minutes;", "127.0.0.1:port stays open"),
        "#ffffff",
        "#1c2733",
    ),
    _Place(
        "bastion",
        "public subnet",
        ("jump: on to port 22", "of this network's machines", "and to nothing else"),
        "#e8f1fb",
        "#2f6db5",
    ),
    _Place(
        "a machine of a fleet",
        "application subnet",
        ("shell: no forwarding", "reader, writer: on to that", "endpoint, no command"),
        "#eaf6ec",
        "#2e8b46",
    ),
    _Place(
        "database",
        "data subnet",
        ("admits machines that", "use it, over TLS only"),
        "#fbf0e4",
        "#b8701f",
    ),
)
_WAYS = ("22", "22", "3306")
_KEEPERS = (
    ("KMS", "signs certificates for you, tells machines the public key; the private one never leaves it"),
    ("Parameter Store", "has the host keys, which each machine publishes once, and who is kept out"),
    ("log group, bucket", "are told who went where, when, from where, for how long, with how many bytes"),
)


def picture() -> str:
    """Return the picture."""
    told = "; then ".join(f"{place.name} ({place.tier}): {' '.join(place.says).strip()}" for place in _PLACES)
    root = page(WIDTH, HEIGHT, "The way to a machine and to the database", description=told)
    add_arrow_head(root, _ARROW)
    text(root, MARGIN, MARGIN + 14, "The way to a machine and to the database", size=19, weight="600")
    text(
        root,
        MARGIN,
        MARGIN + 38,
        "Each hop's host key is compared with the one it published.",
        size=13,
        fill=FAINT,
    )
    for index, place in enumerate(_PLACES):
        _add_place(root, place, _left(index))
    for index, port in enumerate(_WAYS):
        _add_way(root, _left(index) + _BOX_WIDTH, _left(index + 1), port)
    text(root, MARGIN, _BELOW, "What both sides of ssh rely on, in AWS", size=15, weight="600")
    for index, (name, says) in enumerate(_KEEPERS):
        y = _BELOW + 28 + index * 24
        text(root, MARGIN, y, name, size=13, weight="600")
        text(root, MARGIN + 150, y, says, size=13)
    return written(root)


def write(project: Path) -> None:
    """Write the picture anew."""
    (project / PICTURE).write_text(picture(), "utf-8")


def _left(index: int) -> float:
    return MARGIN + index * (WIDTH - 2 * MARGIN - _BOX_WIDTH) / (len(_PLACES) - 1)


def _add_place(root: ET.Element, place: _Place, left: float) -> None:
    rect(root, left, _TOP, _BOX_WIDTH, _BOX_HEIGHT, place.fill, stroke=place.stroke, stroke_width="2", rx="8")
    text(root, left + 14, _TOP + 28, place.name, size=16, weight="600")
    text(root, left + 14, _TOP + 48, place.tier, size=12, fill=FAINT)
    for number, words in enumerate(place.says):
        text(root, left + 14, _TOP + 76 + number * _ROW, words, size=13)


def _add_way(root: ET.Element, start: float, end: float, port: str) -> None:
    y = _TOP + _BOX_HEIGHT / 2
    line(root, (start, y), (end - 3, y), _ARROW, stroke_width="1.6", marker_end="url(#head)")
    text(root, (start + end) / 2, y - 8, port, size=13, weight="600", anchor="middle")


if __name__ == "__main__":
    write(Path())
