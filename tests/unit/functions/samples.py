# SPDX-License-Identifier: Apache-2.0
"""A real file of every format that Pillow reads by default: saved by Pillow, or written here by its rules."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

from PIL import Image

SIZE = (48, 32)
GREY = bytes([128])
# Pillow knows what these are, but needs another program or library to read them.
NOT_READ_BY_PILLOW_ITSELF = {
    "BUFR": b"BUFR" + bytes(64),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 32\n%%EndComments\nshowpage\n%%EOF\n",
    "GRIB": b"GRIB\x00\x00\x00\x01" + bytes(64),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "MPEG": struct.pack(">I", 0x1B3) + bytes([0x03, 0x00, 0x20, 0x13]) + bytes(64),
    "WMF": struct.pack("<IHhhhhHIH", 0x9AC6CDD7, 0, 0, 0, 960, 640, 1440, 0, 0)
    + b"\x01\x00\x09\x00" + bytes(64),
}  # fmt: skip


def picture(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Return something with colours and edges."""
    image = Image.new("RGB", size, (200, 60, 40))
    image.paste((40, 90, 200), (0, 0, size[0] // 2, size[1] // 2))
    return image.convert(mode)


def saved(image_format: str, image: Image.Image | None = None, **options: object) -> bytes:
    """Return an image as a file."""
    written = io.BytesIO()
    (image or picture()).save(written, image_format, **options)
    return written.getvalue()


def _cursor() -> bytes:
    dib = saved("DIB", picture())
    header = dib[:8] + struct.pack("<i", 2 * SIZE[1]) + dib[12:]
    mask = bytes(SIZE[1] * ((SIZE[0] + 31) // 32 * 4))
    entry = struct.pack("<BBBBHHII", *SIZE, 0, 0, 0, 0, len(header) + len(mask), 22)
    return struct.pack("<HHH", 0, 2, 1) + entry + header + mask


def _dcx() -> bytes:
    return struct.pack("<III", 987654321, 12, 0) + saved("PCX")


def _fits() -> bytes:
    cards = [
        "SIMPLE  = T",
        "BITPIX  = 8",
        "NAXIS   = 2",
        f"NAXIS1  = {SIZE[0]}",
        f"NAXIS2  = {SIZE[1]}",
        "END",
    ]
    header = "".join(card.ljust(80) for card in cards).ljust(2880)
    return header.encode() + GREY * (SIZE[0] * SIZE[1])


def _fli() -> bytes:
    pixels = struct.pack("<IH", 6 + SIZE[0] * SIZE[1], 16) + GREY * (SIZE[0] * SIZE[1])
    frame = struct.pack("<IHH8x", 16 + len(pixels), 0xF1FA, 1) + pixels
    head = struct.pack("<IHHHHHHI", 128 + len(frame), 0xAF11, 1, *SIZE, 8, 3, 5)
    return head.ljust(128, b"\0") + frame


def _ftex() -> bytes:
    pixels = picture().tobytes()
    return b"FTEX" + struct.pack("<i2i2i2ii", 0, *SIZE, 1, 1, 1, 32, len(pixels)) + pixels


def _gbr() -> bytes:
    return struct.pack(">5I4sI", 30, 2, *SIZE, 1, b"GIMP", 10) + b"x\0" + GREY * (SIZE[0] * SIZE[1])


def _imt() -> bytes:
    return f"width {SIZE[0]}\nheight {SIZE[1]}\npixel n8\n".encode() + b"\x0c" + GREY * (SIZE[0] * SIZE[1])


def _iptc() -> bytes:
    def field(group: int, number: int, value: bytes) -> bytes:
        return struct.pack(">BBBH", 0x1C, group, number, len(value)) + value

    def number(group: int, which: int, value: int) -> bytes:
        return field(group, which, struct.pack(">H", value))

    head = field(3, 60, b"\x01\x00") + number(3, 20, SIZE[0]) + number(3, 30, SIZE[1]) + number(3, 120, 1)
    return head + field(8, 10, GREY * (SIZE[0] * SIZE[1]))


def _mcidas() -> bytes:
    words = [0] * 64
    words[1], words[8], words[9], words[10] = 4, SIZE[1], SIZE[0], 1
    words[13], words[33] = 1, 256
    return struct.pack("!64i", *words) + GREY * (SIZE[0] * SIZE[1])


def _pcd() -> bytes:
    return bytes(2048) + b"PCD_".ljust(94 * 2048 + 2048, b"\0") + GREY * (768 * 512 * 3 // 2 + 4096)


def _pixar() -> bytes:
    head = bytearray(1024)
    head[:4] = b"\200\350\000\000"
    struct.pack_into("<HH", head, 416, SIZE[1], SIZE[0])
    struct.pack_into("<HH", head, 424, 14, 2)
    return bytes(head) + picture().tobytes()


def _psd() -> bytes:
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, SIZE[1], SIZE[0], 8, 3)
    return head + bytes(12) + struct.pack(">H", 0) + b"".join(band.tobytes() for band in picture().split())


def _sun() -> bytes:
    pixels = picture().tobytes("raw", "BGR")
    return struct.pack(">8I", 0x59A66A95, *SIZE, 24, len(pixels), 1, 0, 0) + pixels


def _xpm() -> bytes:
    rows = "".join(f'"{"ab" * (SIZE[0] // 2)}",\n' for _ in range(SIZE[1]))
    head = f'/* XPM */\nstatic char *x[] = {{\n"{SIZE[0]} {SIZE[1]} 2 1",\n"a c #c83c28",\n"b c #285ac8",\n'
    return (head + rows + "};\n").encode()


def _xv_thumbnail() -> bytes:
    return b"P7 332\n#END_OF_COMMENTS\n%d %d 255\n" % SIZE + GREY * (SIZE[0] * SIZE[1])


_WRITTEN_HERE: dict[str, Callable[[], bytes]] = {
    "CUR": _cursor, "DCX": _dcx, "FITS": _fits, "FLI": _fli, "FTEX": _ftex, "GBR": _gbr, "IMT": _imt,
    "IPTC": _iptc, "MCIDAS": _mcidas, "PCD": _pcd, "PIXAR": _pixar, "PSD": _psd, "SUN": _sun, "XPM": _xpm,
    "XVTHUMB": _xv_thumbnail,
}  # fmt: skip
_MODES = {"BLP": "P", "MSP": "1", "XBM": "1", "SPIDER": "F"}


def sample(image_format: str) -> bytes:
    """Return a file of the format."""
    if image_format in _WRITTEN_HERE:
        return _WRITTEN_HERE[image_format]()
    return saved(image_format, picture(_MODES.get(image_format, "RGB")))
