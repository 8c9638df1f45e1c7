"""Sound and picture of real files of every container, rate and shape, at the right time and upright."""

import av
import numpy as np
import pytest

from tests.media_maker import grey_level, time_of_grey, write_clip, write_sound
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import decode_track, decode_window, iterate_windows, probe

GEOMETRY = ClipGeometry(seconds=1.0, sample_rate_hz=16000, num_frames=5, height_px=32, width_px=32)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def shown_times(video):
    """When each frame was made, in seconds, read off the grey of its bottom right quarter."""
    height, width = video.shape[1:3]
    return time_of_grey(video[:, 3 * height // 4, 3 * width // 4].mean(axis=-1))


def burst_at(seconds):
    """A sound that is silent but for a few milliseconds around one moment."""
    return lambda times: 0.6 * np.sin(6000 * np.pi * times) * np.exp(-(((times - seconds) / 0.003) ** 2))


def centre_seconds(samples, sample_rate_hz=16000):
    energy = samples.astype(np.float64) ** 2
    return (energy * np.arange(len(energy))).sum() / energy.sum() / sample_rate_hz


def rms(samples):
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.mp4", {}),
        ("faststart.mp4", {"faststart": True}),
        ("b_frames.mp4", {"encoder_options": {"preset": "medium"}}),
        ("a.mov", {}),
        ("a.mkv", {}),
        ("a.avi", {}),
        ("h264.avi", {"video_codec": "libx264"}),
        ("vp8.webm", {"sample_rate_hz": 48000}),
        ("vp9.webm", {"sample_rate_hz": 48000, "video_codec": "libvpx-vp9"}),
        ("slow.mp4", {"frame_rate_hz": 5.0}),
        ("ntsc.mp4", {"frame_rate_hz": 30000 / 1001}),
        ("fast.mkv", {"frame_rate_hz": 120.0}),
        ("mono_8k.mp4", {"sample_rate_hz": 8000, "channels": 1}),
        ("surround.mp4", {"sample_rate_hz": 48000, "channels": 6}),
        ("odd.mp4", {"width_px": 67, "height_px": 45, "pixel_format": "yuv444p"}),
        ("odd.webm", {"width_px": 67, "height_px": 45, "sample_rate_hz": 48000}),
    ],
)
def test_every_container_rate_and_size_gives_sound_and_picture(tmp_path, name, settings):
    window = decode_window(write_clip(tmp_path / name, **settings), GEOMETRY)
    assert window.video.shape == (5, 32, 32, 3)
    assert window.video.dtype == np.uint8
    assert window.audio.shape == (16000,)
    assert window.audio.dtype == np.float32
    np.testing.assert_allclose(window.video[:, 8, 8], np.tile(RED, (5, 1)), atol=16)
    # Within a frame of the right time (a grey level is a tenth of a second, and codecs are not exact).
    late = GEOMETRY.frame_times() - shown_times(window.video)
    frame_seconds = 1 / settings.get("frame_rate_hz", 25.0)
    assert np.all((late > -0.15) & (late < frame_seconds + 0.25)), late
    if settings.get("channels") != 6:  # The encoder of 5.1 filters its bass channel.
        assert rms(window.audio[1600:14400]) == pytest.approx(0.5 / np.sqrt(2), abs=0.02)
    assert window.faults == ()


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 96000, 192000])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_every_sample_format_and_rate_of_wav_gives_the_same_tone(tmp_path, subtype, rate_hz):
    path = write_sound(tmp_path / "a.wav", sample_rate_hz=rate_hz, subtype=subtype, channels=2)
    window = decode_window(path, GEOMETRY)
    assert window.video is None
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(window.audio[800:-800], expected[800:-800], atol=0.02)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "m4a"])
@pytest.mark.parametrize("start_seconds", [0.0, 0.7, 1.2])
def test_sound_files_of_every_kind_are_placed_in_time(tmp_path, suffix, start_seconds):
    path = write_sound(tmp_path / f"a.{suffix}", seconds=3.0, sound=burst_at(1.5))
    window = decode_window(path, GEOMETRY, start_seconds=start_seconds)
    assert window.video is None
    if start_seconds == 0.0:
        assert rms(window.audio) < 1e-3
    else:
        assert start_seconds + centre_seconds(window.audio) == pytest.approx(1.5, abs=0.002)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.webm"])
