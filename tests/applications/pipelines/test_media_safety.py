"""Only local regular files inside the root are read, nothing they point to, nothing over the limits."""

import os
import time
import tracemalloc
from dataclasses import replace

import av
import numpy as np
import pytest

from tests.media_maker import write_clip, write_sound
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import DEFAULT_LIMITS, decode_track, decode_window, probe

GEOMETRY = ClipGeometry(seconds=1.0, sample_rate_hz=16000, num_frames=4, height_px=16, width_px=16)


def reason_of(path, **settings):
    with pytest.raises(MediaError) as caught:
        decode_window(path, GEOMETRY, **settings)
    assert caught.value.path == str(path)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["m3u8", "ffconcat", "dash", "sdp"])
def test_a_playlist_cannot_make_us_read_another_file(tmp_path, kind):
    secret = write_clip(tmp_path / "secret.mp4")
    playlist = tmp_path / "innocent.mp4"
    playlist.write_text(
        {
            "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
            "ffconcat": f"ffconcat version 1.0\nfile {secret.name}\n",
            "dash": f'<?xml version="1.0"?><MPD><Period><BaseURL>{secret}</BaseURL></Period></MPD>',
            "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        }[kind]
    )
    if kind == "ffconcat":
        with av.open(str(playlist)) as container:
            assert container.streams.video  # Control: without our rules the other file is opened.
    assert reason_of(playlist) == "refused_format"


def test_text_does_not_become_a_film_of_itself(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("\x1b[31mred\x1b[0m and plain text\n" * 40)
    with av.open(str(path)) as container:
        assert container.streams.video  # Control: FFmpeg draws text as a terminal would.
    assert reason_of(path) == "not_media"


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:9/a.mp4", "file:///etc/hostname", "rtsp://127.0.0.1/a", "subfile,,start,0,end,9,,:/a"],
)
def test_an_address_is_never_opened(address):
    assert reason_of(address) in {"refused_format", "missing_file"}


def test_concat_is_a_file_name_like_any_other(tmp_path):
    first, second = write_sound(tmp_path / "a.wav"), write_sound(tmp_path / "b.wav")
    assert reason_of(f"concat:{first}|{second}") == "missing_file"


def test_links_out_of_the_root_are_refused(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    secret = write_clip(outside / "secret.mp4")
    link = root / "link.mp4"
    link.symlink_to(secret)
    assert reason_of(link, root=root) == "outside_root"
    assert reason_of(root / ".." / "outside" / "secret.mp4", root=root) == "outside_root"
    inside = write_clip(root / "inside.mp4")
    (root / "alias.mp4").symlink_to(inside)
    assert decode_window(root / "alias.mp4", GEOMETRY, root=root).video is not None


def test_a_root_whose_name_is_the_beginning_of_another_does_not_contain_it(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips_private").mkdir()
    path = write_sound(tmp_path / "clips_private" / "a.wav")
    assert reason_of(path, root=tmp_path / "clips") == "outside_root"


def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    start = time.monotonic()
    assert (
        reason_of(tmp_path / "pipe.mp4") == "not_a_file"
    )  # Opening a pipe nobody writes to would wait for ever.
    assert reason_of(tmp_path) == "not_a_file"
    assert reason_of("/dev/zero") == "not_a_file"
    assert time.monotonic() - start < 2


def test_a_missing_file_and_impossible_names_are_named_so(tmp_path):
    assert reason_of(tmp_path / "nowhere.mp4") == "missing_file"
    assert reason_of("nul\0byte.mp4") == "missing_file"
    assert reason_of("x" * 5000) == "missing_file"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert reason_of(tmp_path / "loop") == "missing_file"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_named_so(tmp_path):
    path = write_sound(tmp_path / "a.wav")
    path.chmod(0)
    assert reason_of(path) == "no_permission"


def test_names_that_are_not_utf8_are_read(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    os.replace(write_sound(tmp_path / "a.wav"), path)
    assert decode_window(path, GEOMETRY).audio is not None


def test_tags_that_are_not_utf8_are_read(tmp_path):
    path = write_clip(tmp_path / "a.mkv")
    data = path.read_bytes()
    assert data.count(b"Lavf")
    path.write_bytes(data.replace(b"Lavf", b"\xff\xfe\xe9\xe8"))
    # Matroska guards its tags by a checksum, which the reader must report rather than crash on.
    try:
        assert decode_window(path, GEOMETRY).video is not None
    except MediaError as error:
        assert error.reason == "corrupt"


def guarded(act):
    """Runs `act`, which must refuse with `too_large`, fast and in little memory. Returns the message."""
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(MediaError) as caught:
            act()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "too_large"
    assert time.monotonic() - start < 2
    assert peak < 200 * 2**20
    return caught.value.message


def test_a_picture_bomb_is_refused_before_it_is_decoded(tmp_path):
    black = np.zeros((4320, 8192, 3), np.uint8)
    path = write_clip(
        tmp_path / "a.mp4",
        width_px=8192,
        height_px=4320,
        frame_times=[0.0],
        has_audio=False,
        picture=lambda *_: black,
    )
    assert path.stat().st_size < 200_000
    assert "35389440 pixels" in guarded(lambda: decode_window(path, GEOMETRY))


def test_ten_hours_of_film_in_a_few_bytes_are_refused(tmp_path):
    path = write_clip(tmp_path / "a.mkv", audio_start_seconds=36000.0)
    assert "seconds" in guarded(lambda: decode_window(path, GEOMETRY))


def test_a_frame_rate_beyond_reason_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frame_times=np.arange(3000) / 30000, has_audio=False)
    message = guarded(lambda: decode_window(path, GEOMETRY))
    assert "frames per second, more than the 1000 allowed" in message


def test_too_many_streams_are_refused(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(64)]
        for stream in streams:
            block = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            block.sample_rate = 8000
            container.mux(stream.encode(block))
    assert "streams" in guarded(lambda: probe(path))
    assert probe(path, limits=replace(DEFAULT_LIMITS, max_streams=64)).has_audio


@pytest.mark.parametrize(
    ("limit", "unit"),
    [
        ("max_file_bytes", "bytes"),
        ("max_seconds", "seconds"),
        ("max_pixels", "pixels"),
        ("max_frame_rate_hz", "frames per second"),
        ("max_sample_rate_hz", "samples per second"),
        ("max_channels", "channels"),
        ("max_decoded_bytes", "bytes"),
    ],
)
def test_every_limit_is_enforced(tmp_path, limit, unit):
    path = write_clip(tmp_path / "a.mp4")
    assert decode_window(path, GEOMETRY).video is not None
    limits = replace(
        DEFAULT_LIMITS, **{limit: type(getattr(DEFAULT_LIMITS, limit))(0.5 if "seconds" in limit else 1)}
    )
    assert unit in guarded(lambda: decode_window(path, GEOMETRY, limits=limits))


def test_a_request_for_more_memory_than_allowed_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.mp4")
    huge = ClipGeometry(seconds=1.0, sample_rate_hz=16000, num_frames=10**6, height_px=1000, width_px=1000)
    assert "bytes" in guarded(lambda: decode_window(path, huge))
    rates = {"sample_rate_hz": 16000, "shorter_side_px": 48}
    assert "bytes" in guarded(lambda: decode_track(path, frame_rate_hz=1e6, **rates))
    assert "large" in guarded(
        lambda: decode_track(path, frame_rate_hz=1.0, sample_rate_hz=16000, shorter_side_px=9000)
    )
