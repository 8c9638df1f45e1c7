"""Published weights to a preset folder: `zorro-keras convert`."""

from __future__ import annotations

from pathlib import Path

from zorro_keras.applications.pipelines.faults import CheckpointError


def convert(
    source: Path,
    preset_dir: Path,
    *,
    semantics: str | None = None,
    kernel_order: tuple[int, int, int, int] | None = None,
    query_residual: bool | None = None,
    verbose: bool = False,
) -> dict:
    """Writes the model of published weights as a preset, and prints what became of every tensor.

    Args:
        source: path. A Hugging Face repository on disk, or one file of weights.
        preset_dir: path. The preset's folder, which `PerceiverIOBackbone.from_preset` loads.
        semantics: optional str. "deepmind" or "hugging_face"; by default whoever's file it is.
        kernel_order: optional tuple of 4 ints. See `zorro_keras.weights.load`.
        query_residual: optional bool. See `zorro_keras.weights.load`.
        verbose: bool. Prints a line for every tensor.

    Returns:
        Dict of the counts, the model, and the preset's folder.

    Raises:
        CheckpointError: for a file that cannot be read or trusted, and for missing, unknown or misshapen
            tensors, naming them.
    """
    from zorro_keras import weights

    try:
        checkpoint = weights.read_checkpoint(source)
        backbone, report = weights.convert(checkpoint, semantics, kernel_order, query_residual)
    except weights.WeightsError as error:
        raise CheckpointError(
            str(error), path=source, stage="convert", reason="bad_checkpoint",
            advice="Copy or download the weights again, and take them from where they were published.",
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
        "preset": str(preset_dir),
    }
