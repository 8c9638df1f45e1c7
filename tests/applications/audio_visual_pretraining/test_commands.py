"""A run on real clips from training to a report, and an index in which sounds find pictures."""

import json
import shutil

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("tensorflow")

from tests.applications.training.resume import assert_resumes_exactly
from tests.media_maker import spoil_stream, write_clip, write_sound
from zorro_keras.applications import cli
from zorro_keras.applications.audio_visual_pretraining import commands, query
from zorro_keras.applications.audio_visual_pretraining.clip_embedder import ClipEmbedder, check_heads
from zorro_keras.applications.audio_visual_pretraining.clip_index import open_index
from zorro_keras.applications.audio_visual_pretraining.config import CONFIGS
from zorro_keras.applications.audio_visual_pretraining.evaluation import likeness_of_file
from zorro_keras.applications.audio_visual_pretraining.search import search_index
from zorro_keras.applications.pipelines.faults import ConfigError, MediaError, SourceError
from zorro_keras.applications.pipelines.media import decode_window
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.open_model import open_model

pytestmark = pytest.mark.slow

TASK = "audio_visual_pretraining"
SETTINGS = [
    "data.geometry.seconds=0.64", "data.geometry.sample_rate_hz=8000", "data.geometry.num_frames=4",
    "data.geometry.height_px=8", "data.geometry.width_px=12", "data.num_workers=1",
    "data.deadline_seconds=300", "model.video_patch=(2,4,4)", "model.spectrogram_frames=32",
    "model.spectrogram_bins=16", "model.spectrogram_patch=(8,4)", "model.projection_dim=5",
    "model.num_layers=1", "model.num_heads=2", "model.hidden_dim=14", "model.mlp_dim=6",
    "training.batch_size=3", "training.epochs=2",
]  # fmt: skip
CONFIG = apply_overrides(CONFIGS["tiny"], SETTINGS)
CLIP = CONFIG.data.geometry
QUIET = Console(quiet=True)


def write(path, number, **given):
    """A clip that hums a tone of its own, in a colour of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = np.random.default_rng(number).integers(0, 256, 3)
    write_clip(
        path, width_px=32, height_px=24, seconds=given.pop("seconds", 1.0), **given,
        sound=lambda times: 0.4 * np.sin(2 * np.pi * 170 * (number + 1) * times),
        picture=lambda time, height_px, width_px: np.full((height_px, width_px, 3), colour, np.uint8),
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Class folders of six clips to train on and five to test, one of each without sound."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(11):
        kind, split = "ab"[number % 2], "train" if number < 6 else "test"
        write(folder / split / kind / f"{number}.mp4", number, has_audio=number not in (4, 8))
    return folder


@pytest.fixture(scope="module")
def run(clips, tmp_path_factory):
    """A run that was killed and went on: it must end as one that was not."""
    folder = tmp_path_factory.mktemp("runs")
    assert_resumes_exactly(TASK, CONFIG, clips, folder)
    return folder / "broken"


@pytest.fixture(scope="module")
def embedder(run):
    return ClipEmbedder(open_model(run), batch_size=2)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A plain folder: three clips, one without sound, one whose sound is spoilt, a sound, and no clip."""
    folder = tmp_path_factory.mktemp("media")
    for number in range(3):
        write(folder / f"{number}.mp4", number)
    write(folder / "mute & <b>.mp4", 3, has_audio=False)
    spoil_stream(write(folder / "spoilt.mp4", 4), "audio")
    write_sound(folder / "tone.wav", sample_rate_hz=8000)
    (folder / "text.mp4").write_text("no clip")
    return folder


@pytest.fixture(scope="module")
def index(media, run, tmp_path_factory):
    """The index of that folder, which stands alone: the preset that made it is gone."""
    folder = tmp_path_factory.mktemp("index")
    shutil.copytree(run / "preset", folder / "preset")
    words = [str(media), str(folder / "index"), "--model", str(folder / "preset"), "--batch-size", "2"]
    assert cli.main(["embed", *words]) == 0
    shutil.rmtree(folder / "preset")
    return folder / "index"


