"""A clip geometry counts samples, places frames, survives JSON and refuses nonsense."""

import json

import numpy as np
import pytest

from zorro_keras.applications.pipelines.geometry import ClipGeometry

GEOMETRY = ClipGeometry(seconds=2.0, sample_rate_hz=16000, num_frames=5, height_px=7, width_px=11)


def test_samples_are_seconds_times_rate_rounded():
    assert GEOMETRY.num_samples == 32000
    assert ClipGeometry(0.1, 44101, 1, 1, 1).num_samples == 4410


def test_frames_sit_in_the_middle_of_equal_parts():
    np.testing.assert_allclose(GEOMETRY.frame_times(3.0), [3.2, 3.6, 4.0, 4.4, 4.8])


def test_a_geometry_survives_json():
    config = json.loads(json.dumps(GEOMETRY.get_config()))
    assert ClipGeometry.from_config(config) == GEOMETRY
    with pytest.raises(ValueError, match="`config` must have the keys"):
        ClipGeometry.from_config({**config, "depth_px": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seconds", 0.0),
        ("seconds", float("nan")),
        ("sample_rate_hz", 0),
        ("num_frames", 1.5),
        ("width_px", True),
    ],
)
def test_nonsense_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        ClipGeometry(**{**GEOMETRY.get_config(), name: value})
