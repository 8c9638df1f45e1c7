"""Published weights in and out: Hugging Face folders and DeepMind pickles, without their libraries."""

from zorro_keras.weights.checkpoint import Checkpoint, read_checkpoint
from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.export import save_hugging_face
from zorro_keras.weights.load import Conversion, convert, load
from zorro_keras.weights.report import Report, Use

__all__ = [
    "Checkpoint",
    "Conversion",
    "Report",
    "Use",
    "WeightsError",
    "convert",
    "load",
    "read_checkpoint",
    "save_hugging_face",
]
