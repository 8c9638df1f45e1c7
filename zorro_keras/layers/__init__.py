"""Keras layers, one idea each; none knows what audio or video is."""

from zorro_keras.layers.attention import Attention
from zorro_keras.layers.contrastive_heads import ContrastiveHeads
from zorro_keras.layers.conv_stem import ConvStem
from zorro_keras.layers.convex_upsampling import ConvexUpsampling
from zorro_keras.layers.cross_attention_block import CrossAttentionBlock
from zorro_keras.layers.entity_features import EntityFeatures
from zorro_keras.layers.fourier_positions import FourierPositions
from zorro_keras.layers.frame_conv_stem import FrameConvStem
from zorro_keras.layers.fusion_block import FusionBlock
from zorro_keras.layers.hierarchical_block import HierarchicalBlock
from zorro_keras.layers.input_adapter import InputAdapter
from zorro_keras.layers.learned_array import LearnedArray
from zorro_keras.layers.learned_positions import LearnedPositions
from zorro_keras.layers.log_mel_spectrogram import LogMelSpectrogram
from zorro_keras.layers.masked_mean import MaskedMean
from zorro_keras.layers.mlp import MLP
from zorro_keras.layers.modality_join import ModalityJoin
from zorro_keras.layers.neighbourhood_stem import NeighbourhoodStem
from zorro_keras.layers.one_hot import OneHot
from zorro_keras.layers.output_adapter import ClassificationHead, OutputAdapter, TiedEmbedding
from zorro_keras.layers.patch_merging import PatchMerging
from zorro_keras.layers.patch_stem import PatchStem
from zorro_keras.layers.perceiver_decoder import PerceiverDecoder
from zorro_keras.layers.perceiver_encoder import PerceiverEncoder
from zorro_keras.layers.picture_head import PictureHead
from zorro_keras.layers.pixel_stem import PixelStem
from zorro_keras.layers.pointer_head import PointerHead
from zorro_keras.layers.readout import Readout
from zorro_keras.layers.swin_block import SwinBlock
from zorro_keras.layers.token_embedding import TokenEmbedding
from zorro_keras.layers.tokenizer import Tokenizer
from zorro_keras.layers.transformer_block import TransformerBlock
from zorro_keras.layers.window_attention import WindowAttention

__all__ = [
    "FusionBlock",
    "MLP",
    "Attention",
    "ClassificationHead",
    "ContrastiveHeads",
    "ConvStem",
    "ConvexUpsampling",
    "CrossAttentionBlock",
    "EntityFeatures",
    "FourierPositions",
    "FrameConvStem",
    "HierarchicalBlock",
    "InputAdapter",
    "LearnedArray",
    "LearnedPositions",
    "LogMelSpectrogram",
    "MaskedMean",
    "ModalityJoin",
    "NeighbourhoodStem",
    "OneHot",
    "OutputAdapter",
    "PatchMerging",
    "PatchStem",
    "PerceiverDecoder",
    "PerceiverEncoder",
    "PictureHead",
    "PixelStem",
    "PointerHead",
    "Readout",
    "SwinBlock",
    "TiedEmbedding",
    "TokenEmbedding",
    "Tokenizer",
    "TransformerBlock",
    "WindowAttention",
]
