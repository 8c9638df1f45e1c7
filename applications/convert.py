"""Published weights to a preset folder: `zorro-keras convert`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zorro_keras.applications.pipelines.faults import CheckpointError, ConfigError
from zorro_keras.applications.training.published_labels import published_labels
from zorro_keras.applications.training.replaced_folder import check_replaceable, replacing_folder
from zorro_keras.applications.training.run_folder import full_disk_named, write_atomically
from zorro_keras.applications.training.task import task_module

if TYPE_CHECKING:
    import keras

    from zorro_keras import weights

# Published model -> the task that asks it. A classifier of texts is written as a backbone: its head is one
# linear layer, where that of text_classification has a hidden one.
_TASKS = {
    "language": "masked_language",
    "autoencoder": "video_autoencoding",
    **dict.fromkeys(("image_learned", "image_fourier", "image_conv"), "image_classification"),
    "optical_flow": "optical_flow",
}
# In the preset's folder it says what became of every tensor; a preset without it, as a trained one, is never
# replaced.
ACCOUNT = "conversion.json"
_WRITTEN = (
    *(ACCOUNT, "metadata.json", "config.json", "task.json", "preprocessor.json"),
    *("model.weights.h5", "model.weights.json", "model_*.weights.h5", "task.weights.h5", "assets"),
    *("report", "faults.jsonl"),  # of `evaluate`
)


@dataclasses.dataclass(frozen=True)
class ConvertOptions:
    """What a file of weights does not tell. By default `config.json` beside it, else the published model."""

    semantics: Literal["deepmind", "hugging_face"] | None = None
    """Whose numbers to give where the two differ. By default whoever's file it is."""
    kernel_order: Literal["3210", "2310"] | None = None
    """Axes of Hugging Face's 7x7 kernel: 3210 restores DeepMind's, 2310 computes what Hugging Face's does."""
    query_residual: bool | None = None
    """Whether the decoder adds the query to what it read. By default what the semantics' code does."""
    num_heads: int | None = None
    """Heads of the self-attention."""
    num_cross_heads: int | None = None
    """Heads of the encoder's cross-attention."""
    num_decoder_heads: int | None = None
    """Heads of the decoder's cross-attention."""
    num_repeats: int | None = None
    """Times that the stack of layers is run."""
    size_px: tuple[int, int] | None = None
    """Rows and columns of a picture."""
    max_resolution: tuple[int, ...] | None = None
    """Finest grid that Fourier positions of pictures tell apart, points along each axis."""
    num_frames: int | None = None
    """Pictures of the autoencoder's clips."""
    num_samples: int | None = None
    """Audio samples of the autoencoder's clips."""

    def arguments(self) -> dict:
        """Returns the options as arguments of `zorro_keras.weights.convert`."""
        sizes = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        chosen = {name: sizes.pop(name, None) for name in ("semantics", "kernel_order", "query_residual")}
        if chosen["kernel_order"] is not None:
            chosen["kernel_order"] = tuple(map(int, chosen["kernel_order"]))
        return {**chosen, "sizes": sizes}


