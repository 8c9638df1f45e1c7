"""The linear probe of frozen features."""

import numpy as np

from zorro_keras.applications.reproduce.probe import probe


def test_what_lies_apart_is_told_apart():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = 5.0 * np.eye(3)[labels] @ rng.normal(size=(3, 7)) + 0.01 * rng.normal(size=(60, 7))
    assert (probe(features[:30], labels[:30], features[30:]) == labels[30:]).all()


def test_features_that_say_nothing_give_the_commonest_class():
    labels = np.array([0, 1, 1, 2])
    assert probe(np.ones((4, 5)), labels, np.ones((2, 5))).tolist() == [1, 1]