@pytest.mark.parametrize("start_seconds", [0.0, 2.3, 4.0])
def test_a_flash_and_a_bang_stay_together(tmp_path, name, start_seconds):
    def flash(seconds, height, width):
        return np.full((height, width, 3), 250 if seconds >= 2.5 else 5, np.uint8)

    rate = 48000 if name.endswith("webm") else 44100
    path = write_clip(
        tmp_path / name,
        seconds=5.0,
        picture=flash,
        sound=burst_at(2.5),
        frame_rate_hz=50,
        sample_rate_hz=rate,
    )
    geometry = ClipGeometry(
        seconds=3.0 if start_seconds == 0 else 1.0,
        sample_rate_hz=16000,
        num_frames=100,
        height_px=16,
        width_px=16,
    )
    window = decode_window(path, geometry, start_seconds=start_seconds)
    is_bright = window.video[:, 8, 8, 0] > 128
    if start_seconds == 4.0:
        assert is_bright.all()
        assert rms(window.audio) < 1e-3
        return
    flash_seconds = start_seconds + geometry.seconds * int(is_bright.argmax()) / 100
    assert flash_seconds == pytest.approx(2.5, abs=0.031)
    assert start_seconds + centre_seconds(window.audio) == pytest.approx(2.5, abs=0.003)


def test_a_late_video_stream_keeps_its_place(tmp_path):
    path = write_clip(tmp_path / "a.mp4", seconds=2.0, video_start_seconds=1.0, sound=burst_at(1.5))
    window = decode_window(path, ClipGeometry(2.0, 16000, 4, 32, 32))
    np.testing.assert_allclose(shown_times(window.video), [0.0, 0.0, 0.24, 0.74], atol=0.15)
    assert centre_seconds(window.audio) == pytest.approx(1.5, abs=0.002)


def test_a_late_audio_stream_keeps_its_place(tmp_path):
    path = write_clip(tmp_path / "a.mp4", seconds=2.0, audio_start_seconds=1.0, sound=burst_at(0.5))
    window = decode_window(path, ClipGeometry(2.0, 16000, 4, 32, 32))
    assert centre_seconds(window.audio) == pytest.approx(1.5, abs=0.002)
    assert not window.audio[:14000].any()


def test_frames_are_chosen_by_timestamp_when_the_rate_varies(tmp_path):
    times = [0.0, 0.01, 0.02, 0.03, 1.0, 3.0, 3.01, 4.0]
    path = write_clip(tmp_path / "a.mp4", seconds=5.0, frame_times=times)
    window = decode_window(path, ClipGeometry(5.0, 16000, 5, 32, 32))
    np.testing.assert_allclose(shown_times(window.video), [0.03, 1.0, 1.0, 3.01, 4.0], atol=0.15)


@pytest.mark.parametrize(
    ("degrees", "corners"),
    [(0, (RED, GREEN)), (90, (GREEN, None)), (180, (None, BLUE)), (-90, (BLUE, RED))],
)
def test_the_rotation_flag_turns_the_picture_upright(tmp_path, degrees, corners):
    path = write_clip(tmp_path / "a.mp4", rotation_degrees=degrees, width_px=96, height_px=64)
    video = decode_window(path, GEOMETRY).video
    for corner, colour in zip((video[0, 4, 4], video[0, 4, -4]), corners, strict=True):
        expected = (round(grey_level(0.1)),) * 3 if colour is None else colour
        np.testing.assert_allclose(corner.astype(int), expected, atol=16)
    info = probe(path)
    assert (info.height_px, info.width_px) == ((96, 64) if degrees % 180 else (64, 96))


