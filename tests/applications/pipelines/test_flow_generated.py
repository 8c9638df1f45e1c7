"""Generated pairs: their flow is exact, and the same seed gives the same files."""

import numpy as np
import pytest

from tests.applications.pipelines.test_flow_warp import grid, sampled
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.flow_drawing import Motion, draw_scene
from zorro_keras.applications.pipelines.flow_generated import FlowPlan, draw_plan, generate_flow
from zorro_keras.applications.pipelines.flow_pairs import read_pair
from zorro_keras.applications.pipelines.flow_sources import read_flow_source

SIZE = (48, 64)


def differences(scene):
    """Of the first frame to the second along the flow, and to the second as it is: `(Y, X)` each."""
    first, second = scene.frames.astype(float)
    x, y = grid(*SIZE)
    fetched, _ = sampled(second, x + scene.flow[..., 0], y + scene.flow[..., 1])
    return np.abs(fetched - first).mean(-1), np.abs(second - first).mean(-1)


@pytest.mark.parametrize("number", range(5))
def test_the_second_frame_fetched_along_the_flow_is_the_first(number):
    scene = draw_plan(FlowPlan("a", (0, 0, number)), SIZE)
    along, still = (error[~scene.occluded] for error in differences(scene))
    assert along.mean() < 0.2 * still.mean()  # what is left is noise, interpolation and soft edges
    assert np.median(along) < 4


def test_what_is_hidden_does_not_fit_and_is_marked():
    fits, hidden = [], []
    for number in range(12):
        scene = draw_plan(FlowPlan("a", (1, 0, number)), SIZE)
        x, y = grid(*SIZE)
        ends = np.stack([x, y], axis=-1) + scene.flow
        gone = (ends < -0.5).any(-1) | (ends > np.array([63.5, 47.5])).any(-1)
        assert scene.occluded[gone].all()  # what leaves the picture is not seen in it
        error = differences(scene)[0]
        fits.append(error[~scene.occluded].mean())
        hidden.append(error[scene.occluded & ~gone].mean())
    assert np.nanmean(hidden) > 4 * np.mean(fits)


def test_motion_keeps_to_its_bounds_and_is_not_one_shift():
    lengths = []
    for number in range(20):
        scene = draw_scene(*SIZE, 2, Motion(2.0, 4.0), np.random.default_rng(number))
        lengths.append(np.hypot(*np.moveaxis(scene.flow, -1, 0)))
        assert len(np.unique(np.round(scene.flow, 3).reshape(-1, 2), axis=0)) > 100
    # The background turns by up to 0.15 / 4 and grows by 0.1 / 4, 40 px from the middle: 1.8 px more.
    assert 1 < np.mean(lengths) < 3 and np.max(lengths) < 8
    still = draw_scene(*SIZE, 1, Motion(0.0, 0.0, 0.0, 0.0), np.random.default_rng(0))
    assert not still.flow.any() and not still.occluded.any()


def test_files_are_read_back_as_drawn_and_splits_differ(tmp_path):
    plans = generate_flow(tmp_path, count=3, test_count=2, size_px=(17, 19), seed=5)
    source = read_flow_source(tmp_path)
    assert (source.layout, source.names_splits) == ("triples", True)
    assert [len(source.split(name)) for name in ("train", "test")] == [3, 2]
    for entry, plan in zip(source.entries, sorted(plans, key=lambda plan: plan.path), strict=True):
        scene, pair = draw_plan(plan, (17, 19)), read_pair(entry)
        assert entry.id == plan.path
        np.testing.assert_array_equal(pair.frames, scene.frames)
        np.testing.assert_array_equal(pair.flow, scene.flow)
        np.testing.assert_array_equal(pair.matched, ~scene.occluded)
    frames = [read_pair(entry).frames.tobytes() for entry in source.entries]
    assert len(set(frames)) == 5


def test_an_interrupted_run_is_finished_and_others_are_refused(tmp_path):
    generate_flow(tmp_path, count=2, test_count=1, size_px=(17, 19))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    (tmp_path / "train" / "00001_flow.flo").unlink()
    (tmp_path / "train" / "00001_2.png").write_bytes(b"half")
    generate_flow(tmp_path, count=2, test_count=1, size_px=(17, 19))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    with pytest.raises(ConfigError, match="hold pairs of the same settings"):
        generate_flow(tmp_path, count=3, test_count=1, size_px=(17, 19))
    with pytest.raises(ValueError, match="`size_px` at least 16"):
        generate_flow(tmp_path, size_px=(15, 19))
