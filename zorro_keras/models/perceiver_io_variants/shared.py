"""What the published models share: the settings that all take, and an encoder and a decoder made of them."""

from zorro_keras.layers import PerceiverDecoder, PerceiverEncoder

# What every variant takes: settings of training and memory, of the encoder's shape, and the seed of dropouts.
COMMON = {
    "activation": None,  # that of the semantics
    "dropout_rate": 0.0,
    "attention_dropout_rate": 0.0,
    "remat": False,
    "key_chunk": None,
    "query_chunk": None,
    "mlp_dim": None,
    "cross_mlp_dim": None,
    "seed": 0,
}


def encoder(sizes, **widths):
    """Returns the encoder of a model's settings, with widths of its own."""
    return PerceiverEncoder(
        sizes.num_latents,
        sizes.latent_dim,
        sizes.num_layers,
        sizes.num_repeats,
        sizes.num_heads,
        mlp_dim=sizes.mlp_dim,
        cross_mlp_dim=sizes.cross_mlp_dim,
        activation=sizes.activation,
        dropout_rate=sizes.dropout_rate,
        attention_dropout_rate=sizes.attention_dropout_rate,
        key_chunk=sizes.key_chunk,
        remat=sizes.remat,
        seed=sizes.seed,
        name="encoder",
        **widths,
    )


def decoder(sizes, **widths):
    """Returns the decoder of a model's settings, with widths of its own."""
    return PerceiverDecoder(
        query_residual=sizes.query_residual,
        activation=sizes.activation,
        dropout_rate=sizes.dropout_rate,
        attention_dropout_rate=sizes.attention_dropout_rate,
        query_chunk=sizes.query_chunk,
        remat=sizes.remat,
        # The encoder takes the seeds below, of its blocks one after the other.
        seed=sizes.seed + PerceiverEncoder.num_seeds(sizes.num_layers),
        name="decoder",
        **widths,
    )
