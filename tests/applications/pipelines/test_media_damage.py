"""Damaged files give a MediaError with the file's name and the right reason; whole ones never do."""

import json

import av
import numpy as np
import pytest
import soundfile

from tests.media_maker import top_level_boxes, write_clip, write_sound
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import decode_track, decode_window, iterate_windows, probe

GEOMETRY = ClipGeometry(seconds=1.0, sample_rate_hz=16000, num_frames=4, height_px=16, width_px=16)


def noise_picture(seconds, height, width):
    """A picture that compresses badly, so that most bytes of a file are picture."""
    generator = np.random.default_rng(round(seconds * 1000))
    small = generator.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return small.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def fault_of(path, **settings):
    """The reason of the MediaError that decoding gives, or None. Any other exception fails the test."""
    try:
        decode_window(path, GEOMETRY, **settings)
    except MediaError as error:
        assert error.path == str(path)
        assert error.stage
        assert error.advice
        json.dumps(error.to_json())
        return error.reason
    return None


def flipped(data, generator, first, last, count=20):
    damaged = bytearray(data)
    for position in generator.integers(first, last, count):
        damaged[position] ^= 1 << int(generator.integers(8))
    return bytes(damaged)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One whole file of each kind, with noisy pictures."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("a.mp4", "a.mkv", "a.avi", "a.mov"):
        write_clip(folder / name, picture=noise_picture, width_px=80, height_px=48)
    write_clip(folder / "faststart.mp4", picture=noise_picture, faststart=True)
    write_clip(folder / "a.webm", picture=noise_picture, sample_rate_hz=48000)
    for suffix in ("wav", "flac", "mp3", "ogg", "m4a"):
        write_sound(
            folder / f"a.{suffix}", sound=lambda times: 0.1 * np.random.default_rng(0).normal(size=len(times))
        )
    return folder


WHOLE = (
    "a.mp4",
    "faststart.mp4",
    "a.mov",
    "a.mkv",
    "a.webm",
    "a.avi",
    "a.wav",
    "a.flac",
    "a.mp3",
    "a.ogg",
    "a.m4a",
)


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_anywhere_is_an_error(folder, tmp_path, name):
    data = (folder / name).read_bytes()
    assert fault_of(folder / name) is None  # Control: the whole file is fine.
    path = tmp_path / name
    for share in (0.02, 0.2, 0.4, 0.6, 0.8, 0.95, 0.999):
        path.write_bytes(data[: max(int(share * len(data)), 32)])
        assert fault_of(path) in {"truncated", "corrupt"}, share


