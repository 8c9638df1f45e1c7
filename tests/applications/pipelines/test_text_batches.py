import numpy as np
import pytest

from zorro_keras.applications.pipelines.text_batches import BUCKETS, bucket_length, pad_texts


def test_few_lengths_exist():
    lengths = {bucket_length(length, 2048) for length in range(2049)}
    assert lengths == {128, 256, 512, 1024, 2048}
    assert {bucket_length(length, 300) for length in range(301)} == {128, 256, 300}
    assert all(bucket_length(bucket, 2048) == bucket for bucket in BUCKETS)


def test_texts_are_cut_and_padded_and_say_what_is_real():
    batch = pad_texts([np.arange(6, 9), np.arange(6, 16), np.zeros(0, int)], longest=7)
    assert batch["text"].dtype == np.int32
    assert batch["text"].tolist() == [[6, 7, 8, 0, 0, 0, 0], [6, 7, 8, 9, 10, 11, 12], [0] * 7]
    picture = ["".join("#" if real else "." for real in row) for row in batch["padding_mask"]["text"]]
    assert picture == ["###....", "#######", "......."]


def test_a_batch_may_have_one_length_for_all():
    assert pad_texts([np.arange(6, 9)], longest=2048)["text"].shape == (1, 128)
    assert pad_texts([np.arange(6, 9)], longest=2048, length=50)["text"].shape == (1, 50)
    with pytest.raises(ValueError, match="`length` must be at most 20"):
        pad_texts([], longest=20, length=21)
    with pytest.raises(ValueError, match="`length` must be at most 20"):
        bucket_length(21, 20)