def embedded(embedder, path, streams=("audio", "video")):
    """Embeddings of the window in the middle of a clip of a second."""
    window = decode_window(path, CLIP, start_seconds=0.18, streams=streams)
    ((_, vectors),) = embedder.of_windows([window])
    return vectors


def test_evaluation_says_who_finds_whom_beside_chance(clips, run, tmp_path):
    figures = commands.evaluate(run, clips, out=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["split"], report["num_clips"]) == ("test", 5) and report["scores"] == figures["scores"]
    assert report["num_with"] == {"audio": 4, "video": 5} and report["num_with_both"] == 4
    assert report["scores"]["audio_finds_video_recall_at_5"] == 1.0  # of four
    assert np.shape(report["class_likeness"]) == (2, 2)
    page = (tmp_path / "report.html").read_text()
    assert "the sound finds the picture</td><td>4</td>" in page and "(25.0\N{THIN SPACE}%)" in page
    assert "guessing finds 40.0\N{THIN SPACE}%" in page and "data:image/svg+xml;base64," in page


def test_clips_without_labels_are_evaluated_without_the_probe(media, run, tmp_path):
    for number in range(9):  # of which one is dealt to the test
        shutil.copy(media / "0.mp4", tmp_path / f"{number}.mp4")
    figures = commands.evaluate(run, tmp_path, out=tmp_path / "out")
    assert figures["num_clips"] == 1 and not any("neighbours" in name for name in figures["scores"])
    assert "Class by class" not in (tmp_path / "out" / "report.html").read_text()


def assert_close(said, other):
    """Figures of one file in batches of other sizes: sums in another order move the last of six digits."""
    assert list(said) == list(other) and said["source"] == other["source"]
    assert said["mean_likeness"] == pytest.approx(other["mean_likeness"], abs=2e-6)
    for row, other_row in zip(said["windows"], other["windows"], strict=True):
        assert row == pytest.approx(other_row, abs=2e-6)


def test_prediction_says_how_sound_and_picture_go_together_window_by_window(run, embedder, tmp_path, capsys):
    clip = write(tmp_path / "clip.mp4", 1, seconds=1.5)
    assert commands.predict(run / "preset", clip) == 0
    said = json.loads(capsys.readouterr().out)
    other = likeness_of_file(run, clip, batch_size=2)
    assert_close(said, other)
    assert [row["start_seconds"] for row in said["windows"]] == [0.0, 0.64, 1.28]
    window = decode_window(clip, CLIP, start_seconds=0.64)
    ((_, vectors),) = embedder.of_windows([window])
    expected = vectors["audio_to_video"] @ vectors["video_to_audio"]
    assert said["windows"][1]["likeness"] == pytest.approx(expected, abs=1e-3)
    write(tmp_path / "mute.mp4", 1, has_audio=False)
    with pytest.raises(MediaError, match="The file has no audio"):
        likeness_of_file(run, tmp_path / "mute.mp4")


def test_an_embedding_does_not_depend_on_the_rest_of_its_batch(media, embedder):
    windows = [decode_window(media / f"{number}.mp4", CLIP) for number in range(3)]
    for window, vectors in embedder.of_windows(windows):
        ((_, alone),) = embedder.of_windows([window])
        for head, vector in vectors.items():
            np.testing.assert_allclose(vector, alone[head], atol=1e-5)
            assert vector.dtype == np.float32 and np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ValueError, match="At most 2 windows fit. Received: 3"):
        embedder({"presence": {"audio": np.ones(3, bool)}})


