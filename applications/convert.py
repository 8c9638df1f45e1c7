"""Published weights to a preset folder: `zorro-keras convert`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from zorro_keras.applications.pipelines.faults import CheckpointError


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
    source: Path, preset_dir: Path, options: ConvertOptions | None = None, *, verbose: bool = False
) -> dict:
    """Writes the model of published weights as a preset, and prints what became of every tensor.

    Args:
        source: path. A Hugging Face repository on disk, or one file of weights.
        preset_dir: path. The preset's folder, which `PerceiverIOBackbone.from_preset` loads.
        options: optional `ConvertOptions`.
        verbose: bool. Prints a line for every tensor.

    Returns:
        Dict of the counts, the model, every setting used with its value and who said so, and the preset's
        folder.

    Raises:
        CheckpointError: for a file that cannot be read or trusted; for missing, unknown or misshapen tensors,
            naming them; and for options that cannot be or mean nothing to the file.
    """
    from zorro_keras import weights

    try:
        checkpoint = weights.read_checkpoint(source)
        backbone, report = weights.convert(checkpoint, **(options or ConvertOptions()).arguments())
    except weights.WeightsError as error:
        raise CheckpointError(
            str(error), path=source, stage="convert", reason="bad_checkpoint",
            advice="Copy or download the weights again, from where they were published. A model with sizes "
            "of its own needs those that its file does not tell: see `zorro-keras convert --help`.",
        ) from error  # fmt: skip
    if verbose:
        print(report.table())
    print(report.summary())
    backbone.save_to_preset(str(preset_dir))
    return {
        "model": report.model,
        "origin": report.origin,
        "semantics": report.semantics,
        "parameters": backbone.count_params(),
        "tensors_used": len(report.used),
        "tensors_not_needed": len(report.unused),
        "settings": {name: {"value": value, "source": by} for name, (value, by) in report.described()},
        "preset": str(preset_dir),
    }
