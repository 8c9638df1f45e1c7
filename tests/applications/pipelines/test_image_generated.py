"""The generated pictures: real files, balanced, and the same for the same seed."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.image_drawing import FORMS, draw
from zorro_keras.applications.pipelines.image_generated import IMAGE_CLASSES, generate_images
from zorro_keras.applications.pipelines.image_sources import read_image_source


def test_real_files_lie_in_class_folders(tmp_path):
    plans = generate_images(tmp_path, count=40, test_count=20)
    source = read_image_source(tmp_path)
    assert source.label_names == IMAGE_CLASSES == tuple(sorted(FORMS)) and len(IMAGE_CLASSES) == 10
    assert Counter(entry.label_index for entry in source.split("train")) == dict.fromkeys(range(10), 4)
    assert len(source.split("test")) == 20
    kinds = Counter(opened((tmp_path / plan.path).read_bytes()) for plan in plans)
    assert kinds == {("PNG", "RGB"): 30, ("JPEG", "RGB"): 30}


def opened(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.format, image.mode


def test_the_seed_decides_and_an_interrupted_run_is_finished(tmp_path):
    plans = generate_images(tmp_path / "a", count=20, test_count=10)
    generate_images(tmp_path / "b", count=20, test_count=10)
    (tmp_path / "b" / plans[3].path).unlink()
    generate_images(tmp_path / "b", count=20, test_count=10)
    generate_images(tmp_path / "c", count=20, test_count=10, seed=1)
    a, b, c = ([(tmp_path / name / plan.path).read_bytes() for plan in plans] for name in "abc")
    assert a == b and not set(a) & set(c)
    assert len(set(a)) == 30  # no test picture is a training picture


def test_other_settings_do_not_mix_with_what_is_there(tmp_path):
    generate_images(tmp_path, count=10, test_count=0)
    with pytest.raises(ConfigError, match="must be a new folder"):
        generate_images(tmp_path, count=11, test_count=0)
    with pytest.raises(ValueError, match="`count` must be at least 10"):
        generate_images(tmp_path, count=9)


@pytest.mark.parametrize("form", FORMS)
def test_colours_do_not_tell_the_form(form):
    """The mean colour of a class over many pictures is the middle: nothing to learn from it."""
    means = [draw(form, 24, 32, np.random.default_rng(seed)).mean((0, 1)) for seed in range(150)]
    assert np.abs(np.mean(means, 0) - 127.5).max() < 15