def test_an_index_holds_the_centre_of_every_clip(media, index, embedder):
    opened = open_index(index)
    rows = {clip["id"]: row for row, clip in enumerate(opened.clips)}
    assert sorted(rows) == sorted(path.name for path in media.iterdir())
    assert {name: opened.about[f"num_{name}"] for name in ("clips", "with_audio", "with_video")} == {
        "clips": 7, "with_audio": 4, "with_video": 5,
    }  # fmt: skip
    for head, vectors in opened.embeddings.items():
        np.testing.assert_allclose(
            vectors[rows["1.mp4"]], embedded(embedder, media / "1.mp4")[head], atol=0.02
        )
        assert np.isnan(vectors[rows["text.mp4"]]).all()
        assert np.isnan(vectors[rows["mute & <b>.mp4"]]).all() == head.startswith("audio")
        assert np.isnan(vectors[rows["tone.wav"]]).all() == head.startswith("video")
    faults = [json.loads(line) for line in (index / "faults.jsonl").read_text().splitlines()]
    outcomes = {fault["id"]: fault["outcome"] for fault in faults}
    assert outcomes == {"spoilt.mp4": "dropped_stream", "text.mp4": "skipped"}


def test_a_sound_finds_pictures_and_a_picture_sounds(media, index, embedder, tmp_path):
    vectors = {path.name: embedded(embedder, path) for path in sorted(media.glob("[0-2].mp4"))}
    for asked, ours, theirs in (
        ("audio", "audio_to_video", "video_to_audio"),
        ("video", "video_to_audio", "audio_to_video"),
    ):
        hits = search_index(index, **{asked: media / "1.mp4"}, top=9, out=tmp_path, console=QUIET)
        found = {hit["id"]: hit["likeness"] for hit in hits}
        assert list(found.values()) == sorted(found.values(), reverse=True)
        lacking = {"audio": "tone.wav", "video": "mute & <b>.mp4"}[asked]
        assert lacking not in found and "text.mp4" not in found
        for name, answer in vectors.items():
            assert found[name] == pytest.approx(vectors["1.mp4"][ours] @ answer[theirs], abs=0.02)
        assert json.loads((tmp_path / "hits.json").read_text())["hits"] == hits


def test_sound_and_picture_together_find_the_clip_itself(media, index, tmp_path, capsys):
    clip, out = str(media / "2.mp4"), tmp_path / "out"
    words = ["search", str(index), "--audio", clip, "--video", clip, "--top", "2", "--out", str(out)]
    assert cli.main(words) == 0
    assert "2.mp4" in capsys.readouterr().out
    (first, second) = json.loads((out / "hits.json").read_text())["hits"]
    assert first["id"] == "2.mp4" and first["likeness"] == pytest.approx(1.0, abs=1e-3)
    assert second["likeness"] < first["likeness"]


