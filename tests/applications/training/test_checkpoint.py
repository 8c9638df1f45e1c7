import errno
import json
import os
import resource
import shutil

import keras
import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from zorro_keras.applications.pipelines.faults import CheckpointError, TrainingError
from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.optimizer import build_optimizer
from zorro_keras.applications.training.run_folder import RunFolder, full_disk_named

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def compiled_model(units=7, layers=1, momentum=None, seed=0):
    keras.utils.set_random_seed(seed)
    stack = [keras.Input((5,))]
    for _ in range(layers):
        stack += [
            keras.layers.Dense(units),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=seed),
        ]
    model = keras.Sequential([*stack, keras.layers.Dense(3)])
    model.compile(optimizer=build_optimizer(model, TrainingConfig(ema_momentum=momentum), 10), loss="mse")
    rng = np.random.default_rng(seed)
    for variable in [*model.variables, *model.optimizer.variables]:
        values = rng.uniform(0, 9, size=variable.shape)  # stands for training, which is slow to compile
        variable.assign(values.astype(variable.dtype))
    return model


def content(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]


def assert_same(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def state(epoch):
    return {"epoch": epoch, "history": [{"epoch": epoch}]}


@pytest.fixture
def saved(tmp_path):
    """Two checkpoints, of different weights."""
    first, second = compiled_model(seed=1), compiled_model(seed=2)
    checkpoint.save(tmp_path, first, step=10, state=state(1))
    checkpoint.save(tmp_path, second, step=20, state=state(2))
    return tmp_path, first, second


def newest(folder):
    lines = []
    return checkpoint.newest(folder, say=lines.append), lines


def test_every_variable_comes_back_bit_for_bit(saved):
    folder, _, second = saved
    found, lines = newest(folder)
    model = compiled_model(seed=3)
    assert not all(np.array_equal(a, b) for a, b in zip(content(model), content(second), strict=True))
    checkpoint.restore(found, model)
    assert_same(content(model), content(second))
    assert found.epoch == 2 and found.state["step"] == 20 and lines == []
    names = list(checkpoint.run_variables(model))
    assert sum("seed_generator_state" in name for name in names) == 1
    assert sum("momentum" in name for name in names) == 6 and any("iteration" in name for name in names)


def test_only_the_newest_two_are_kept_and_strangers_are_left_alone(saved):
    folder, _, second = saved
    (folder / "notes").mkdir()
    (folder / ".step-00000005.partial-1").mkdir()  # what a killed writer leaves
    checkpoint.save(folder, second, step=30, state=state(3))
    assert sorted(path.name for path in folder.iterdir()) == ["notes", "step-00000020", "step-00000030"]


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    "damage", [flip, cut, lambda path: path.unlink(), lambda path: path.write_bytes(b"")]
)
@pytest.mark.parametrize("name", ["variables.safetensors", "state.json"])
def test_a_damaged_newest_checkpoint_is_passed_over_and_named(saved, damage, name):
    folder, first, _ = saved
    damage(folder / "step-00000020" / name)
    found, lines = newest(folder)
    assert (
        found.epoch == 1 and len(lines) == 1 and "step-00000020 is damaged" in lines[0] and name in lines[0]
    )
    model = compiled_model(seed=3)
    checkpoint.restore(found, model)
    assert_same(content(model), content(first))


def test_tensors_and_state_of_two_checkpoints_are_never_mixed(saved):
    folder, _, _ = saved
    shutil.copy(folder / "step-00000010" / "variables.safetensors", folder / "step-00000020")
    found, lines = newest(folder)
    assert found.epoch == 1 and "variables.safetensors was changed" in lines[0]


def test_all_damaged_is_an_error_and_none_at_all_is_not(saved, tmp_path):
    folder, _, _ = saved
    for path in folder.iterdir():
        flip(path / "state.json")
    with pytest.raises(CheckpointError, match="state.json"):
        newest(folder)
    assert newest(tmp_path / "absent") == (None, [])


