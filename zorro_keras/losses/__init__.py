"""Losses: tensors in, one number for each example or place out."""

from zorro_keras.losses.contrastive import noise_contrastive_losses
from zorro_keras.losses.tied_embedding import tied_embedding_losses

__all__ = ["noise_contrastive_losses", "tied_embedding_losses"]
