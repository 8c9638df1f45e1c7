import itertools

import keras
import numpy as np
import pytest

from zorro_keras.applications.masked_language.fill import fill_in
from zorro_keras.applications.masked_language.masked_language_model import MaskedLanguageModel
from zorro_keras.applications.masked_language.preprocessor import MaskedLanguagePreprocessor
from zorro_keras.applications.pipelines.text_tokens import NUM_SPECIALS, SentencePiece
from zorro_keras.models import PerceiverIOBackbone


def log_shares(model, x):
    logits = keras.Model.predict_on_batch(model, x)["text"].astype("float64")[..., NUM_SPECIALS:]
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_a_single_byte_gets_the_probabilities_of_the_model(model):
    x = model.preprocessor.encode_marked(["ab[MASK]d"])
    shares = np.exp(log_shares(model, x)[0, 2])
    found = fill_in(model, "ab[MASK]d", top=4)
    best = np.sort(shares)[::-1][:4]
    np.testing.assert_allclose([completion.probability for completion in found], best, rtol=1e-4)
    assert found[0].text == bytes([*b"ab", shares.argmax(), *b"d"]).decode("utf-8", "replace")
    assert found[0].spans == (bytes([shares.argmax()]).decode("utf-8", "replace"),)


def test_two_bytes_get_the_best_pairs_of_a_wide_search(model):
    """A beam as wide as the vocabulary misses nothing: the oracle asks for each first byte."""
    first = log_shares(model, model.preprocessor.encode_marked(["a[MASK]b[MASK]"]))[0, 1]
    x = model.preprocessor.encode_marked(["a[MASK]b[MASK]"])
    x = keras.tree.map_structure(lambda value: np.repeat(value, 256, axis=0), x)
    x["text"][:, 1] = np.arange(256) + NUM_SPECIALS
    joint = first[:, None] + log_shares(model, x)[:, 3]
    best = np.sort(joint, axis=None)[::-1][:3]
    found = fill_in(model, "a[MASK]b[MASK]", top=256)
    np.testing.assert_allclose(np.log([completion.probability for completion in found[:3]]), best, rtol=1e-4)
    assert all(len(completion.spans) == 2 for completion in found)


def test_completions_come_best_first(model):
    found = fill_in(model, "Two[MASK*5] bark.", top=5)
    assert len(found) == len({completion.probability for completion in found}) == 5
    assert all(c.text.startswith("Two") and c.text.endswith(" bark.") for c in found)
    for better, worse in itertools.pairwise(found):
        assert better.probability >= worse.probability


def test_only_pieces_of_text_are_filled_in(piece_model):
    tokenizer = SentencePiece(piece_model)
    sizes = {"embed_dim": 8, "num_latents": 3, "latent_dim": 8, "num_layers": 1, "num_heads": 2}
    backbone = PerceiverIOBackbone.from_variant(
        "language", length=20, vocabulary_size=tokenizer.vocabulary_size, query_key_dim=8, **sizes
    )
    model = MaskedLanguageModel(backbone, MaskedLanguagePreprocessor(tokenizer, 20))
    (bias,) = backbone.output_adapters["text"].head.trainable_weights
    favoured = np.where(tokenizer.is_text(), 0.0, 30.0)  # the model would rather say what is no text
    bias.assign(favoured.astype("float32"))
    x = model.preprocessor.encode_marked(["Two[MASK*2] bark."])
    best = keras.Model.predict_on_batch(model, x)["text"].argmax(-1)
    assert not tokenizer.is_text()[best].any()
    for completion in fill_in(model, "Two[MASK*2] bark.", top=3):
        assert "\u2047" not in completion.text and completion.text.startswith("Two")
        assert completion.text.endswith("bark.") and all(span.strip() for span in completion.spans)


def test_a_text_without_a_mark_is_refused(model):
    with pytest.raises(ValueError, match=r"`text` must hold `\[MASK\]`"):
        fill_in(model, "nothing hidden")
    with pytest.raises(ValueError, match="`top` must be positive"):
        fill_in(model, "[MASK]", top=0)