@pytest.mark.parametrize("name", ["faststart.mp4", "a.mkv", "a.avi", "a.wav", "a.ogg"])
def test_a_cut_that_the_container_reveals_is_called_truncated(folder, tmp_path, name):
    data = (folder / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: len(data) * 3 // 4])
    for read in (probe, fault_of):
        if read is probe:
            with pytest.raises(MediaError, match="cut short") as caught:
                probe(path)
            assert caught.value.reason == "truncated"
        else:
            assert read(path) == "truncated"


def test_an_mp4_without_its_table_of_contents_is_truncated(folder, tmp_path):
    data = (folder / "a.mp4").read_bytes()
    start = next(start for kind, start, _ in top_level_boxes(data) if kind == b"moov")
    path = tmp_path / "a.mp4"
    path.write_bytes(data[:start])
    assert fault_of(path) == "truncated"


@pytest.mark.parametrize("name", ["faststart.mp4", "a.mkv", "a.avi", "a.flac", "a.ogg"])
def test_flipped_bits_in_the_middle_are_found(folder, tmp_path, name):
    data = (folder / name).read_bytes()
    generator = np.random.default_rng(0)
    path = tmp_path / name
    missed = 0
    for _ in range(25):
        path.write_bytes(flipped(data, generator, len(data) // 5, len(data)))
        missed += fault_of(path) is None
    assert missed <= 1  # 96 % is promised; a content hash, which shards carry, finds the rest.


@pytest.mark.parametrize("name", WHOLE)
def test_no_damage_lets_another_exception_escape_or_hangs(folder, tmp_path, name):
    data = (folder / name).read_bytes()
    generator = np.random.default_rng(1)
    path = tmp_path / name
    for trial in range(12):
        path.write_bytes(flipped(data, generator, 0, min(len(data), 4096 if trial % 2 else len(data)), 30))
        fault_of(path)
        fault_of(path, on_error="drop_modality", start_seconds=0.4)


def damage_video(path):
    """Zeroes the packets of the picture in the middle of a file and leaves the sound whole."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        spans = [(packet.pos, packet.size) for packet in packets[len(packets) // 3 :]]
    data = bytearray(path.read_bytes())
    for position, size in spans:
        data[position + 5 : position + size] = bytes(size - 5)
    path.write_bytes(data)


@pytest.fixture
def half_damaged(tmp_path):
    path = write_clip(tmp_path / "half.mp4", picture=noise_picture, width_px=80, height_px=48)
    whole = decode_window(path, GEOMETRY)
    damage_video(path)
    return path, whole


def test_drop_modality_keeps_the_whole_stream_and_lists_the_fault(half_damaged):
    path, whole = half_damaged
    window = decode_window(path, GEOMETRY, on_error="drop_modality")
    assert window.video is None
    assert [(fault.reason, fault.path) for fault in window.faults] == [("corrupt", str(path))]
    np.testing.assert_array_equal(window.audio, whole.audio)
    track = decode_track(
        path, sample_rate_hz=8000, frame_rate_hz=10.0, shorter_side_px=16, on_error="drop_modality"
    )
    assert track.frames is None
    assert track.audio is not None
    assert [fault.reason for fault in track.faults] == ["corrupt"]


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_raise_and_skip_raise_the_fault_of_one_stream(half_damaged, on_error):
    with pytest.raises(MediaError, match="half.mp4") as caught:
        decode_window(half_damaged[0], GEOMETRY, on_error=on_error)
    assert caught.value.reason == "corrupt"


def test_a_damaged_stream_nobody_asked_for_does_no_harm(half_damaged):
    path, whole = half_damaged
    np.testing.assert_array_equal(decode_window(path, GEOMETRY, streams=("audio",)).audio, whole.audio)


def test_drop_modality_raises_when_nothing_is_left(half_damaged):
    with pytest.raises(MediaError, match="corrupt"):
        decode_window(half_damaged[0], GEOMETRY, streams=("video",), on_error="drop_modality")


def test_iterated_windows_go_on_without_a_stream_that_breaks(tmp_path):
    path = write_clip(tmp_path / "a.mp4", seconds=3.0, picture=noise_picture, width_px=80, height_px=48)
    damage_video(path)
    windows = list(iterate_windows(path, GEOMETRY, hop_seconds=0.5, on_error="drop_modality"))
    assert len(windows) == 5
    assert windows[0].video is not None  # Whole up to the damage.
    assert windows[-1].video is None
    assert windows[-1].faults[0].reason == "corrupt"
    assert all(window.audio is not None for window in windows)
    with pytest.raises(MediaError, match="damaged|decoded"):
        list(iterate_windows(path, GEOMETRY, hop_seconds=0.5))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("provider", [None, "pyav"])
def test_sound_that_is_not_finite_is_an_error(tmp_path, bad, provider):
    samples = np.zeros(16000, np.float32)
    samples[9000] = bad
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    assert fault_of(path, audio_provider=provider) == "non_finite"
    soundfile.write(path, np.nan_to_num(samples, posinf=1, neginf=-1), 16000, subtype="FLOAT")
    assert fault_of(path, audio_provider=provider) is None


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", bytes(5000), b"just some text\n" * 50, b"\xff\xd8\xff\xe0" * 99]
)
def test_what_is_not_media_is_named_so_whatever_its_suffix(tmp_path, content):
    for name in ("a.mp4", "a.wav", "a.txt"):
        path = tmp_path / name
        path.write_bytes(content)
        assert fault_of(path) == ("not_media" if content else "zero_length")


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.mkv", ".mp4"), ("a.mp4", ".wav"), ("a.wav", ".mp4"), ("a.ogg", "")]
)
def test_a_wrong_suffix_does_no_harm(folder, tmp_path, name, suffix):
    path = tmp_path / f"b{suffix}"
    path.write_bytes((folder / name).read_bytes())
    expected, window = decode_window(folder / name, GEOMETRY), decode_window(path, GEOMETRY)
    np.testing.assert_array_equal(window.audio, expected.audio)
    np.testing.assert_array_equal(window.video, expected.video)


def test_a_sound_file_without_samples_is_an_error(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0, np.float32), 16000)
    assert fault_of(path) in {"empty_stream", "corrupt"}


def test_a_film_without_frames_is_an_error(tmp_path):
    path = write_clip(tmp_path / "a.mkv", frame_times=[])
    assert fault_of(path, streams=("video",)) in {"empty_stream", "corrupt", "no_video"}


def test_a_wav_that_lies_about_its_size_is_an_error_but_a_streamed_one_is_not(tmp_path):
    path = write_sound(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = (0xF0000000).to_bytes(4, "little")
    path.write_bytes(data)
    assert fault_of(path) == "truncated"
    data[4:8] = data[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert fault_of(path) is None


def live_recording(path, **settings):
    """A Matroska file as a recorder writes it into a pipe: without sizes, length or index."""
    whole = write_clip(path.with_suffix(".whole.mkv"), **settings)
    with (
        av.open(str(whole)) as source,
        av.open(str(path), "w", format="matroska", options={"live": "1"}) as target,
    ):
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return path


def clean_files(folder):
    """Whole files that a careless check for damage would call damaged."""
    yield write_clip(folder / "longer_sound.mkv", audio_seconds=2.5)
    yield write_clip(folder / "shorter_sound.mkv", seconds=2.0, audio_seconds=1.0)
    yield write_clip(folder / "late_sound.mkv", audio_start_seconds=0.8)
    yield write_clip(folder / "late_film.mp4", video_start_seconds=0.8)
    yield write_clip(folder / "one_frame.mkv", frame_times=[0.0], seconds=2.0)
    yield write_clip(folder / "variable.mkv", seconds=2.0, frame_times=[0.0, 0.01, 0.5, 0.52, 1.9])
    yield write_clip(folder / "long_last_frame.mp4", seconds=2.0, frame_times=[0.0, 0.04])
    yield write_clip(folder / "two_per_second.mp4", seconds=2.0, frame_rate_hz=2.0)
    yield write_clip(
        folder / "open_gop.mp4",
        seconds=3.0,
        encoder_options={"preset": "medium", "g": "12", "x264-params": "open-gop=1"},
    )
    yield write_clip(
        folder / "hevc.mkv",
        seconds=3.0,
        video_codec="libx265",
        encoder_options={"preset": "ultrafast", "g": "12", "x265-params": "log-level=none"},
    )
    yield write_clip(folder / "ten_bit.mkv", pixel_format="yuv420p10le")
    yield write_clip(folder / "tiny.mp4", width_px=2, height_px=2)
    yield live_recording(folder / "live.mkv", seconds=2.0)
    for suffix in ("wav", "flac", "mp3", "ogg"):
        yield write_sound(folder / f"short.{suffix}", seconds=0.05)
    tagged = write_sound(folder / "tagged.wav")
    tagged.write_bytes(tagged.read_bytes() + b"TAG" + bytes(125))
    yield tagged
    padded = write_clip(folder / "padded.mp4")
    padded.write_bytes(padded.read_bytes() + bytes(1000))
    yield padded


@pytest.mark.slow
def test_whole_files_raise_no_false_alarm(tmp_path):
    alarms = {}
    for path in clean_files(tmp_path):
        for start_seconds in (0.0, 0.3, 0.7, 1.6):
            if start_seconds < probe(path).duration_seconds:
                alarms[path.name, start_seconds] = fault_of(path, start_seconds=start_seconds)
        list(iterate_windows(path, GEOMETRY, hop_seconds=0.7))
        decode_track(path, sample_rate_hz=8000, frame_rate_hz=10.0, shorter_side_px=16)
    assert {key: reason for key, reason in alarms.items() if reason} == {}
    assert len(alarms) > 40
