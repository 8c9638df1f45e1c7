"""Perceiver IO: any inputs, through latents, to any outputs."""

import functools
import json

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import layers, streams
from zorro_keras.models import PerceiverIOBackbone


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def sound():
    positions = layers.LearnedArray(7, 5)
    return layers.InputAdapter(streams.Waveform(28, patch=(4,)), positions=positions, position_dim=3)


def image():
    positions = layers.FourierPositions((3, 5), 4, max_resolution=(8, 8))
    return layers.InputAdapter(streams.Image(6, 10, patch=(2, 2)), positions=positions)


def text():
    positions = layers.LearnedArray(11, 6)
    return layers.InputAdapter(streams.Tokens(11, 13), embed_dim=6, positions=positions, join="add")


def encoder(**options):
    options = {"num_layers": 2, "num_heads": 2, **options}
    return layers.PerceiverEncoder(num_latents=5, latent_dim=8, **options)


def label():
    return layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(3))


def pixels():
    queries = layers.FourierPositions((6, 10), 3, max_resolution=(3, 5))
    return layers.OutputAdapter(queries, keras.layers.Dense(3))


def many_to_many(**options):
    """Three inputs of different widths; four outputs, asked in three ways."""
    scores = layers.OutputAdapter(layers.LearnedArray(11, 6), layers.TiedEmbedding("text", 13))
    return PerceiverIOBackbone(
        {"sound": sound(), "image": image(), "text": text()},
        encoder(),
        {"label": label(), "pixels": pixels(), "text": scores, "tags": layers.OutputAdapter("image")},
        layers.PerceiverDecoder(num_heads=2, output_dim=6),
        **{"input_padding": 1, "mask_rates": {"sound": 0.5}, **options},
    )


def examples(batch=2):
    return {
        "sound": normal(batch, 28, seed=1),
        "image": normal(batch, 6, 10, 3, seed=2),
        "text": np.random.default_rng(3).integers(0, 13, (batch, 11)).astype("int32"),
    }


@functools.cache
def model():
    return many_to_many()


@functools.cache
def runner(model):
    return compiled(lambda inputs: model(inputs))


def run(model, inputs):
    """Returns every output of a compiled call."""
    return {name: array(value) for name, value in runner(model)(inputs).items()}


def same(first, second):
    return {name for name in first if name in second and np.array_equal(first[name], second[name])}


# === Any inputs, any outputs ===


def test_many_inputs_give_many_outputs():
    assert {name: value.shape for name, value in run(model(), examples()).items()} == {
        "label": (2, 3),
        "pixels": (2, 60, 3),
        "text": (2, 11, 13),
        "tags": (2, 15, 6),
    }


@pytest.mark.parametrize("left_out", [("image",), ("text", "sound"), ("image", "text")])
def test_any_subset_of_the_inputs_is_answered(left_out):
    inputs = {name: value for name, value in examples().items() if name not in left_out}
    answers = run(model(), inputs)
    asked_by_image = {"tags"} if "image" in left_out else set()
    assert set(answers) == {"label", "pixels", "text", "tags"} - asked_by_image
    assert not same(answers, run(model(), examples()))


def test_an_absent_example_of_an_input_may_hold_anything():
    presence = {"presence": {"image": np.array([True, False])}}
    inputs, poisoned = examples(), examples()
    poisoned["image"][1] = np.nan
    before, after = run(model(), {**inputs, **presence}), run(model(), {**poisoned, **presence})
    assert same(before, after) == {"label", "pixels", "text", "tags"}
    without = run(model(), {name: value for name, value in inputs.items() if name != "image"})
    np.testing.assert_allclose(before["label"][1], without["label"][1], atol=1e-5)
    assert np.abs(before["label"][0] - without["label"][0]).max() > 1e-3


@pytest.mark.slow
def test_an_absent_maskable_input_is_shown_as_its_mask_vectors():
    inputs = examples()
    presence = {"presence": {"sound": np.array([False, True])}}
    partly = run(model(), {**inputs, **presence})["label"]
    never = run(model(), {name: value for name, value in inputs.items() if name != "sound"})["label"]
    np.testing.assert_allclose(partly[0], never[0], atol=1e-5)
    np.testing.assert_allclose(partly[1], run(model(), inputs)["label"][1], atol=1e-5)
    join = model().parts.input_join
    vector = join.mask_vectors["sound"]
    kept = array(vector)
    vector.assign(normal(*kept.shape))
    moved = array(model()({n: v for n, v in inputs.items() if n != "sound"})["label"])
    vector.assign(kept)
    assert np.abs(moved - never).max() > 1e-3


