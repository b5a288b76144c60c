# SPDX-License-Identifier: Apache-2.0
"""Variants of real files: every format Pillow reads, every orientation, every way to be broken."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageCms

from image_variants.variants import Settings, Unusable, Variant, make
from tests.unit.functions.samples import NOT_READ_BY_PILLOW_ITSELF, picture, sample, saved

Image.init()
FORMATS = sorted(set(Image.OPEN) - set(NOT_READ_BY_PILLOW_ITSELF))
SETTINGS = Settings({"thumb": 16, "large": 4000}, quality=80, max_megapixels=20)
ORIENTATION = 0x0112


def opened(variant: Variant) -> Image.Image:
    image = Image.open(io.BytesIO(variant.body))
    image.load()
    return image


def large(data: bytes) -> Image.Image:
    """Return the large WebP of a file."""
    return opened(
        next(each for each in make(data, SETTINGS) if (each.name, each.extension) == ("large", "webp"))
    )


@pytest.mark.parametrize("image_format", FORMATS)
def test_every_format_that_pillow_reads_gives_all_variants(image_format: str) -> None:
    original = Image.open(io.BytesIO(sample(image_format)))
    variants = make(sample(image_format), SETTINGS)
    assert [(each.name, each.extension) for each in variants] == [
        ("thumb", "webp"), ("thumb", "jpg"), ("large", "webp"), ("large", "jpg"),
    ]  # fmt: skip
    for variant in variants:
        image = opened(variant)
        assert image.format == {"webp": "WEBP", "jpg": "JPEG"}[variant.extension]
        assert variant.content_type == Image.MIME[image.format]
        assert image.size == (variant.width, variant.height)
        if variant.name == "thumb":
            assert max(image.size) == 16
        else:
            assert image.size == original.size, "an image is never enlarged"


@pytest.mark.parametrize("image_format", sorted(NOT_READ_BY_PILLOW_ITSELF))
def test_a_format_that_needs_another_program_is_refused(image_format: str) -> None:
    with pytest.raises(Unusable):
        make(NOT_READ_BY_PILLOW_ITSELF[image_format], SETTINGS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_and_then_gone(orientation: int) -> None:
    upright = Image.new("RGB", (40, 20), "white")
    upright.paste("red", (0, 0, 20, 10))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    # What a camera stores is the upright image, turned back.
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(back[orientation]) if orientation in back else upright
    shown = large(saved("PNG", stored, exif=exif)).convert("RGB")
    assert shown.size == (40, 20)
    corner, rest = shown.getpixel((3, 3)), shown.getpixel((36, 16))
    assert isinstance(corner, tuple) and isinstance(rest, tuple)
    assert corner[0] > 200 and corner[1] < 60
    assert min(rest) > 200
    assert not shown.getexif()


def test_nothing_of_the_metadata_is_left() -> None:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    original = saved("JPEG", picture(), exif=exif, comment=b"secret comment", dpi=(300, 300))
    for variant in make(original, SETTINGS):
        assert b"where I live" not in variant.body
        assert b"secret comment" not in variant.body
        assert not opened(variant).getexif()


@pytest.mark.parametrize(
    ("size", "thumb"), [((100, 10), (16, 2)), ((10, 100), (2, 16)), ((16, 16), (16, 16))]
)
def test_the_aspect_is_kept(size: tuple[int, int], thumb: tuple[int, int]) -> None:
    assert opened(make(saved("PNG", picture(size=size)), SETTINGS)[0]).size == thumb


def test_a_small_image_is_never_enlarged() -> None:
    assert {opened(each).size for each in make(saved("PNG", picture(size=(5, 3))), SETTINGS)} == {(5, 3)}


def test_what_is_transparent_stays_so_in_webp_and_is_white_in_jpeg() -> None:
    webp, jpeg = make(saved("PNG", Image.new("RGBA", (20, 20), (0, 0, 0, 0))), SETTINGS)[2:]
    assert opened(webp).convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]
    assert min(opened(jpeg).getpixel((5, 5))) > 250  # type: ignore[arg-type,type-var]


def test_the_transparent_colour_of_a_gif_counts() -> None:
    image = Image.new("P", (20, 20), 0)
    webp = make(saved("GIF", image, transparency=0), SETTINGS)[2]
    assert opened(webp).convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]


def test_the_first_frame_of_an_animation_is_shown() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    red = (
        large(saved("GIF", frames[0], save_all=True, append_images=frames[1:]))
        .convert("RGB")
        .getpixel((5, 5))
    )
    assert isinstance(red, tuple) and red[0] > 200 and red[2] < 60


@pytest.mark.parametrize(
    ("mode", "black", "white"),
    [("I;16", 0, 65535), ("I", 0, 65535), ("F", 0.0, 1.0)],
    ids=["16 bit", "32 bit", "float"],
)
def test_wide_greys_keep_their_contrast(mode: str, black: float, white: float) -> None:
    image = Image.new(mode, (20, 20), black)
    image.paste(Image.new(mode, (10, 20), white), (10, 0))
    shown = large(saved("TIFF", image)).convert("L")
    assert shown.getpixel((2, 10)) < 30  # type: ignore[operator]
    assert shown.getpixel((17, 10)) > 225  # type: ignore[operator]


def test_a_colour_profile_is_applied_before_it_is_dropped() -> None:
    # Red and blue change places in this profile, so the picture has to change with it.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", profile, 128)[0]
    for index in range(count):
        at = 132 + 12 * index
        name = bytes(profile[at : at + 4])
        profile[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    shown = large(saved("PNG", Image.new("RGB", (20, 20), "red"), icc_profile=bytes(profile)))
    pixel = shown.convert("RGB").getpixel((5, 5))
    assert isinstance(pixel, tuple)
    assert pixel[2] > 200 and pixel[0] < 60
    assert "icc_profile" not in shown.info


def test_a_broken_colour_profile_is_ignored() -> None:
    assert large(saved("PNG", picture(), icc_profile=b"no profile")).size == picture().size


def test_cmyk_photographs_are_shown_in_colour() -> None:
    cyan = large(saved("JPEG", Image.new("CMYK", (20, 20), (255, 0, 0, 0)))).convert("RGB").getpixel((5, 5))
    assert isinstance(cyan, tuple) and cyan[0] < 80 and cyan[2] > 180


def test_the_same_file_gives_the_same_bytes() -> None:
    assert make(sample("JPEG"), SETTINGS) == make(sample("JPEG"), SETTINGS)


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG that says it is large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no image"),
        (b"#!/bin/sh\nrm -rf /\n", "no image"),
        (b"\x00" * 4096, "no image"),
        (bomb(6000, 4000), "megapixels"),
        (bomb(60000, 60000), "pixels"),
        (saved("JPEG", picture(size=(300, 300)))[:-400], "cut short"),
        (saved("PNG", picture(size=(300, 300)))[:-40], "cut short"),
        (saved("GIF", picture(size=(300, 300)))[:60], "cut short"),
    ],
    ids=[
        "nothing",
        "a script",
        "zeros",
        "a large image",
        "a bomb",
        "half a JPEG",
        "half a PNG",
        "half a GIF",
    ],
)
def test_what_can_t_be_used_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        make(data, SETTINGS)


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_file_cut_anywhere_is_used_or_refused_but_nothing_else(image_format: str) -> None:
    data = sample(image_format)
    for length in sorted({*range(0, min(len(data), 64), 7), *range(0, len(data), max(1, len(data) // 12))}):
        try:
            make(data[:length], SETTINGS)
        except Unusable as reason:
            assert str(reason)
