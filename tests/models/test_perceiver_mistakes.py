"""What does not fit together is refused where it is built or called, by name."""

import keras
import numpy as np
import pytest

from zorro_keras import layers, streams
from zorro_keras.models import PerceiverIOBackbone


def text(vocabulary_size=13, embed_dim=6):
    return layers.InputAdapter(streams.Tokens(11, vocabulary_size), embed_dim)


def image():
    return layers.InputAdapter(streams.Image(6, 10, patch=(2, 2)))


def scores(stream="text", vocabulary_size=13, width=6):
    head = layers.TiedEmbedding(stream, vocabulary_size)
    return layers.OutputAdapter(layers.LearnedArray(11, width), head)


def build(outputs, **options):
    return PerceiverIOBackbone(
        {"text": text(), "image": image()},
        layers.PerceiverEncoder(num_latents=3, latent_dim=8, num_layers=1, num_heads=2),
        outputs,
        layers.PerceiverDecoder(),
        **options,
    )


@pytest.fixture(scope="module")
def model():
    tags = layers.OutputAdapter("image", keras.layers.Dense(2))
    return build({"label": layers.OutputAdapter(layers.LearnedArray(1, 5)), "tags": tags})


@pytest.mark.parametrize(
    "outputs, message",
    [
        (
            {"tags": layers.OutputAdapter("imge")},
            r"`output_adapters\['tags'\].queries` may name .* Did you mean 'image' for 'imge'\?",
        ),
        ({"ids": scores("txt")}, r"'ids'\].head.stream` may name .* Did you mean 'text' for 'txt'\?"),
        ({"ids": scores("image")}, "shares the table of an input of ids. Received: input `image`"),
        ({"ids": scores(vocabulary_size=12)}, r"input `text` .* \(12, 6\). Received: \(13, 6\)"),
        ({"ids": scores(width=5)}, r"as wide as the answers, \(13, 5\). Received: \(13, 6\)"),
        ({}, "must name at least one each"),
    ],
)
def test_outputs_that_no_input_can_serve_are_refused(outputs, message):
    with pytest.raises(ValueError, match=message):
        build(outputs)


def test_outputs_that_an_input_serves_are_built():
    assert build({"ids": scores()}).output["ids"].shape == (None, 11, 13)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"mask_rates": {"imge": 0.5}}, r"Received: unknown \['imge'\]"),
        ({"mask_rates": {"image": 1.5}}, r"must lie in \[0, 1\]. Received: .*1.5"),
        ({"input_padding": -1}, "must not be negative"),
    ],
)
def test_masks_and_paddings_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build({"label": layers.OutputAdapter(layers.LearnedArray(1, 5))}, **options)


def test_queries_are_a_layer_or_a_name():
    with pytest.raises(ValueError, match="a layer or the name of an input. Received: 3"):
        layers.OutputAdapter(3)


LATENTS = np.zeros((2, 3, 8), "float32")


@pytest.mark.parametrize("argument", ["rows", "queries", "query_mask"])
def test_unknown_outputs_in_a_question_are_refused(argument, model):
    message = rf"`{argument}` may name \['label', 'tags'\]. Did you mean 'label' for 'lable'\?"
    with pytest.raises(ValueError, match=message):
        model.decode(LATENTS, outputs=["label"], **{argument: {"lable": np.array([0])}})


def test_one_name_is_not_several(model):
    with pytest.raises(ValueError, match=r"`outputs` must be several names, as in \['label'\]"):
        model.decode(LATENTS, outputs="label")


def test_a_query_mask_is_bool(model):
    mask = np.ones((2, 1), "int32")
    with pytest.raises(ValueError, match=r"`query_mask\['label'\]` must be bool.*Received: int32 \(2, 1\)"):
        model.decode(LATENTS, outputs=["label"], query_mask={"label": mask})
    with pytest.raises(ValueError, match=r"Received: bool \(2,\)"):
        model.decode(LATENTS, outputs=["label"], query_mask={"label": mask[:, 0].astype(bool)})
    model.decode(LATENTS, outputs=["label"], query_mask={"label": mask.astype(bool)})


@pytest.mark.parametrize("key", ["presence", "padding_mask", "positions"])
def test_unknown_inputs_in_what_goes_with_them_are_refused(key, model):
    with pytest.raises(ValueError, match=rf"`{key}` may name .* Did you mean 'image' for 'imaeg'\?"):
        model.encode({"text": np.zeros((2, 11), "int32"), key: {"imaeg": np.ones((2,), bool)}})


@pytest.mark.parametrize("name", ["presence", "positions"])
def test_an_input_with_a_name_that_means_something_else_is_refused(name):
    encoder = layers.PerceiverEncoder(num_latents=3, latent_dim=8, num_layers=1, num_heads=2)
    label = {"label": layers.OutputAdapter(layers.LearnedArray(1, 5))}
    with pytest.raises(ValueError, match=rf"`input_adapters` must name none of .* Received: \['{name}'\]"):
        PerceiverIOBackbone({name: image()}, encoder, label, layers.PerceiverDecoder())


@pytest.mark.parametrize("outputs", [("image",), ("image", "image")])
def test_a_call_that_asks_for_nothing_is_refused(outputs):
    asked = build({f"tags_{place}": layers.OutputAdapter(name) for place, name in enumerate(outputs)})
    with pytest.raises(ValueError, match=r"`inputs` must hold one of \['image'\].* Received: \['text'\]"):
        asked({"text": np.zeros((2, 11), "int32")})


def test_a_mask_of_another_length_names_its_stream(model):
    x, mask = np.zeros((2, 6, 10, 3), "float32"), np.ones((2, 14), bool)
    with pytest.raises(ValueError, match=r"of stream `image` must have the shape \(batch, 15\).*\(2, 14\)"):
        model({"image": x, "padding_mask": {"image": mask}})


def test_inputs_of_different_batch_sizes_are_refused(model):
    x = {"text": np.zeros((3, 11), "int32"), "image": np.zeros((2, 6, 10, 3), "float32")}
    with pytest.raises(ValueError, match="equally many examples of each .*'text': 3, 'image': 2"):
        model(x)
