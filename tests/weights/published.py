"""Tiny models of Hugging Face's transformers with random weights, by the names of ours."""

import functools
import importlib.util

import numpy as np
import pytest

needs_transformers = [
    pytest.mark.torch,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
        reason="torch or transformers is not installed",
    ),
    # Their own warnings are not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

_ENCODER = {
    "num_latents": 5,
    "d_latents": 24,
    "num_blocks": 2,
    "num_self_attends_per_block": 2,
    "num_self_attention_heads": 3,
    "attention_probs_dropout_prob": 0.0,
}
_TEXT = {
    **_ENCODER,
    "num_cross_attention_heads": 2,
    "d_model": 16,
    "vocab_size": 29,
    "max_position_embeddings": 19,
    "qk_channels": 12,
    "v_channels": 24,
}
_IMAGE = {**_ENCODER, "num_cross_attention_heads": 1, "num_labels": 7}
MODELS = {
    "language": ("PerceiverForMaskedLM", _TEXT),
    "text_classification": ("PerceiverForSequenceClassification", {**_TEXT, "num_labels": 7}),
    "image_learned": ("PerceiverForImageClassificationLearned", {**_IMAGE, "image_size": 11, "d_model": 512}),
    "image_fourier": ("PerceiverForImageClassificationFourier", {**_IMAGE, "d_model": 261}),
    "image_conv": ("PerceiverForImageClassificationConvProcessing", {**_IMAGE, "d_model": 322}),
}
# What we import and do not export.
IMPORTED = {
    "optical_flow": (
        "PerceiverForOpticalFlow",
        {**_ENCODER, "num_cross_attention_heads": 1, "d_model": 322, "train_size": [7, 11]},
    ),
    "autoencoder": (
        "PerceiverForMultimodalAutoencoding",
        {
            **_ENCODER,
            "num_cross_attention_heads": 1,
            "num_labels": 7,
            "num_frames": 2,
            "audio_samples_per_frame": 48,
            "samples_per_patch": 16,
            "image_size": 3,  # of patches
            "output_shape": [1, 2, 12, 12],
            "output_num_channels": 20,
            "_label_trainable_num_channels": 9,
        },
    ),
}
SIDES = {"image_learned": (11, 11), "image_fourier": (13, 10), "image_conv": (37, 30)}


@functools.cache
def published(model):
    """Returns a model of transformers with random weights, large enough that nothing hides."""
    import torch
    import transformers

    kind, config = {**MODELS, **IMPORTED}[model]
    theirs = getattr(transformers, kind)(transformers.PerceiverConfig(**config)).eval()
    numbers = np.random.default_rng(7)
    with torch.no_grad():
        for name, tensor in theirs.state_dict().items():
            if not tensor.is_floating_point():
                continue
            values = numbers.normal(size=tuple(tensor.shape)) * (
                0.3 if tensor.ndim < 2 else tensor.shape[-1] ** -0.5
            )
            values = np.abs(values) + 0.5 if name.endswith("running_var") else values
            values = values + 1 if "norm" in name and name.endswith(".weight") else values
            tensor.copy_(torch.from_numpy(values.astype("float32")))
    return theirs


def inputs(model):
    """Returns an input for both: ours as a dict with the name of ours, images with channels last."""
    numbers = np.random.default_rng(11)
    if model in SIDES:
        return {"image": numbers.normal(size=(2, *SIDES[model], 3)).astype("float32")}
    mask = np.arange(19)[None] < np.array([[19], [12]])
    return {"text": numbers.integers(0, 29, (2, 19)).astype("int32"), "padding_mask": {"text": mask}}


def their_logits(theirs, given):
    """Returns a torch tensor: what a model of transformers makes of one of our inputs."""
    import torch

    if "image" in given:
        return theirs(torch.from_numpy(given["image"].transpose(0, 3, 1, 2).copy())).logits
    mask = torch.from_numpy(given["padding_mask"]["text"].astype("int64"))
    return theirs(torch.from_numpy(given["text"].astype("int64")), attention_mask=mask).logits
