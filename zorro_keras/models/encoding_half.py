"""The half of an autoencoder that goes on without the way back."""

from zorro_keras.models.copied import check_copyable, copy_trainable


def encoding_half(backbone):
    """Returns a copy of a backbone without decoder levels; its other layers have the same weights."""
    check_copyable(backbone)
    half = type(backbone).from_config({**backbone.get_config(), "decoder_levels": []})
    for layer in half.layers:
        if layer.weights:
            layer.set_weights(backbone.get_layer(layer.name).get_weights())
    copy_trainable(backbone, half)
    return half
