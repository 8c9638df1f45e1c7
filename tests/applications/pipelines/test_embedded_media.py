"""Pictures and samples of records as files in memory: nothing is lost, and every rule for files holds."""

from fractions import Fraction

import av
import numpy as np
import pytest

from tests.foreign_maker import jpegs, samples
from tests.media_maker import write_clip
from zorro_keras.applications.pipelines.embedded_media import film_of, sound_file_of
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.media import Limits, decode_track, probe
from zorro_keras.applications.pipelines.media_bytes import MediaBytes


def png(pixels):
    encoder = av.CodecContext.create("png", "w")
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def decoded(file, **settings):
    settings = {"sample_rate_hz": 16_000, "frame_rate_hz": 10.0, "shorter_side_px": 34, **settings}
    return decode_track(file, **settings)


def reason_of(make, *arguments):
    with pytest.raises(MediaError) as caught:
        make(*arguments)
    return caught.value.reason


def test_pictures_keep_their_pixels_and_their_times():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 34, 46, 3), np.uint8)
    film = film_of("a", [png(pixels) for pixels in pictures], [0.0, 0.3, 0.4, 0.7])
    track = decoded(film)
    np.testing.assert_array_equal(track.frames, pictures[[0, 0, 0, 1, 2, 2, 2]])
    assert track.audio is None and track.end_seconds == pytest.approx(0.7)
    assert probe(film).height_px == 34


def test_a_single_picture_is_a_film():
    assert decoded(film_of("a", jpegs(0.1, 10.0), [0.0, 0.1])).frames.shape == (1, 34, 46, 3)


def test_pictures_that_change_their_size_get_that_of_the_first():
    grey = np.full((20, 30, 3), 90, np.uint8)
    film = film_of("a", [png(np.full((34, 46, 3), 200, np.uint8)), png(grey)], [0.0, 0.1, 0.2])
    frames = decoded(film).frames
    assert frames.shape == (2, 34, 46, 3)
    assert (frames[0] == 200).all() and (frames[1] == 90).all()


def test_samples_keep_every_bit():
    sound = samples(0.5, 16_000)
    np.testing.assert_array_equal(decoded(sound_file_of("a", sound, 16_000.0)).audio, sound)


def test_pictures_that_cannot_be_used_are_told_by_their_place():
    image = jpegs(0.1, 10.0)[0]
    start = image.index(b"\xff\xc0") + 5
    bomb = image[:start] + b"\x40\x00\x40\x00" + image[start + 4 :]
    times = [0.0, 0.1, 0.2]
    for other, reason in {
        bomb: "too_large",
        image[:-20]: "truncated",
        b"GIF89a" + bytes(20): "corrupt",
        b"text": "not_image",
        b"": "zero_length",
        png(np.zeros((34, 46, 3), np.uint8)): "unsupported_codec",
    }.items():
        assert reason_of(film_of, "shard#7", [image, other], times) == reason
    with pytest.raises(MediaError) as caught:
        film_of("shard#7", [image, b"text"], times)
    assert caught.value.path == "shard#7, frame 1"


def test_a_header_that_lies_about_a_picture_does_not_get_it_past_the_decoder():
    """The size is checked where it is announced, and once more by the decoder."""
    image = jpegs(0.1, 10.0)[0]
    second = image.replace(b"\xff\xd8", b"\xff\xd8" + image[2 : image.index(b"\xff\xda")], 1)
    at = second.rindex(b"\xff\xc0") + 5
    bomb = second[:at] + b"\x40\x00\x40\x00" + second[at + 4 :]
    assert reason_of(decoded, film_of("a", [bomb], [0.0, 0.1])) == "corrupt"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "zero_length"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n", "refused_format"),
        (b"ffconcat version 1.0\nfile a.mp4\n", "refused_format"),
        (b"plain text\n" * 50, "not_media"),
    ],
)
def test_bytes_in_memory_are_judged_like_files(data, reason):
    assert reason_of(decoded, MediaBytes("shard.tar#3 (a.mp4)", data)) == reason
    assert reason_of(probe, MediaBytes("shard.tar#3 (a.mp4)", data)) == reason


def test_errors_name_the_place_of_the_bytes_and_limits_hold(tmp_path):
    data = write_clip(tmp_path / "a.mp4").read_bytes()
    whole = MediaBytes("shard.tar#3 (a.mp4)", data)
    assert decoded(whole).frames is not None
    cut = MediaBytes("shard.tar#3 (a.mp4)", data[: len(data) // 2])
    with pytest.raises(MediaError) as caught:
        decoded(cut)
    assert (caught.value.path, caught.value.reason) == ("shard.tar#3 (a.mp4)", "truncated")
    with pytest.raises(MediaError, match=f"{len(data)} bytes, more than the 99 allowed"):
        decoded(whole, limits=Limits(max_file_bytes=99))
