"""Embeddings are scored by whom they find."""

import numpy as np
import pytest

from zorro_keras.applications.audio_visual_pretraining.scores import (
    class_likeness,
    neighbour_chance,
    scores_of,
)

LABELS = np.eye(2)[[0, 1, 0, 1]]
EVERYONE = {"audio": np.ones(4, bool), "video": np.ones(4, bool)}
ALL = np.ones(4, bool)


def test_each_clip_finds_its_own_and_its_like():
    sound = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.9]])
    scores = scores_of({"audio_to_video": sound, "video_to_audio": sound}, EVERYONE, LABELS, ALL)
    assert scores["audio_finds_video_recall_at_1"] == scores["video_finds_audio_recall_at_1"] == 1.0
    assert scores["audio_to_video_neighbours"] == 1.0
    mixed = LABELS[[0, 0, 1, 1]]
    assert scores_of({"audio_to_video": sound}, EVERYONE, mixed, ALL) == {"audio_to_video_neighbours": 0.0}


def test_chance_follows_from_how_many_clips_each_class_has():
    assert neighbour_chance(np.eye(2)[[0, 1, 0, 1]]) == pytest.approx(1 / 3)
    assert neighbour_chance(np.eye(2)[[0, 0, 0, 1]]) == pytest.approx(1 / 2)


def test_recall_counts_those_among_whom_the_right_one_is():
    sound = np.eye(12)
    picture = np.roll(np.eye(12), 1, axis=1) + 0.5 * np.eye(12)  # the right one is second
    presence = {name: np.ones(12, bool) for name in ("audio", "video")}
    embeddings = {"audio_to_video": sound, "video_to_audio": picture}
    scores = scores_of(embeddings, presence, np.zeros((12, 0)), np.ones(12, bool))
    assert scores["audio_finds_video_recall_at_1"] == 0.0 and scores["audio_finds_video_recall_at_5"] == 1.0
    assert not any("neighbour" in name for name in scores)  # no labels, no probe


def test_clips_that_lack_a_stream_or_could_not_be_read_count_nowhere():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [np.nan, np.nan], [0.5, 0.5]])
    presence = {"audio": np.array([True, True, False, True]), "video": ALL}
    usable = np.array([True, True, True, False])
    embeddings = {"audio_to_video": vectors, "video_to_audio": np.where(np.isnan(vectors), 0.0, vectors)}
    scores = scores_of(embeddings, presence, LABELS, usable)
    assert scores["audio_finds_video_recall_at_1"] == 1.0


def test_fusion_is_scored_where_a_clip_has_anything():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [np.nan, np.nan], [0.6, 0.8]])
    presence = {"audio": np.array([True, False, False, True]), "video": np.array([False, True, False, True])}
    scores = scores_of({"fusion_to_audio": vectors}, presence, LABELS, ALL)
    assert scores == {"fusion_to_audio_neighbours": pytest.approx(2 / 3)}


def test_classes_are_alike_as_the_mean_over_pairs_of_two_clips():
    random = np.random.default_rng(0)
    sound, picture = random.normal(size=(2, 7, 3))
    labels, usable = np.eye(3)[[0, 1, 2, 0, 1, 0, 2]], np.array([True] * 6 + [False])
    presence = {"audio": np.array([True] * 5 + [False, True]), "video": np.ones(7, bool)}
    expected = np.full((3, 3), np.nan)
    for heard in range(3):
        for seen in range(3):
            pairs = [
                sound[one] @ picture[two]
                for one in np.flatnonzero(labels[:, heard] * usable * presence["audio"])
                for two in np.flatnonzero(labels[:, seen] * usable)
                if one != two
            ]
            expected[heard, seen] = np.mean(pairs) if pairs else np.nan
    embeddings = {"audio_to_video": sound, "video_to_audio": picture}
    found = class_likeness(embeddings, presence, labels, usable)
    np.testing.assert_allclose(np.array(found, float), expected, atol=1e-12)
    assert found[2][2] is None  # one clip alone
    assert class_likeness(embeddings, presence, np.zeros((7, 0)), usable) is None
    assert class_likeness({"audio_to_video": sound}, presence, labels, usable) is None
