"""A segment is all there is: no window holds sound or pictures from before its start or after its end."""

import numpy as np
import pytest

from tests.media_maker import write_clip
from zorro_keras.applications.pipelines.decode_task import DecodeTask, decode
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.sources import read_source

RATE_HZ, FILE_SECONDS = 8000, 5.0


def ramp(times):
    """Sound whose level is its time, lossless in PCM: 0.1 for every second."""
    return 0.1 + times / 10.0


def brightness(seconds, height_px, width_px):
    """A picture whose grey is its time: 40 for every second."""
    return np.full((height_px, width_px, 3), 20 + 40 * seconds, np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    write_clip(
        folder / "clip.mkv",
        seconds=FILE_SECONDS,
        sample_rate_hz=RATE_HZ,
        channels=1,
        audio_codec="pcm_s16le",
        sound=ramp,
        picture=brightness,
    )
    return folder


def windows_of(folder, start, end, window_seconds):
    """The windows of a row of a CSV at several places, as (fraction, times of sound, times of pictures)."""
    path = folder / "rows.csv"
    path.write_text(f"path,label,start,end\nclip.mkv,bell,{start},{end}\n")
    source = read_source(path)
    (entry,) = source.entries
    geometry = ClipGeometry(window_seconds, RATE_HZ, num_frames=7, height_px=16, width_px=24)
    for fraction in (0.0, 0.31, 0.5, 0.77, 1.0):
        task = DecodeTask(
            entry.id, entry.path, source.root, entry.start_seconds, entry.end_seconds, fraction, geometry,
            ("audio", "video"), "raise", index=0, position=0,
        )  # fmt: skip
        window = decode(task)
        heard = window.audio[window.audio != 0.0]
        yield fraction, 10.0 * (heard - 0.1), (window.video.mean((1, 2, 3)) - 20.0) / 40.0


@pytest.mark.parametrize(
    ("start", "end", "window_seconds"),
    [
        (1.1, 3.7, 1.0),  # the window moves within the segment
        (1.1, 2.1, 1.0),  # it fills the segment
        (1.1, 1.6, 1.0),  # it is longer than the segment
        (1.1, 1.11, 1.0),  # it ends before the first of the window's frames
        ("", 0.9, 0.5),  # the segment begins with the file
        (4.2, "", 0.5),  # it ends with the file
        (4.2, 99.0, 0.5),  # it ends after the file
    ],
)
def test_no_window_reads_outside_its_segment(folder, start, end, window_seconds):
    first, last = start or 0.0, min(end or FILE_SECONDS, FILE_SECONDS)
    for fraction, heard, seen in windows_of(folder, start, end, window_seconds):
        begin = first + fraction * max(0.0, last - first - window_seconds)
        seconds = min(window_seconds, last - begin)
        assert len(heard) == pytest.approx(seconds * RATE_HZ, abs=2)
        assert heard.min() == pytest.approx(begin, abs=1e-3)
        assert heard.max() == pytest.approx(begin + seconds, abs=1e-3)
        # A picture shown at a moment began up to a frame, 0.04 s, before it. Coding loses up to three levels
        # of grey, each 0.025 s, and adds none.
        assert seen.min() > begin - 0.04 - 0.075 and seen.max() < begin + seconds + 0.025


def test_a_segment_that_begins_after_the_file_is_named(folder):
    with pytest.raises(Exception, match="lies past the end of the file") as caught:
        next(windows_of(folder, 7.0, 9.0, 0.5))
    assert caught.value.reason == "bad_time"
