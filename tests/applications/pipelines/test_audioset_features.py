"""AudioSet's published features as numbers and labels that a model can be trained on."""

import numpy as np
import pytest
import tensorflow as tf

from tests.foreign_maker import example, write_records
from zorro_keras.applications.pipelines.audioset_features import audioset_features
from zorro_keras.applications.pipelines.faults import SourceError


def record(video_id, stored, labels=(0, 526)):
    context = {"video_id": video_id, "start_time_seconds": 30.0, "end_time_seconds": 40.0}
    context["labels"] = list(labels)
    return example(context, {"audio_embedding": [[second.tobytes()] for second in stored]})


def stored(num_seconds, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (num_seconds, 128), np.uint8)


def quantised(features):
    """As VGGish stores its features."""
    return ((np.clip(features, -2.0, 2.0) + 2.0) * (255.0 / 4.0)).astype(np.uint8)


def test_clips_are_read_in_the_order_of_their_files(tmp_path):
    write_records(tmp_path / "b/1.tfrecord", [record("third", stored(10))])
    write_records(tmp_path / "a/0.tfrecord", [record("first", stored(10)), record("-second", stored(10))])
    clips = list(audioset_features(tmp_path).as_numpy_iterator())
    assert [clip["id"] for clip in clips] == [b"first", b"-second", b"third"]
    assert {(clip["start_seconds"], clip["end_seconds"]) for clip in clips} == {(30.0, 40.0)}
    (alone,) = audioset_features(tmp_path / "b/1.tfrecord").as_numpy_iterator()
    assert alone["id"] == b"third"


def test_features_are_what_vggish_had_to_within_half_a_step(tmp_path):
    features = np.random.default_rng(1).uniform(-2.0, 2.0, (10, 128)).astype(np.float32)
    features[0, :2] = -2.0, 2.0
    path = write_records(tmp_path / "0.tfrecord", [record("a", quantised(features))])
    (clip,) = audioset_features(path).as_numpy_iterator()
    assert clip["features"].dtype == np.float32 and np.abs(clip["features"]).max() <= 2.0
    np.testing.assert_allclose(clip["features"], features, atol=0.5 * 4 / 255 + 1e-6)
    assert abs((clip["features"] - features).mean()) < 1e-3


def test_labels_are_a_vector_by_their_numbers(tmp_path):
    path = write_records(tmp_path / "0.tfrecord", [record("a", stored(1)), record("b", stored(1), ())])
    several, none = audioset_features(path).as_numpy_iterator()
    assert several["labels"].shape == (527,) and np.flatnonzero(several["labels"]).tolist() == [0, 526]
    assert set(several["labels"]) == {0.0, 1.0} and not none["labels"].any()
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(audioset_features(path, num_classes=526))


def test_long_clips_are_cut_and_short_ones_end_in_zeros(tmp_path):
    path = write_records(tmp_path / "0.tfrecord", [record("a", stored(n)) for n in (3, 7)])
    short, long = audioset_features(path, num_frames=5).as_numpy_iterator()
    assert short["features"].shape == long["features"].shape == (5, 128)
    assert short["padding_mask"].tolist() == [True] * 3 + [False] * 2
    assert not short["features"][3:].any() and short["features"][:3].any(axis=1).all()
    assert long["padding_mask"].all()


def test_a_model_trains_on_batches_of_them(tmp_path):
    import keras

    path = write_records(tmp_path / "0.tfrecord", [record(str(n), stored(10, n), (n,)) for n in range(6)])
    clips = audioset_features(path, num_classes=7)
    batches = clips.map(lambda clip: (clip["features"], clip["labels"])).batch(3).repeat()
    model = keras.Sequential([keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(7)])
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    assert np.isfinite(model.fit(batches, steps_per_epoch=2, verbose=0, shuffle=False).history["loss"]).all()


def test_damage_and_absence_are_errors(tmp_path):
    with pytest.raises(SourceError, match="There is no .tfrecord file"):
        audioset_features(tmp_path)
    with pytest.raises(SourceError, match="There is no .tfrecord file"):
        audioset_features(tmp_path / "none.tfrecord")
    path = write_records(tmp_path / "0.tfrecord", [record("a", stored(10))])
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(tf.errors.DataLossError):
        list(audioset_features(path))
