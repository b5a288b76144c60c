# SPDX-License-Identifier: Apache-2.0
"""What pictures as SVG have in common: the page, texts, lines and boxes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

Point = tuple[float, float]
INK, FAINT = "#1c2733", "#66717d"
_STYLE = "text{font-family:system-ui,'DejaVu Sans',sans-serif;fill:#1c2733}"


def page(width: float, height: float, title: str, *, description: str = "") -> ET.Element:
    """Return a white page; what is told in its description can be heard instead of seen."""
    view = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}", "role": "img"}
    root = ET.Element("svg", view | ({"aria-labelledby": "title desc"} if description else {}))
    ET.SubElement(root, "title", {"id": "title"} if description else {}).text = clean(title)
    if description:
        ET.SubElement(root, "desc", {"id": "desc"}).text = clean(description)
    ET.SubElement(root, "style").text = _STYLE
    rect(root, 0, 0, width, height, "#ffffff")
    return root


def written(root: ET.Element) -> str:
    """Return the page as text."""
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def add_arrow_head(root: ET.Element, fill: str) -> None:
    """Define `url(#head)`, what lines end with that are arrows."""
    marker = ET.SubElement(
        ET.SubElement(root, "defs"),
        "marker",
        {"id": "head", "viewBox": "0 0 8 8", "refX": "7", "refY": "4", "markerWidth": "7",
         "markerHeight": "7", "orient": "auto-start-reverse"},
    )  # fmt: skip
    ET.SubElement(marker, "path", {"d": "M0 0 L8 4 L0 8 z", "fill": fill})


def rect(  # noqa: PLR0913 - what a rectangle has
    root: ET.Element, x: float, y: float, width: float, height: float, fill: str, **more: str
) -> ET.Element:
    """Add a box; `more` are attributes with `_` for `-`."""
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}
    return ET.SubElement(root, "rect", place | {"fill": fill} | _attributes(more))


def line(
    root: ET.Element, start: tuple[float, float], end: tuple[float, float], stroke: str, **more: str
) -> None:
    """Add a line from one point to another."""
    (x1, y1), (x2, y2) = start, end
    place = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    ET.SubElement(root, "line", place | {"stroke": stroke} | _attributes(more))


def text(  # noqa: PLR0913 - what a text has
    root: ET.Element,
    x: float,
    y: float,
    words: str,
    *,
    size: int,
    weight: str = "400",
    fill: str = INK,
    anchor: str = "start",
) -> None:
    """Add a line of text."""
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "font-size": str(size), "font-weight": weight}
    ET.SubElement(root, "text", place | {"style": f"fill:{fill}", "text-anchor": anchor}).text = clean(words)


def clean(words: str) -> str:
    """Return a text without what XML can't hold: notes may quote a machine's console."""
    return "".join(each if each.isprintable() else " " for each in words)


def _attributes(more: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in more.items()}
