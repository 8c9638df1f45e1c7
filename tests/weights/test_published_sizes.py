"""The shapes of the published files lead to the named variants, settings included."""

import pytest

from zorro_keras import weights
from zorro_keras.models import perceiver_io_variants as variants
from zorro_keras.weights.build import parts
from zorro_keras.weights.settings import settings_of


@pytest.mark.parametrize(
    "model", ["language", "image_learned", "image_fourier", "image_conv", "optical_flow", "autoencoder"]
)
def test_published_sizes_build_the_named_variant(model):
    """Shapes alone, without numbers: nothing of the size of a model is made."""
    layers, axes = _FULL[model]
    checkpoint = weights.Checkpoint("deepmind", model, {})
    for semantics in ("deepmind", "hugging_face"):
        ours = parts(model, layers, axes, settings_of(checkpoint, axes, semantics)[0])
        expected = variants.parts(model, semantics)
        for part in ("encoder", "decoder"):
            assert _described(ours[part]) == _described(expected[part])
        for part in ("input_adapters", "output_adapters"):
            assert list(ours[part]) == list(expected[part])
            assert [_described(x) for x in ours[part].values()] == [
                _described(x) for x in expected[part].values()
            ]
        joins = [{name: parts.get(name) for name in _JOINS} for parts in (ours, expected)]
        assert joins[0] == joins[1]


_JOINS = ("input_padding", "query_padding", "mask_rates")


def _described(part):
    return {name: value for name, value in part.get_config().items() if name not in ("seed", "dtype")}


_WIDTHS = {
    "num_latents": 512, "latent_dim": 1024, "self_query_key_dim": 1024, "self_value_dim": 1024,
    "self_mlp_dim": 1024, "cross_mlp_dim": 1024, "decoder_query_key_dim": 1024, "decoder_value_dim": 1024,
    "decoder_mlp_dim": 1024, "query_dim": 1024, "num_classes": 1000,
}  # fmt: skip


def _image_axes(context, **more):
    axes = {"context_dim": context, "cross_query_key_dim": context, "cross_value_dim": context}
    return 6, {**_WIDTHS, **axes, **more}


_LANGUAGE = {
    "num_latents": 256, "latent_dim": 1280, "embed_dim": 768, "length": 2048, "vocabulary_size": 262,
    "cross_query_key_dim": 256, "self_query_key_dim": 256, "cross_value_dim": 1280, "self_value_dim": 1280,
    "cross_mlp_dim": 1280, "self_mlp_dim": 1280, "decoder_query_key_dim": 256, "decoder_value_dim": 768,
    "decoder_mlp_dim": 768,
}  # fmt: skip
_AUTOENCODER = {
    "num_latents": 784, "latent_dim": 512, "self_query_key_dim": 512, "self_value_dim": 512,
    "self_mlp_dim": 512, "cross_mlp_dim": 512, "decoder_query_key_dim": 512, "decoder_value_dim": 512,
    "context_dim": 704, "cross_query_key_dim": 704, "cross_value_dim": 704, "decoder_mlp_dim": 1026,
    "query_dim": 1026, "output_dim": 512, "channels": 3, "samples_per_patch": 16, "num_classes": 700,
    "label_query_dim": 1024, "audio_padding": 303, "image_padding": 461, "label_padding": 4,
    "audio_query_padding": 641, "image_query_padding": 831, "label_query_padding": 2,
}  # fmt: skip
_FLOW = {
    **{width: 512 for width in _WIDTHS if width not in ("num_latents", "query_dim", "num_classes")},
    "num_latents": 2048, "context_dim": 322, "cross_query_key_dim": 322, "cross_value_dim": 322,
    "decoder_mlp_dim": 322, "embed_dim": 64, "neighbourhood": 54, "output_dim": 2,
}  # fmt: skip
_FULL = {
    "optical_flow": (24, _FLOW),
    "autoencoder": (8, _AUTOENCODER),
    "language": (26, _LANGUAGE),
    "image_learned": _image_axes(
        512, embed_dim=256, position_dim=256, code_dim=256, num_pixels=50176, channels=3
    ),
    "image_fourier": _image_axes(261),
    "image_conv": _image_axes(322, embed_dim=64, channels=3),
}
