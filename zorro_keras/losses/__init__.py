"""Losses of embeddings: tensors in, one number for each example out."""

from zorro_keras.losses.contrastive import noise_contrastive_losses

__all__ = ["noise_contrastive_losses"]
