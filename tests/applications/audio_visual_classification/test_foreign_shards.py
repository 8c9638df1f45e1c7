"""The README's commands for shards of other libraries, each on small shards as that library writes them."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import zorro_keras.applications.audio_visual_classification as task
from tests.foreign_maker import (
    dmvr_record,
    example,
    jpegs,
    samples,
    write_features,
    write_records,
    write_tar,
)
from tests.media_maker import write_clip
from zorro_keras.applications import cli
from zorro_keras.applications.pipelines.clip_data import open_clip_data

README = (Path(task.__file__).parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Shards of other libraries")[2].partition("\n## ")[0]
COMMANDS = [shlex.split(text) for text in re.findall(r"`(zorro-keras prepare [^`]*)`", SECTION)]


def write_dmvr(folder):
    for split in ("train", "test"):
        write_records(folder / f"{split}-00000-of-00001", [dmvr_record("run"), dmvr_record("sit", name="b")])


def write_media_sequence(folder):
    for split in ("train", "test"):
        records = [
            example(
                {
                    "clip/label/string": name,
                    "WAVEFORM/feature/sample_rate": 16_000.0,
                    "image/frame_rate": 10.0,
                },
                {
                    "image/encoded": [[image] for image in jpegs(1.0, 10.0)],
                    "WAVEFORM/feature/floats": [samples(1.0, 16_000)],
                },
            )
            for name in ("run", "sit")
        ]
        write_records(folder / f"{split}.tfrecord", records)


def write_scenic_mbt(folder):
    for split in ("train", "eval"):
        images = {"image/encoded": [[image] for image in jpegs(1.0, 25.0)]}
        mel = {"melspec/feature/floats": [[0.0] * 12_800]}
        records = [example({"clip/label/index": number}, images | mel) for number in (0, 1)]
        write_records(folder / f"{split}.tfrecord", records)


def write_webdataset(folder):
    film = write_clip(folder.parent / "film.mp4").read_bytes()
    for split in ("train", "test"):
        write_tar(
            folder / split / "000.tar", {"0.mp4": film, "0.cls": b"run", "1.mp4": film, "1.cls": b"sit"}
        )


SOURCES = {
    "dmvr/": ("DMVR", write_dmvr),
    "media_sequence/": ("MediaSequence", write_media_sequence),
    "scenic_mbt/": ("Scenic MBT", write_scenic_mbt),
    "webdataset/": ("WebDataset", write_webdataset),
}


def source_of(words):
    return words[words.index("--source") + 1]


def test_the_readme_shows_a_command_for_each():
    assert [source_of(words) for words in COMMANDS] == list(SOURCES)


@pytest.mark.parametrize("words", COMMANDS, ids=source_of)
def test_the_command_of_the_readme_packs_what_can_be_trained_on(words, tmp_path, monkeypatch, capsys):
    layout, write = SOURCES[source_of(words)]
    write(tmp_path / source_of(words))
    monkeypatch.chdir(tmp_path)
    assert cli.main(words[1:]) == 0, capsys.readouterr().err
    coverage = json.loads((tmp_path / "shards/coverage.json").read_text())
    assert (coverage["layout"], coverage["clips"]["used_whole"]) == (layout, 4)
    data = open_clip_data(tmp_path / "shards")
    assert (data.num_train, data.num_test, len(data.label_names)) == (2, 2, 2)


@pytest.mark.slow
# Keras says so of any data set whose length it cannot know beforehand.
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_the_program_for_audiosets_features_never_reads_what_a_short_clip_lacks(tmp_path, monkeypatch):
    write_features(tmp_path / "audioset_v1_embeddings/bal_train/0.tfrecord")
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    made = {}
    exec(program.replace("model.fit(", "trained = model.fit("), made)
    assert np.isfinite(made["trained"].history["loss"]).all()
    x, _ = next(made["clips"].batch(4).as_numpy_iterator())
    is_there = x["padding_mask"]["audio"]
    assert is_there.sum(1).tolist() == [3, 4, 5, 6]
    spoilt = np.where(is_there[..., None], x["audio"], np.float32(7.0))
    answers = made["model"].predict_on_batch(x)
    for name, after in made["model"].predict_on_batch({**x, "audio": spoilt}).items():
        np.testing.assert_array_equal(after, answers[name])
    heard = made["model"].predict_on_batch({"audio": spoilt})  # without the mask
    assert all(np.abs(heard[name] - answers[name]).max() > 0.1 for name in answers)