def test_padded_elements_are_never_read():
    mask = np.arange(11)[None] < np.array([[7], [11]])
    inputs, other = examples(), examples()
    other["text"][0, 7:] = 12 - other["text"][0, 7:]
    padding = {"padding_mask": {"text": mask}}
    assert len(same(run(model(), {**inputs, **padding}), run(model(), {**other, **padding}))) == 4
    assert not same(run(model(), inputs), run(model(), other))


def test_elements_are_masked_at_random_in_training_only():
    inputs = examples()
    draws = [array(model()(inputs, training=True)["label"]) for _ in range(2)]
    assert not np.array_equal(*draws)
    calm = [array(model()(inputs)["label"]) for _ in range(2)]
    assert np.array_equal(*calm)


# === Any size ===


@pytest.mark.slow
def test_a_text_may_be_shorter_than_the_table_of_positions():
    only_text = PerceiverIOBackbone(
        {"text": text()}, encoder(), {"label": label()}, layers.PerceiverDecoder()
    )
    ids, mask = examples()["text"], np.arange(11)[None] < np.array([[6], [6]])
    short = array(only_text({"text": ids[:, :6]})["label"])
    padded = array(only_text({"text": ids, "padding_mask": {"text": mask}})["label"])
    np.testing.assert_allclose(short, padded, atol=1e-5)


def test_fourier_positions_follow_an_image_of_another_size():
    adapter = image()
    large = normal(1, 12, 16, 3)
    elements = array(adapter(large))
    assert elements.shape == (1, 48, 12 + 18)
    expected = layers.FourierPositions((6, 8), 4, max_resolution=(8, 8)).table((6, 8))
    np.testing.assert_allclose(elements[0, :, 12:], expected, atol=1e-6)


@pytest.mark.slow
def test_elements_may_lie_where_the_caller_says():
    points = layers.InputAdapter(streams.Embeddings(4, 3), positions=layers.FourierPositions(None, 3, (8, 8)))
    model = PerceiverIOBackbone({"points": points}, encoder(), {"label": label()}, layers.PerceiverDecoder())
    values, places = normal(2, 6, 3), np.tanh(normal(2, 6, 2, seed=1))
    answer = compiled(lambda x: model(x)["label"])
    expected = array(answer({"points": values, "positions": {"points": places}}))
    order = np.array([3, 0, 5, 1, 4, 2])
    mixed = {"points": values[:, order], "positions": {"points": places[:, order]}}
    np.testing.assert_allclose(array(answer(mixed)), expected, atol=1e-5)  # a set has no order
    moved = {"points": values, "positions": {"points": places[:, order]}}
    assert np.abs(array(answer(moved)) - expected).max() > 1e-3


def test_a_learned_table_refuses_more_elements_than_it_has():
    adapter = sound()
    adapter(normal(1, 28))
    with pytest.raises(ValueError, match="has 7 learned codes"):
        adapter(normal(1, 32))
    with pytest.raises(ValueError, match=r"must divide the array. Received: patch=\(4,\), shape=\(1, 30\)"):
        adapter(normal(1, 30))


# === Encode once, decode many ===


def test_rows_of_an_output_are_those_of_the_whole():
    latents = model().encode(examples())
    whole = model().decode(latents, outputs=["text", "pixels"])
    rows = {"text": np.array([7, 0, 7]), "pixels": np.array([59, 11])}
    some = model().decode(latents, outputs=["text", "pixels"], rows=rows)
    for name in rows:
        np.testing.assert_allclose(array(some[name]), array(whole[name])[:, rows[name]], atol=1e-5)


def test_each_example_may_ask_for_rows_of_its_own():
    inputs = examples()
    latents = model().encode(inputs)
    whole = model().decode(latents, inputs=inputs)
    rows = {"text": [[7, 0, 7], [1, 2, 3]], "pixels": [[59, 11], [0, 59]], "tags": [[2, 1, 0], [0, 4, 4]]}
    rows = {name: np.array(places) for name, places in rows.items()}
    some = model().decode(latents, outputs=list(rows), rows=rows, inputs=inputs)
    for name, places in rows.items():
        expected = np.take_along_axis(array(whole[name]), places[..., None], axis=1)
        np.testing.assert_allclose(array(some[name]), expected, atol=1e-5)


def test_an_output_does_not_depend_on_what_else_is_asked():
    inputs = examples()
    latents = model().encode(inputs)
    alone = model().decode(latents, outputs=["label"])["label"]
    np.testing.assert_allclose(array(alone), run(model(), inputs)["label"], atol=1e-5)


