"""Keras layers, one idea each; none knows what audio or video is."""

from zorro_keras.layers.attention import Attention
from zorro_keras.layers.learned_array import LearnedArray
from zorro_keras.layers.learned_positions import LearnedPositions
from zorro_keras.layers.log_mel_spectrogram import LogMelSpectrogram
from zorro_keras.layers.mlp import MLP
from zorro_keras.layers.readout import Readout
from zorro_keras.layers.tokenizer import Tokenizer
from zorro_keras.layers.transformer_block import TransformerBlock

__all__ = [
    "MLP",
    "Attention",
    "LearnedArray",
    "LearnedPositions",
    "LogMelSpectrogram",
    "Readout",
    "Tokenizer",
    "TransformerBlock",
]
