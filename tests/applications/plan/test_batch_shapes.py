"""The batches of training are what a plan says that they are."""

import functools

import keras
import pytest

tf = pytest.importorskip("tensorflow")
pytest.importorskip("jax")
if keras.backend.backend() != "jax":
    pytest.skip("a plan is made on JAX", allow_module_level=True)

from zorro_keras.applications.image_classification import data as image_data  # noqa: E402
from zorro_keras.applications.optical_flow import data as flow_data  # noqa: E402
from zorro_keras.applications.pipelines.battle_generated import generate_battles  # noqa: E402
from zorro_keras.applications.pipelines.flow_generated import generate_flow  # noqa: E402
from zorro_keras.applications.pipelines.image_generated import generate_images  # noqa: E402
from zorro_keras.applications.pipelines.packed_clips import pack_generated_clips  # noqa: E402
from zorro_keras.applications.plan.shapes_only import shaped_model  # noqa: E402
from zorro_keras.applications.plan.stages import stages_of  # noqa: E402
from zorro_keras.applications.starcraft_units import data as unit_data  # noqa: E402
from zorro_keras.applications.training.config import apply_overrides  # noqa: E402
from zorro_keras.applications.training.labels import label_names_of  # noqa: E402
from zorro_keras.applications.training.task import TASKS, named_config, task_module  # noqa: E402

# How the clips of a task are packed.
PACKING = {
    **dict.fromkeys(("audio_visual_classification", "audio_visual_pretraining"), {}),
    **dict.fromkeys(
        ("masked_autoencoding", "video_autoencoding"), {"sample_rate_hz": 2000, "shorter_side_px": 32}
    ),
}


@pytest.fixture
def few_examples(monkeypatch):
    for data, name, make, sizes in (
        (image_data, "generate_images", generate_images, {"count": 40, "test_count": 10}),
        (flow_data, "generate_flow", generate_flow, {"count": 8, "test_count": 2}),
        (unit_data, "generate_battles", generate_battles, {"count": 40, "test_count": 10}),
    ):
        monkeypatch.setattr(data, name, functools.partial(make, **sizes))


def described(spec):
    return keras.tree.map_structure(lambda leaf: (tuple(leaf.shape), tf.as_dtype(leaf.dtype).name), spec)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_step_is_given_what_the_plan_says(task, tmp_path, few_examples):
    config = apply_overrides(named_config(task, "tiny"), ["training.batch_size=4"])
    module = task_module(task, "data")
    if task in PACKING:
        path = pack_generated_clips(tmp_path / "shards", count=8, test_count=8, **PACKING[task])
    else:
        path = module.default_data(tmp_path / "data")
    data = module.open_data(path, config)
    shapes = task_module(task, "batch_shapes")
    names = shapes.label_names("tiny", config) if hasattr(shapes, "label_names") else ()
    assert len(names) == len(label_names_of(data))
    if task == "text_classification":
        assert names == data.label_names
    shaped = shaped_model(task, config, names, 4)
    preprocessor = shaped.model.preprocessor
    spec = module.training_dataset(data, config, preprocessor).element_spec
    spec = spec if isinstance(spec, tuple) else (spec,)
    assert described(shaped.batch) == described(spec)


def test_a_battle_of_units_alone_has_a_row_for_each(few_examples, tmp_path):
    config = apply_overrides(
        named_config("starcraft_units", "tiny"), ["data.alone=true", "training.batch_size=3"]
    )
    data = unit_data.open_data(unit_data.default_data(tmp_path), config)
    shaped = shaped_model("starcraft_units", config, (), 3)
    spec = unit_data.training_dataset(data, config, shaped.model.preprocessor).element_spec
    assert described(shaped.batch) == described(spec)


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS)
def test_every_configuration_has_stages_that_add_up(task):
    for name in task_module(task, "config").CONFIGS:
        if name.endswith("sentencepiece"):  # needs a file of its own
            continue
        config, shapes = named_config(task, name), task_module(task, "batch_shapes")
        names = shapes.label_names(name, config) if hasattr(shapes, "label_names") else ()
        shaped = shaped_model(task, config, names, 1)
        stages = stages_of(shaped)
        assert sum(stage.count * stage.parameters for stage in stages) == shaped.model.count_params(), name
        assert sum(stage.forward_flops for stage in stages) > 0, name
