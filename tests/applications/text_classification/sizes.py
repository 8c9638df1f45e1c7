"""The sizes of a text model that a test can afford."""

SIZES = {
    "embed_dim": 6,
    "num_latents": 3,
    "latent_dim": 10,
    "num_layers": 1,
    "num_heads": 2,
    "query_key_dim": 4,
}
