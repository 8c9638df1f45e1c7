"""Published weights as a language model that can be asked: what `zorro-keras convert` writes."""

from __future__ import annotations

from collections.abc import Sequence

from zorro_keras.applications.masked_language.masked_language_model import MaskedLanguageModel
from zorro_keras.applications.masked_language.preprocessor import MaskedLanguagePreprocessor
from zorro_keras.applications.pipelines.text_tokens import Bytes
from zorro_keras.models import PerceiverIOBackbone


def published_task(
    backbone: PerceiverIOBackbone, label_names: Sequence[str] = ()
) -> tuple[MaskedLanguageModel | None, str]:
    """Returns the model that reads bytes, as long as its rows of positions, and what it reads in words.

    Args:
        backbone: of published weights, its input and output `text`.
        label_names: empty: a language model has no classes.

    Returns:
        The model, not compiled; `None`, and the reason in words, for another vocabulary than that of bytes.

    Raises:
        ValueError: if there are label names.
    """
    if label_names:
        raise ValueError(f"A language model has no classes. Received: {list(label_names)[:5]}")
    stream, tokens = backbone.streams["text"], Bytes()
    if stream.vocabulary_size != tokens.vocabulary_size:
        return None, f"the tokenizer of its {stream.vocabulary_size} ids is not in the weights"
    preprocessor = MaskedLanguagePreprocessor(tokens, stream.length)
    model = MaskedLanguageModel(backbone, preprocessor, compile=False)
    return model, f"texts of at most {stream.length} bytes"
