import dataclasses

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from zorro_keras.applications.reproduce.plan import FULL
from zorro_keras.applications.reproduce.small_clips import small_clips


def test_clips_are_decoded_in_as_many_windows_as_the_full_plan_asks_for(tmp_path):
    plan = dataclasses.replace(FULL, count=8, test_count=8)
    train, test = small_clips(tmp_path, plan)
    assert plan.windows > 1 and len(train) == len(test) == 8
    assert train.audio.shape[:2] == train.video.shape[:2] == (8, plan.windows)
    assert test.audio.shape[:2] == (8, 1)
    heard = train.audio[train.presence["audio"]]
    assert np.abs(heard[:, 0] - heard[:, -1]).max() > 0.1  # from other places of the clip
    again, _ = small_clips(tmp_path, plan)
    np.testing.assert_array_equal(again.video, train.video)
