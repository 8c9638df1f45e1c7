"""Tiny models in Hugging Face's form, as the settings of a task say them: transformers fixes other widths."""

LANGUAGE = {
    "embed_dim": 16, "num_latents": 3, "latent_dim": 16, "num_layers": 1, "num_heads": 8,
    "query_key_dim": 256,
}  # fmt: skip
IMAGE = {"num_latents": 3, "latent_dim": 8, "num_layers": 1, "num_repeats": 1, "num_heads": 8}
LENGTH, SIDE, NAMES = 24, 7, ["ant", "bee", "cow", "dog", "elk"]