def test_one_may_ask_at_positions_of_ones_own():
    latents = model().encode(examples())
    code = model().output_adapters["pixels"].queries.at([[0.0, 0.5], [-1.0, 1 / 3]])
    queries = np.broadcast_to(array(code), (2, *code.shape))
    between = model().decode(latents, outputs=["pixels"], queries={"pixels": queries})["pixels"]
    assert between.shape == (2, 2, 3)
    grid = model().decode(latents, outputs=["pixels"], rows={"pixels": np.array([8])})["pixels"]
    code = array(model().output_adapters["pixels"].queries.at([[-1.0, -1 + 2 * 8 / 9]]))
    on_grid = np.broadcast_to(code, (2, 1, 14))
    asked = model().decode(latents, outputs=["pixels"], queries={"pixels": on_grid})["pixels"]
    np.testing.assert_allclose(array(asked), array(grid), atol=1e-5)


def test_a_masked_query_hears_nothing_of_the_latents():
    first, second = (model().encode({"image": normal(2, 6, 10, 3, seed=seed)}) for seed in range(2))
    mask = {"text": np.arange(11)[None] < np.array([[4], [11]])}
    answers = [array(model().decode(x, outputs=["text"], query_mask=mask)["text"]) for x in (first, second)]
    assert np.array_equal(answers[0][0, 4:], answers[1][0, 4:])
    assert (answers[0][0, :4] != answers[1][0, :4]).any() and (answers[0][1] != answers[1][1]).any()


def test_unknown_outputs_and_missing_inputs_are_refused():
    latents = normal(2, 5, 8)
    with pytest.raises(ValueError, match=r"Received: unknown \['sky'\]"):
        model().decode(latents, outputs=["sky"])
    with pytest.raises(ValueError, match=r"`inputs` must hold \['image'\]"):
        model().decode(latents, outputs=["tags"])
    assert model().decode(latents, outputs=["tags"], inputs=examples())["tags"].shape == (2, 15, 6)
    with pytest.raises(ValueError, match=r"`inputs` may name .* Received: unknown \['smell'\]"):
        model()({"smell": normal(2, 3)})


# === Chunks, repeats and parts ===


@pytest.mark.parametrize("options", [{"key_chunk": 4}, {"key_chunk": 7, "remat": True}])
def test_reading_and_answering_in_chunks_changes_nothing(options):
    def build(encoder_options, query_chunk):
        return PerceiverIOBackbone(
            {"image": image()},
            encoder(**encoder_options),
            {"pixels": pixels()},
            layers.PerceiverDecoder(query_chunk=query_chunk),
        )

    whole, chunked = build({}, None), build(options, 11)
    chunked.set_weights(whole.get_weights())
    x = {"image": examples()["image"]}
    np.testing.assert_allclose(run(chunked, x)["pixels"], run(whole, x)["pixels"], atol=2e-5)


def test_repeats_run_the_same_layers_again():
    once, twice = encoder(num_repeats=1), encoder(num_repeats=2)
    x = normal(2, 9, 4)
    once(x), twice(x)
    assert twice.count_params() == once.count_params()
    twice.set_weights(once.get_weights())
    latents = once(x)
    for block in once.blocks:
        latents = block(latents)
    np.testing.assert_allclose(array(twice(x)), array(latents), atol=1e-5)
    assert np.abs(array(twice(x)) - array(once(x))).max() > 1e-2


def test_a_pretrained_part_goes_on_in_a_new_model():
    old = PerceiverIOBackbone({"image": image()}, encoder(), {"pixels": pixels()}, layers.PerceiverDecoder())
    new = PerceiverIOBackbone(old.input_adapters, old.encoder, {"label": label()}, layers.PerceiverDecoder())
    x = {"image": examples()["image"]}
    np.testing.assert_array_equal(array(new.encode(x)), array(old.encode(x)))
    assert {id(w) for w in old.encoder.weights} <= {id(w) for w in new.weights}


# === Keras ===


def test_the_model_is_rebuilt_from_plain_data():
    config = json.loads(json.dumps(model().get_config()))
    rebuilt = PerceiverIOBackbone.from_config(config)
    assert json.loads(json.dumps(rebuilt.get_config())) == config
    rebuilt.set_weights(model().get_weights())
    assert len(same(run(rebuilt, examples()), run(model(), examples()))) == 4


def test_the_symbolic_outputs_have_the_real_shapes():
    for name, value in run(model(), examples()).items():
        assert tuple(model().output[name].shape[1:]) == value.shape[1:]


def test_a_preset_comes_back_equal(tmp_path):
    model().save_to_preset(str(tmp_path / "preset"))
    loaded = PerceiverIOBackbone.from_preset(str(tmp_path / "preset"))
    assert len(same(run(loaded, examples()), run(model(), examples()))) == 4
