# SPDX-License-Identifier: Apache-2.0
"""Make the variants of an image: bytes in, bytes out, and a reason when it can't be done."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

# Pillow would run Ghostscript for these: nothing that somebody uploads is ever run.
_PROGRAMS = frozenset({"EPS"})
# What Pillow's readers raise for files that are cut short or broken on purpose.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError,
           struct.error, zlib.error, MemoryError, ArithmeticError, RuntimeError)  # fmt: skip
_WHITE = (255, 255, 255)
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
PIXELS_PER_MEGAPIXEL = 1_000_000


class Unusable(Exception):
    """The file is none that variants can be made of; the text says why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to make: the longest edge in pixels by variant, 1-100 quality, the largest image in megapixels."""

    sizes: Mapping[str, int]
    quality: int
    max_megapixels: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One file of one size."""

    name: str
    extension: str
    content_type: str
    width: int
    height: int
    body: bytes


def make(data: bytes, settings: Settings) -> tuple[Variant, ...]:
    """Return every size as WebP and as JPEG: upright, in sRGB, without metadata, never enlarged.

    Raises:
        Unusable: It is no image, is cut short, or would unpack to more pixels than allowed.
    """
    with _readable(data, settings) as image:
        upright = _upright(image)
    variants = []
    for name, edge in settings.sizes.items():
        sized = upright.copy()
        sized.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        variants.append(_encode(name, "webp", sized, settings.quality))
        variants.append(_encode(name, "jpg", _opaque(sized), settings.quality))
    return tuple(variants)


@contextmanager
def _readable(data: bytes, settings: Settings) -> Iterator[Image.Image]:
    """Open and decode the file, with its size looked at before a single pixel is."""
    with warnings.catch_warnings():
        # The limit below is ours and stricter than Pillow's own warning.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data))
        except UnidentifiedImageError as exc:
            raise Unusable("it is no image") from exc
        except Image.DecompressionBombError as exc:
            raise Unusable("it has too many pixels") from exc
        except _BROKEN as exc:
            raise Unusable(f"its header can't be read ({_brief(exc)})") from exc
        with image:
            _check(image, settings)
            try:
                # A JPEG can be decoded at a fraction of its size, which is all that is needed.
                image.draft("RGB", (max(settings.sizes.values()),) * 2)
                image.load()
            except Image.DecompressionBombError as exc:
                raise Unusable("it has too many pixels") from exc
            except _BROKEN as exc:
                raise Unusable(f"it is cut short or broken ({_brief(exc)})") from exc
            yield image


def _check(image: Image.Image, settings: Settings) -> None:
    if image.format in _PROGRAMS:
        raise Unusable(f"{image.format} files are programs")
    megapixels = image.width * image.height / PIXELS_PER_MEGAPIXEL
    if megapixels > settings.max_megapixels:
        raise Unusable(
            f"it has {megapixels:.0f} megapixels, and {settings.max_megapixels} are the most allowed"
        )


def _upright(image: Image.Image) -> Image.Image:
    """Return the image as it is meant to be seen, in 8-bit sRGB, with nothing but pixels."""
    try:
        turned = ImageOps.exif_transpose(image)
    except _BROKEN:  # metadata that can't be read turns nothing
        turned = image
    profile = image.info.get("icc_profile")
    return _in_srgb(_plain(turned), profile)


def _plain(image: Image.Image) -> Image.Image:
    """Convert to RGB, or RGBA where something shows through."""
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.mode == "CMYK":
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring wide greys into 0-255."""
    wide = image.convert("F")
    lowest, highest = _black_and_white(image.mode, wide.getextrema())
    scale = 255 / (highest - lowest or 1)
    return wide.point(lambda value: value * scale - lowest * scale).convert("L")


def _black_and_white(mode: str, found: Any) -> tuple[float, float]:
    """Return which values are black and white: the smallest usual range that holds what was found."""
    if mode.startswith("I;16"):
        return 0.0, 65535.0
    limits = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    fitting = [limit for limit in limits if found[0] >= 0 and found[1] <= limit]
    return (0.0, fitting[0]) if fitting else (found[0], found[1])


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Apply the colour profile before it is dropped; a broken one, or one for other channels, is ignored."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colours = image.convert("RGB") if alpha else image
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(colours, source, _SRGB, outputMode="RGB")
            colours = converted or colours
        except (ImageCms.PyCMSError, *_BROKEN):
            pass
    colours = colours.convert("RGB")
    if alpha:
        colours.putalpha(alpha)
    colours.info.clear()
    return colours


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, _WHITE)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _encode(name: str, extension: str, image: Image.Image, quality: int) -> Variant:
    written = io.BytesIO()
    if extension == "webp":
        image.save(written, "WEBP", quality=quality, method=4)
    else:
        image.save(written, "JPEG", quality=quality, optimize=True, progressive=True)
    content_type = {"webp": "image/webp", "jpg": "image/jpeg"}[extension]
    return Variant(name, extension, content_type, image.width, image.height, written.getvalue())


def _brief(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
