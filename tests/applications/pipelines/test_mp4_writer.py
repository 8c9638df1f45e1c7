"""MP4 files written piece by piece."""

import av
import numpy as np
import pytest

from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.mp4_writer import Mp4Writer


def frames(count, height=16, width=24):
    levels = np.linspace(40, 200, count).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3))


def tone(seconds, rate_hz, pitch_hz=200):
    return 0.5 * np.sin(2 * np.pi * pitch_hz * np.arange(round(seconds * rate_hz)) / rate_hz)[None]


def decoded(path):
    """Grey levels of the frames, their rate, and the sound with its rate."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video, container.streams.audio
        rate = float(video[0].average_rate) if video else None
        levels = (
            [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)] if video else []
        )
    with av.open(str(path)) as container:
        sound = [frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)] if audio else []
    return np.array(levels), rate, np.concatenate(sound) if sound else None


def test_pieces_become_one_file_in_step(tmp_path):
    path, picture, sound = tmp_path / "clip.mp4", frames(15), tone(3.0, 8000)
    with Mp4Writer(path, (16, 24), 5, 8000) as writer:
        for start in range(3):  # a second at a time
            writer.write_frames(picture[5 * start : 5 * start + 5])
            writer.write_audio(sound[:, 8000 * start : 8000 * start + 8000])
    levels, rate, heard = decoded(path)
    assert rate == 5.0
    np.testing.assert_allclose(levels, picture.mean(axis=(1, 2, 3)), atol=4)
    assert 3.0 <= len(heard) / 8000 < 3.3
    middle = heard[8000:16000]  # no gap and no click between the pieces
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() == 200 and spectrum[190:211].sum() > 0.8 * spectrum.sum()


def test_frame_rates_may_be_fractions_and_sound_slower_than_aac_knows(tmp_path):
    path = tmp_path / "clip.mp4"
    with Mp4Writer(path, (16, 24), 6.25, 2000) as writer:
        for _ in range(2):
            writer.write_frames(frames(8))
            writer.write_audio(tone(1.28, 2000))
    levels, rate, heard = decoded(path)
    assert len(levels) == 16 and rate == 6.25
    assert 2.5 < len(heard) / 8000 < 2.9  # at the slowest rate of AAC
    spectrum = np.abs(np.fft.rfft(heard[1000:9000]))
    assert spectrum.argmax() == 200


@pytest.mark.parametrize("has", ["pictures", "sound"])
def test_a_file_may_lack_pictures_or_sound(has, tmp_path):
    path = tmp_path / "clip.mp4"
    size, rate = ((16, 24), None) if has == "pictures" else (None, 8000)
    with Mp4Writer(path, size, 5, rate) as writer:
        if has == "pictures":
            writer.write_frames(frames(5))
        else:
            writer.write_audio(tone(1.0, 8000))
    levels, _, heard = decoded(path)
    assert (len(levels) == 5, heard is not None) == (has == "pictures", has == "sound")


def test_an_error_leaves_no_file(tmp_path):
    with (
        pytest.raises(RuntimeError, match="stop"),
        Mp4Writer(tmp_path / "a.mp4", (16, 24), 5, None) as writer,
    ):
        writer.write_frames(frames(2))
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())


def test_a_file_in_one_piece_is_the_same_bytes_each_time(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        encode_mp4(str(tmp_path / name), frames(7), 5, tone(1.4, 8000), 8000)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