def test_pictures_cover_the_window_and_are_cut_around_the_middle(tmp_path):
    def bars(seconds, height, width):
        image = np.zeros((height, width, 3), np.uint8)
        image[:, width // 4 : 3 * width // 4] = 255
        return image

    path = write_clip(tmp_path / "a.mp4", picture=bars, width_px=128, height_px=64)
    video = decode_window(path, GEOMETRY).video
    assert video[:, :, 2:-2].min() > 230  # The dark bars left and right are cut off.
    wide = decode_window(path, ClipGeometry(1.0, 16000, 2, 32, 64)).video
    assert wide[:, :, :12].max() < 25


def test_an_absent_track_is_none_never_zeros(tmp_path):
    silent_film = decode_window(write_clip(tmp_path / "a.mp4", has_audio=False), GEOMETRY)
    assert silent_film.audio is None
    assert silent_film.video is not None
    sound_only = decode_window(write_clip(tmp_path / "b.mp4", has_video=False), GEOMETRY)
    assert sound_only.video is None
    assert sound_only.audio is not None


def test_digital_silence_is_sound_and_says_so(tmp_path):
    window = decode_window(write_sound(tmp_path / "a.wav", sound=np.zeros_like), GEOMETRY)
    assert window.audio is not None
    assert window.is_silent
    assert not decode_window(write_sound(tmp_path / "b.wav"), GEOMETRY).is_silent


def test_only_the_streams_asked_for_are_decoded(tmp_path):
    path = write_clip(tmp_path / "a.mp4")
    assert decode_window(path, GEOMETRY, streams=("audio",)).video is None
    assert decode_window(path, GEOMETRY, streams=("video",)).audio is None
    with pytest.raises(ValueError, match=r"`streams` must hold names .* Received: streams=\('sound',\)"):
        decode_window(path, GEOMETRY, streams=("sound",))


@pytest.mark.parametrize(("missing", "stream"), [("has_audio", "audio"), ("has_video", "video")])
def test_a_file_without_the_one_stream_asked_for_is_an_error(tmp_path, missing, stream):
    path = write_clip(tmp_path / "a.mp4", **{missing: False})
    with pytest.raises(MediaError, match=f"no {stream}") as caught:
        decode_window(path, GEOMETRY, streams=(stream,))
    assert caught.value.reason == f"no_{stream}"


def test_past_the_end_sound_is_zero_and_the_last_frame_stays(tmp_path):
    window = decode_window(write_clip(tmp_path / "a.mp4"), ClipGeometry(2.0, 16000, 10, 32, 32))
    assert window.audio[:15000].any()
    assert np.abs(window.audio[16100:]).max() < 1e-4
    assert (window.video[5:] == window.video[5]).all()
    assert (window.video[0] != window.video[5]).any()


def test_sound_that_is_over_before_the_window_is_absent(tmp_path):
    path = write_clip(tmp_path / "a.mp4", seconds=3.0, audio_seconds=1.0)
    window = decode_window(path, GEOMETRY, start_seconds=1.5)
    assert window.audio is None
    assert window.video is not None


def test_a_film_of_one_frame_shows_it_throughout(tmp_path):
    path = write_clip(tmp_path / "a.mp4", seconds=3.0, frame_times=[0.0])
    for start_seconds in (0.0, 1.5):
        window = decode_window(path, GEOMETRY, start_seconds=start_seconds)
        np.testing.assert_allclose(shown_times(window.video), 0.0, atol=0.15)
        assert window.audio.any()


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=16000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 32
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
        container.mux(cover.encode(picture.reformat(format="yuvj420p")))
        container.mux(cover.encode(None))
        block = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        block.sample_rate = 16000
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1  # Control: the picture is there as a stream.
    assert not probe(path).has_video
    assert decode_window(path, GEOMETRY).video is None


@pytest.mark.parametrize("start_seconds", [-1.0, float("nan"), float("inf"), 1.0, 7.5])
def test_a_window_that_begins_outside_the_file_is_an_error(tmp_path, start_seconds):
    path = write_clip(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match=str(start_seconds)) as caught:
        decode_window(path, GEOMETRY, start_seconds=start_seconds)
    assert caught.value.reason == "bad_time"
    assert decode_window(path, GEOMETRY, start_seconds=0.9).video is not None


def test_probe_tells_what_is_inside(tmp_path):
    info = probe(
        write_clip(tmp_path / "a.dat.mp4", width_px=66, height_px=34, frame_rate_hz=10.0, channels=1)
    )
    assert (info.container, info.has_audio, info.has_video) == ("mp4", True, True)
    assert info.duration_seconds == pytest.approx(1.0, abs=0.05)
    assert (info.audio_sample_rate_hz, info.audio_channels) == (44100, 1)
    assert (info.frame_rate_hz, info.height_px, info.width_px) == (10.0, 34, 66)
    assert (info.audio_codec, info.video_codec) == ("aac", "h264")
    sound = probe(write_sound(tmp_path / "b.wav", seconds=2.0))
    assert (sound.container, sound.duration_seconds, sound.has_video) == ("wav", 2.0, False)
    assert sound.frame_rate_hz is None


def test_a_track_has_constant_rate_even_sizes_and_aligned_lengths(tmp_path):
    path = write_clip(tmp_path / "a.mp4", seconds=2.0, width_px=98, height_px=50)
    settings = {"sample_rate_hz": 8000, "frame_rate_hz": 10.0, "shorter_side_px": 24}
    track = decode_track(path, **settings)
    assert track.frames.shape == (20, 24, 48, 3)
    assert track.audio.shape == (16000,)
    part = decode_track(path, start_seconds=0.5, end_seconds=1.1, **settings)
    assert (part.frames.shape[0], part.audio.shape[0]) == (6, 4800)
    np.testing.assert_allclose(shown_times(part.frames), 0.52 + 0.1 * np.arange(6), atol=0.25)
    upright = decode_track(write_clip(tmp_path / "b.mp4", rotation_degrees=90), **settings)
    assert upright.frames.shape[1:3] == (32, 24)


def test_a_track_at_the_files_own_rate_holds_each_frame_once(tmp_path):
    path = write_clip(
        tmp_path / "a.mkv",
        frame_rate_hz=30000 / 1001,
        frame_times=np.arange(30) * 1001 / 30000,
        picture=lambda t, y, x: np.full((y, x, 3), round(t * 30000 / 1001) * 8, np.uint8),
    )
    track = decode_track(
        path, sample_rate_hz=8000, frame_rate_hz=30000 / 1001, shorter_side_px=48, streams=("video",)
    )
    np.testing.assert_allclose(track.frames[:30, 20, 20, 0], np.arange(30) * 8, atol=3)


def test_an_empty_segment_is_an_error(tmp_path):
    path = write_clip(tmp_path / "a.mp4")
    settings = {"sample_rate_hz": 8000, "frame_rate_hz": 10.0, "shorter_side_px": 24}
    with pytest.raises(MediaError, match="is empty") as caught:
        decode_track(path, start_seconds=0.5, end_seconds=0.5, **settings)
    assert caught.value.reason == "bad_time"
    assert decode_track(path, start_seconds=0.5, end_seconds=0.6, **settings).frames.shape[0] == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize("hop_seconds", [0.4, 1.0, 1.7])
def test_iterated_windows_equal_windows_decoded_one_by_one(tmp_path, name, hop_seconds):
    path = write_clip(tmp_path / name, seconds=4.3)
    windows = list(iterate_windows(path, GEOMETRY, hop_seconds=hop_seconds))
    duration = probe(path).duration_seconds
    assert windows[-1].start_seconds + 1.0 >= duration - 1e-3
    assert windows[-2].start_seconds + 1.0 < duration
    for index, window in enumerate(windows):
        assert window.start_seconds == pytest.approx(index * hop_seconds)
        alone = decode_window(path, GEOMETRY, start_seconds=window.start_seconds)
        np.testing.assert_array_equal(window.video, alone.video)
        # Matroska rounds times to a millisecond, which shifts a 440 Hz tone visibly: compare loudness.
        assert rms(window.audio) == pytest.approx(rms(alone.audio), abs=0.01)


def test_iterated_windows_of_a_sound_file_have_no_video(tmp_path):
    windows = list(iterate_windows(write_sound(tmp_path / "a.flac", seconds=2.5), GEOMETRY, hop_seconds=1.0))
    assert [window.start_seconds for window in windows] == [0.0, 1.0, 2.0]
    assert all(window.video is None and window.audio is not None for window in windows)
    with pytest.raises(ValueError, match="`hop_seconds` must be positive. Received: hop_seconds=0"):
        next(iterate_windows(tmp_path / "a.flac", GEOMETRY, hop_seconds=0))