def test_the_page_of_hits_shows_a_frame_and_plays_the_sound(media, index, tmp_path):
    search_index(index, audio=media / "tone.wav", out=tmp_path, console=QUIET)
    page = (tmp_path / "hits.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 5 and page.count("<audio") == 3
    assert "mute &amp; &lt;b&gt;.mp4</a>" in page and "<b>.mp4" not in page
    assert f'href="{(media / "0.mp4").as_uri()}"' in page
    search_index(index, video=media / "mute & <b>.mp4", out=tmp_path, console=QUIET)
    assert "no picture" in (tmp_path / "hits.html").read_text()


def test_shards_are_indexed_and_shown_too(clips, run, tmp_path):
    commands.prepare(
        clips, tmp_path / "shards", sample_rate_hz=8000, frame_rate_hz=8.0, shorter_side_px=12,
        num_workers=1, deadline_seconds=300.0,
    )  # fmt: skip
    said = commands.embed(tmp_path / "shards", tmp_path / "index", model=run, batch_size=4)
    assert said["coverage"] == "Embedded 11 of 11 clips, 9 with sound and 11 with pictures."
    clip = clips / "test" / "a" / "10.mp4"
    hits = search_index(tmp_path / "index", audio=clip, top=3, out=tmp_path / "out", console=QUIET)
    assert len(hits) == 3 and {label for hit in hits for label in hit["labels"]} <= {"a", "b"}
    shutil.rmtree(tmp_path / "shards")
    page = (tmp_path / "out" / "hits.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3 and "<audio" not in page
    search_index(tmp_path / "index", audio=clip, top=3, out=tmp_path / "out", console=QUIET)
    assert "no picture" in (tmp_path / "out" / "hits.html").read_text()


def test_an_index_is_whole_or_as_it_was(media, index, run, tmp_path):
    shutil.copytree(index, tmp_path / "index")
    before = (tmp_path / "index" / "index.json").read_text()
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.mp4").write_text("no clip")
    with pytest.raises(SourceError, match="Not one clip of the source could be read. The first:"):
        commands.embed(tmp_path / "none", tmp_path / "index", model=run)
    with pytest.raises(SourceError, match="max_bad_fraction=0.1"):
        commands.embed(media, tmp_path / "index", model=run, max_bad_fraction=0.1)
    assert (tmp_path / "index" / "index.json").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "none"]
    with pytest.raises(ConfigError, match="`index` must be a new folder or hold an earlier index"):
        commands.embed(media, tmp_path / "none", model=run)
    commands.embed(media, tmp_path / "index", model=run)
    assert open_index(tmp_path / "index").about["num_clips"] == 7


def test_what_cannot_be_searched_is_refused_in_a_sentence(media, index, tmp_path):
    sound, mute = media / "tone.wav", media / "mute & <b>.mp4"
    for error, match, folder, given in (
        (ConfigError, "`top` must be at least 1. Received: top=0", index, {"audio": sound, "top": 0}),
        (ConfigError, "Received: neither audio nor video", index, {}),
        (ConfigError, "This folder holds no index", tmp_path, {"audio": sound}),
        (MediaError, "The file has no audio", index, {"audio": mute}),
        (MediaError, "The file has no video", index, {"video": sound}),
        (MediaError, "There is no such file", index, {"video": tmp_path / "none.mp4"}),
    ):
        with pytest.raises(error, match=match):
            search_index(folder, **given, out=tmp_path / "out", console=QUIET)
    assert not (tmp_path / "out").exists()


def test_an_index_that_is_damaged_or_of_another_format_is_refused(media, index, tmp_path):
    folder = tmp_path / "index"
    shutil.copytree(index, folder)
    about = json.loads((folder / "index.json").read_text())
    (folder / "clips.json").write_text("[]")
    with pytest.raises(SourceError, match="holds other than 0 clips"):
        open_index(folder)
    (folder / "clips.json").unlink()
    with pytest.raises(SourceError, match="The index is damaged: a part cannot be read"):
        open_index(folder)
    (folder / "index.json").write_text(json.dumps({**about, "format": "zorro_keras clip index 9"}))
    with pytest.raises(ConfigError, match="Received: 'zorro_keras clip index 9'"):
        open_index(folder)


def test_an_index_of_sounds_alone_has_no_pictures_to_find(media, run, tmp_path):
    (tmp_path / "sounds").mkdir()
    shutil.copy(media / "tone.wav", tmp_path / "sounds")
    commands.embed(tmp_path / "sounds", tmp_path / "index", model=run)
    with pytest.raises(SourceError, match="No clip of the index has what is looked for"):
        search_index(tmp_path / "index", audio=media / "tone.wav", out=tmp_path / "out", console=QUIET)


def test_a_model_must_compare_what_is_asked():
    with pytest.raises(ConfigError, match=r"must have the embeddings \['audio_to_video'\]"):
        check_heads(["fusion_to_audio"], "audio_to_video")
    with pytest.raises(ConfigError, match="The model must compare fusion with a stream"):
        query.partners(["audio_to_video", "video_to_audio"], ["audio", "video"])
    assert query.partners(["audio_to_video", "video_to_audio"], ["audio"]) == {
        "audio_to_video": "video_to_audio"
    }