def convert(
    source: Path,
    preset_dir: Path,
    options: ConvertOptions | None = None,
    *,
    labels: Path | None = None,
    verbose: bool = False,
) -> dict[str, Any]:
    """Writes the model of published weights as a preset, and in it what became of every tensor.

    That is `conversion.json`: every tensor used with the weight it became, those not needed with the reason,
    the settings, and the names of the classes, also of a model without a task.

    The language model becomes a preset of `masked_language` that reads bytes; an ImageNet model one of
    `image_classification` with ImageNet's preprocessing; the flow model one of `optical_flow`; the
    autoencoder one of `video_autoencoding` that reads clips at 25 Hz. Any other, such as a classifier of
    texts, is written as a backbone.

    Args:
        source: path. A Hugging Face repository on disk, or one file of weights.
        preset_dir: path. The preset's folder, new, empty or of an earlier conversion, which is replaced once
            the new one is whole. The task's and `PerceiverIOBackbone`'s `from_preset` load it. Its
            `conversion.json` holds what is returned, and what became of every tensor.
        options: optional `ConvertOptions`.
        labels: optional path. The names of the classes, one a line. By default `id2label` of
            `config.json`, else `class_0000` and so on.
        verbose: bool. Prints a line for every tensor, too.

    Returns:
        Dict of the counts, the model, every setting used with its value and who said so, the task or `None`,
        the preset's folder, and the file that accounts for the tensors.

    Raises:
        CheckpointError: for a file that cannot be read or trusted; for missing, unknown or misshapen tensors,
            naming them; and for options that cannot be or mean nothing to the file.
        ConfigError: if the folder holds something else, or the labels are not the model's.
    """
    folder = Path(preset_dir).resolve()
    check_replaceable(
        folder, "The preset needs a new folder, or that of an earlier conversion",
        earlier=(folder / ACCOUNT).is_file(), names=_WRITTEN, stage="convert",
    )  # fmt: skip
    checkpoint, backbone, report = _read(source, options or ConvertOptions())
    names, named = _class_names(backbone, checkpoint, labels)
    model, task, said = _as_task(backbone, checkpoint, names)
    if verbose:
        print(report.table())
    print(report.summary())
    print(f"{said}{named}.")
    result = {
        "model": report.model,
        "origin": report.origin,
        "semantics": report.semantics,
        "parameters": backbone.count_params(),
        "tensors_used": len(report.used),
        "tensors_not_needed": len(report.unused),
        "settings": {name: {"value": value, "source": by} for name, (value, by) in report.described()},
        "task": task,
        "preset": str(preset_dir),
    }
    with replacing_folder(folder) as new:
        with full_disk_named(folder):
            model.save_to_preset(str(new))
        account = {**result, **_account(report, names)}
        write_atomically(new / ACCOUNT, json.dumps(account, indent=2, default=str) + "\n")
    return {**result, "account": str(folder / ACCOUNT)}


def _read(source: Path, options: ConvertOptions) -> tuple[weights.Checkpoint, keras.Model, weights.Report]:
    """The file, the model of its weights, and what became of each."""
    from zorro_keras import weights

    try:
        checkpoint = weights.read_checkpoint(source)
        return checkpoint, *weights.convert(checkpoint, **options.arguments())
    except weights.WeightsError as error:
        raise CheckpointError(
            str(error), path=source, stage="convert", reason="bad_checkpoint",
            advice="Copy or download the weights again, from where they were published. A model with sizes "
            "of its own needs those that its file does not tell: see `zorro-keras convert --help`.",
        ) from error  # fmt: skip


def _account(report: weights.Report, names: Sequence[str]) -> dict[str, Any]:
    """What became of every tensor, and the names of the classes."""
    return {
        "used": [use._asdict() for use in report.used],
        "not_needed": dict(sorted(report.unused.items())),
        "label_names": list(names),
    }


def _class_names(
    backbone: keras.Model, checkpoint: weights.Checkpoint, labels: Path | None
) -> tuple[Sequence[str], str]:
    """The names of the classes and the end of a sentence on who named them; empty where there are none."""
    if "label" in backbone.output_adapters:
        num_classes = backbone.output_adapters["label"].head.num_classes
        names, source = published_labels(num_classes, checkpoint.config, labels)
        return names, f", its {num_classes} classes named by {source}"
    if labels is not None:
        raise ConfigError(
            f"`--labels` means nothing to {checkpoint.model}.", stage="convert", reason="bad_value"
        )
    return (), ""


def _as_task(
    backbone: keras.Model, checkpoint: weights.Checkpoint, names: Sequence[str]
) -> tuple[keras.Model, str | None, str]:
    """What is written, the name of its task, and a sentence on it; the backbone, `None` where none fits."""
    task = _TASKS.get(checkpoint.model)
    model, reads = None, f"there is none for {checkpoint.model} with one linear layer"
    if task is not None:
        model, reads = task_module(task, "published").published_task(backbone, names)
    if model is None:
        return backbone, None, f"Written as a backbone without a task: {reads}"
    return model, task, f"Written as {task}: {reads}"
