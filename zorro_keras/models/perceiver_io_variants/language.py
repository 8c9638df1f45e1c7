"""The masked language model of bytes."""

from zorro_keras import streams
from zorro_keras.layers import InputAdapter, LearnedArray, OutputAdapter, TiedEmbedding
from zorro_keras.models.perceiver_io_variants.shared import COMMON, decoder, encoder

LANGUAGE = {
    **COMMON,
    "length": 2048,
    "vocabulary_size": 262,
    "embed_dim": 768,
    "num_latents": 256,
    "latent_dim": 1280,
    "num_layers": 26,
    "num_repeats": 1,
    "num_heads": 8,
    "query_key_dim": 256,
    "query_residual": False,
}


def language(sizes, semantics):
    """A masked language model of ids: section 4.1 and appendix B."""
    positions = LearnedArray(sizes.length, sizes.embed_dim, name="text_positions")
    queries = LearnedArray(sizes.length, sizes.embed_dim, name="text_queries")
    head = TiedEmbedding("text", sizes.vocabulary_size, name="text_scores")
    return {
        "input_adapters": {
            "text": InputAdapter(
                streams.Tokens(sizes.length, sizes.vocabulary_size),
                sizes.embed_dim,
                positions=positions,
                join="add",
                name="text_input",
            )
        },
        "encoder": encoder(
            sizes,
            num_cross_heads=sizes.num_heads,
            query_key_dim=sizes.query_key_dim,
            value_dim=sizes.latent_dim,
        ),
        "output_adapters": {"text": OutputAdapter(queries, head)},
        "decoder": decoder(
            sizes,
            num_heads=sizes.num_heads,
            query_key_dim=sizes.query_key_dim,
            value_dim=sizes.embed_dim,
        ),
    }
