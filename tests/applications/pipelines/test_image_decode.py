"""Pictures of every kind: the right pixels, or the right reason."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.image_maker import encoded, pixels
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.image_decode import decode_image, read_bytes
from zorro_keras.applications.pipelines.image_header import read_header

PICTURES = {
    "a.jpg": (encoded("JPEG", quality=95), 16),
    "progressive.jpeg": (encoded("JPEG", quality=95, progressive=True), 16),
    "grey.jpg": (encoded("JPEG", mode="L"), 3),
    "cmyk.jpg": (encoded("JPEG", mode="CMYK"), 3),
    "a.png": (encoded("PNG"), 0),
    "palette.png": (encoded("PNG", mode="P"), 0),
    "alpha.png": (encoded("PNG", mode="RGBA"), 0),
    "bits.png": (encoded("PNG", mode="1"), 0),
    "a.gif": (encoded("GIF"), 0),
    "a.bmp": (encoded("BMP"), 0),
    "palette.bmp": (encoded("BMP", mode="P"), 0),
    "grey.bmp": (encoded("BMP", mode="L"), 0),
    "lossless.webp": (encoded("WEBP", lossless=True), 0),
    "lossy.webp": (encoded("WEBP"), 40),
    "alpha.webp": (encoded("WEBP", mode="RGBA", lossless=True), 0),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_pixels_are_those_that_pillow_reads(name):
    data, tolerance = PICTURES[name]
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    found = decode_image(data, name)
    assert found.pixels.dtype == np.uint8
    assert np.abs(found.pixels - expected).max() <= tolerance
    header = read_header(data, name)
    assert (header.height_px, header.width_px) == expected.shape[:2]


def test_an_animation_gives_its_first_picture():
    first, second = (Image.fromarray(pixels(seed=seed)) for seed in (1, 2))
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=[second])
    np.testing.assert_array_equal(
        decode_image(file.getvalue(), "a.gif").pixels, decode_image(encoded("GIF", pixels(seed=1)), "").pixels
    )


@pytest.mark.parametrize(
    ("name", "data", "notes"),
    [
        ("a.png", PICTURES["a.png"][0], ()),
        ("a.JPEG", PICTURES["a.png"][0], ("wrong_suffix",)),  # as n02105855_2933 of ImageNet
        ("a.jpg", PICTURES["cmyk.jpg"][0], ("cmyk",)),
        ("a.png", encoded("PNG", pixels()[..., 0].astype("uint16") * 257), ("16_bit",)),
    ],
)
def test_what_is_uncommon_is_read_and_noted(name, data, notes):
    assert decode_image(data, name).notes == notes


def test_sixteen_bits_are_read_as_their_upper_eight():
    grey = pixels()[..., 0]
    deep = encoded("PNG", grey.astype("uint16") * 256 + 77)
    np.testing.assert_array_equal(decode_image(deep, "a.png").pixels, np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize("name", ["a.jpg", "progressive.jpeg", "a.png", "a.gif", "a.bmp", "lossless.webp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_picture_cut_short_is_called_truncated(name, share):
    data = PICTURES[name][0]
    with pytest.raises(MediaError) as caught:
        decode_image(data[: max(int(share * len(data)), 13)], name)
    assert caught.value.reason == "truncated" and caught.value.path == name


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "zero_length"),
        (b"<html>404 not found</html>", "not_image"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "not_image"),
        (encoded("PNG", pixels(1, 1)), "too_small"),
        (encoded("PNG", pixels(1, 40)), "too_small"),
        (encoded("PNG", pixels(65, 65)), "too_large"),
        (
            encoded("WEBP", save_all=True, append_images=[Image.fromarray(pixels(seed=3))]),
            "unsupported_codec",
        ),
        (encoded("PNG")[:60] + b"\0" * 9 + encoded("PNG")[69:], "corrupt"),
    ],
)
def test_what_cannot_be_used_has_its_reason(data, reason):
    with pytest.raises(MediaError) as caught:
        decode_image(data, "x.png", max_pixels=64 * 64)
    assert caught.value.reason == reason
    assert caught.value.advice


def test_a_header_that_lies_about_its_size_is_refused_before_decoding():
    huge = bytearray(encoded("PNG"))
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    with pytest.raises(MediaError, match="60000 x 60000 px, more than") as caught:
        decode_image(bytes(huge), "bomb.png")
    assert caught.value.reason == "too_large"


def test_random_damage_never_escapes_as_another_error():
    rng, num_refused = np.random.default_rng(0), 0
    for name, (data, _) in PICTURES.items():
        for _ in range(12):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), 6):
                damaged[place] = rng.integers(256)
            try:
                decode_image(bytes(damaged), name)
            except MediaError:
                num_refused += 1
    assert num_refused > 20


def test_a_part_of_a_file_is_read_by_offset(tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(b"before" + PICTURES["a.png"][0])
    size = len(PICTURES["a.png"][0])
    assert read_bytes(path, offset=6, num_bytes=size) == PICTURES["a.png"][0]
    with pytest.raises(MediaError, match="ends within a picture") as caught:
        read_bytes(path, offset=7, num_bytes=size)
    assert caught.value.reason == "truncated"


def test_nothing_outside_the_root_is_read(tmp_path):
    inside = tmp_path / "root"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(PICTURES["a.png"][0])
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(MediaError) as caught:
        read_bytes(inside / "link.png", root=inside)
    assert caught.value.reason == "outside_root"
