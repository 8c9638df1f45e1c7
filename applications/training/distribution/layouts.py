"""Which axis of which weight is split over devices: one table, as all backbones are made of the same layers.

Attention is split by its heads and an MLP by its hidden units, so that a device computes its part of a branch
alone and only the branch's result is added up over devices (Megatron-LM, arXiv 1909.08053, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
from rich.console import Console

from zorro_keras.applications.pipelines.faults import ConfigError

BATCH, MODEL = "batch", "model"  # the axes of the mesh of devices
_ATTENTION, _MLP = r".*attention/(projections/)?", r".*mlp/"
SPLIT_AXES = {
    _ATTENTION + "(query|key|value)/kernel": (None, MODEL),
    _ATTENTION + "(query|key|value)/bias": (MODEL,),
    _ATTENTION + "output/kernel": (MODEL, None),
    _MLP + "hidden/kernel": (None, MODEL),
    _MLP + "hidden/bias": (MODEL,),
    _MLP + "output/kernel": (MODEL, None),
}


class SplitKernels(keras.distribution.ModelParallel):
    """Splits attention and MLPs over `model_devices` devices, and the batch over groups of that many.

    What `SPLIT_AXES` does not name is whole on every device, and so is a kernel whose axis `model_devices`
    does not divide, such as that of a Perceiver which reads 261 Fourier features.

    Args:
        devices: sequence of str, as `keras.distribution.list_devices` names them.
        model_devices: int. Devices that share the weights; divides the number of devices.

    Attributes:
        undivided: set of str, the paths of what stayed whole although the table splits it.
    """

    def __init__(self, devices: Sequence[str], model_devices: int) -> None:
        shape = (len(devices) // model_devices, model_devices)
        mesh = keras.distribution.DeviceMesh(shape, (BATCH, MODEL), np.array(devices))
        layouts = keras.distribution.LayoutMap(mesh)
        for pattern, axes in SPLIT_AXES.items():
            layouts[pattern] = axes
        super().__init__(layout_map=layouts, batch_dim_name=BATCH)
        self.model_devices = model_devices
        self.undivided: set[str] = set()

    def get_variable_layout(self, variable: keras.Variable) -> keras.distribution.TensorLayout:
        """Returns the layout of a variable: its row of the table, where its axis can be divided."""
        layout = super().get_variable_layout(variable)
        sizes = [size for size, axis in zip(variable.shape, layout.axes, strict=True) if axis == MODEL]
        if all(size % self.model_devices == 0 for size in sizes):
            return layout
        self.undivided.add(variable.path)
        return keras.distribution.TensorLayout((None,) * len(variable.shape), self.device_mesh)


def report_split(model: keras.Model, console: Console) -> None:
    """Says how many numbers of a model a device holds, where its weights are split.

    Raises:
        ConfigError: if none of them could be split.
    """
    distribution = keras.distribution.distribution()
    if not isinstance(distribution, SplitKernels):
        return
    axes = [distribution.get_variable_layout(variable).axes for variable in model.trainable_variables]
    if not any(MODEL in names for names in axes):
        raise ConfigError(
            "`training.model_devices` must divide the heads and MLPs of the model: nothing could be split. "
            f"Received: training.model_devices={distribution.model_devices}",
            stage="config", reason="bad_value",
        )  # fmt: skip
    sizes = [math.prod(variable.shape) for variable in model.trainable_variables]
    held = sum(
        size // distribution.model_devices if MODEL in names else size
        for size, names in zip(sizes, axes, strict=True)
    )
    console.print(f"Each device holds {held:,} of {sum(sizes):,} weights.")
    if distribution.undivided:
        console.print(
            f"{distribution.model_devices} do not divide: {', '.join(sorted(distribution.undivided))}."
        )