def test_another_architecture_names_the_first_five_tensors_that_differ(saved):
    folder, _, _ = saved
    found, _ = newest(folder)
    other = compiled_model(units=11)
    before = content(other)
    with pytest.raises(CheckpointError) as raised:
        checkpoint.restore(found, other)
    lines = raised.value.message.splitlines()
    assert "of another model" in lines[0] and len(lines) == 6
    assert lines[1].endswith("dense/kernel: checkpoint (5, 7) F32, model (5, 11) F32")
    assert_same(content(other), before)  # nothing was touched
    with pytest.raises(CheckpointError, match="absent"):
        checkpoint.restore(found, compiled_model(layers=2))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_failing_disk_never_costs_the_old_checkpoint(saved, code):
    folder, _, second = saved

    def broken(tensors, path):
        path.write_bytes(b"half")
        raise OSError(code, "no")

    with pytest.raises(CheckpointError, match="step-00000030 could not be written") as raised:
        checkpoint.save(folder, second, step=30, state=state(3), write_tensors=broken)
    assert raised.value.reason == ("disk_full" if code == errno.ENOSPC else "not_writable")
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000010", "step-00000020"]
    assert newest(folder)[0].epoch == 2
    checkpoint.save(folder, second, step=30, state=state(3), write_tensors=save_file)
    assert newest(folder)[0].epoch == 3


def test_a_disk_that_refuses_the_tensors_is_named_as_any_other(saved):
    """The library that writes them has an error of its own: here of a file that may not be so large."""
    folder, _, second = saved
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(
            CheckpointError, match="step-00000030 could not be written: .*os error 27"
        ) as raised:
            checkpoint.save(folder, second, step=30, state=state(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.reason == "not_writable"
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000010", "step-00000020"]


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("I/O error: No space left on device (os error 28)"),
        OSError(
            "Can't write data (file write failed: errno = 28, error message = 'No space left on device')"
        ),
    ],
)
def test_a_full_disk_is_told_from_other_errors_by_its_number(error, tmp_path):
    with pytest.raises(CheckpointError) as raised, full_disk_named(tmp_path / "x"):
        raise error
    assert raised.value.reason == "disk_full"


def test_a_full_disk_never_costs_the_old_preset(tmp_path):
    folder = RunFolder(tmp_path)
    folder.replace_preset(lambda path: os.makedirs(path))

    def full(path):
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(CheckpointError, match="preset could not be written") as raised:
        folder.replace_preset(full)
    assert raised.value.reason == "disk_full" and folder.preset.exists()


def test_what_a_writer_of_the_same_number_left_is_in_nobodys_way(saved):
    """In a container the process that goes on often has the number of the one that was killed."""
    folder, _, second = saved
    for step in (10, 30):
        partial = folder / f".step-{step:08d}.partial-{os.getpid()}"
        partial.mkdir()
        (partial / "variables.safetensors").write_bytes(b"half")
    checkpoint.save(folder, second, step=30, state=state(3))
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000020", "step-00000030"]


def test_who_may_read_the_state_may_read_the_tensors(saved):
    folder, _, _ = saved
    modes = {path.stat().st_mode for path in (folder / "step-00000020").iterdir()}
    assert len(modes) == 1


def test_no_checkpoint_ever_holds_nan(saved):
    folder, _, second = saved
    second.variables[-1].assign(np.full(second.variables[-1].shape, np.nan, dtype="float32"))
    with pytest.raises(TrainingError, match="is not finite after step 30; no checkpoint was written"):
        checkpoint.save(folder, second, step=30, state=state(3))
    assert newest(folder)[0].epoch == 2


def test_weights_for_use_are_the_averages_where_the_run_kept_them(tmp_path):
    model = compiled_model(momentum=0.5)
    checkpoint.save(tmp_path, model, step=2, state=state(1))
    other = compiled_model(seed=4)
    checkpoint.restore_weights(newest(tmp_path)[0], other)
    for weight, average in zip(other.trainable_variables, model.optimizer.averages(), strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(weight.value), keras.ops.convert_to_numpy(average.value)
        )


def test_bfloat16_variables_survive(tmp_path):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, dtype="bfloat16")])
    model.compile(optimizer=build_optimizer(model, TrainingConfig(), 10), loss="mse")
    checkpoint.save(tmp_path, model, step=1, state=state(1))
    before = [keras.ops.convert_to_numpy(keras.ops.cast(v.value, "float32")) for v in model.weights]
    for variable in model.weights:
        variable.assign(variable + 1)
    checkpoint.restore(newest(tmp_path)[0], model)
    after = [keras.ops.convert_to_numpy(keras.ops.cast(v.value, "float32")) for v in model.weights]
    assert_same(before, after)


def test_two_writers_exclude_each_other(tmp_path):
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    with first.locked(), pytest.raises(CheckpointError, match="Another process is training"), second.locked():
        raise AssertionError("two writers at once")
    with second.locked():
        assert second.path.is_dir()


def test_state_json_is_plain_json(saved):
    folder, _, _ = saved
    values = json.loads((folder / "step-00000020" / "state.json").read_text())
    assert values["history"] == [{"epoch": 2}] and set(values["sha256"]) == {"variables.safetensors"}
