"""The two encoders of units: the Perceiver, and the transformer that it replaces."""

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras import layers, models, streams

FEATURES = (
    streams.EntityFeature("kind", "categorical", num_values=5),
    streams.EntityFeature("x", "scaled", scale=3.0),
)
SIZES = {"num_units": 13, "features": FEATURES, "embed_dim": 6, "num_latents": 3, "latent_dim": 8,
         "num_layers": 1, "num_heads": 2, "mlp_dim": 11}  # fmt: skip


def perceiver(**sizes):
    return models.PerceiverIOBackbone.from_variant("starcraft_units", **{**SIZES, **sizes})


def transformer(**sizes):
    adapter = layers.InputAdapter(streams.Entities(13, FEATURES), 6, name="unit_input")
    return models.EntityTransformerBackbone(
        {"units": adapter}, **{"num_layers": 2, "num_heads": 3, "mlp_dim": 11, **sizes}
    )


@pytest.fixture(scope="module", params=[perceiver, transformer])
def model(request):
    keras.utils.set_random_seed(1)
    model = request.param()
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:  # biases too: a masked query shows what it answers
        weight.assign(rng.normal(0.0, 0.5, weight.shape))
    return model


def battle(slots=13, real=(7, 5), hidden=0.0):
    rng = np.random.default_rng(2)
    units = np.stack([rng.integers(5, size=(2, 13)), rng.normal(size=(2, 13))], -1).astype("float32")
    mask = np.arange(13) < np.array(real)[:, None]
    units = np.where(mask[..., None], units, hidden).astype("float32")
    return {"units": units[:, :slots], "padding_mask": {"units": mask[:, :slots]}}


def test_masked_slots_reach_no_unit_even_as_nan(model):
    clean, spoilt = (array(model(battle(hidden=value))["units"]) for value in (0.0, np.nan))
    mask = battle()["padding_mask"]["units"]
    np.testing.assert_array_equal(clean[mask], spoilt[mask])
    other = battle()
    other["units"][:, 0, 0] = (other["units"][:, 0, 0] + 1) % 5
    changed = np.abs(array(model(other)["units"]) - clean)
    assert (changed[:, 1:5].max(-1) > 1e-4).all()  # a real unit reaches all others


def test_any_number_of_slots_gives_the_same_answers(model):
    whole, short = (array(model(battle(slots))["units"]) for slots in (13, 7))
    np.testing.assert_allclose(short, whole[:, :7], atol=1e-5)


def test_more_slots_than_the_model_has_are_refused(model):
    with pytest.raises(
        ValueError, match=r"must have the shape \(batch, at most 13, 2\). Received: \(2, 14, 2\)"
    ):
        model({"units": np.zeros((2, 14, 2), "float32")})


def test_the_order_of_units_does_not_matter(model):
    inputs = battle()
    order = np.array([3, 0, 4, 1, 2, *range(5, 13)])
    shuffled = {"units": inputs["units"][1:, order],
                "padding_mask": {"units": inputs["padding_mask"]["units"][1:, order]}}  # fmt: skip
    expected = array(model(inputs)["units"])[1:, order][:, :5]
    np.testing.assert_allclose(array(model(shuffled)["units"])[:, :5], expected, atol=1e-5)


def test_a_battle_without_a_unit_is_finite_and_leaves_the_others_alone(model):
    with_empty, without = battle(real=(7, 0)), battle()
    found = array(model(with_empty)["units"])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], array(model(without)["units"])[0], atol=1e-5)


def test_without_a_mask_every_slot_is_real(model):
    inputs = battle(real=(13, 13))
    np.testing.assert_allclose(
        array(model({"units": inputs["units"]})["units"]), array(model(inputs)["units"]), atol=1e-5
    )


def test_the_config_and_a_preset_bring_the_model_back(model, tmp_path):
    model.save_to_preset(str(tmp_path / "preset"))
    twin = type(model).from_preset(str(tmp_path / "preset"))
    assert twin.get_config() == model.get_config()
    np.testing.assert_array_equal(array(twin(battle())["units"]), array(model(battle())["units"]))


def test_mixed_precision_changes_little(model):
    half = type(model).from_config(
        {**model.get_config(), "dtype": "mixed_bfloat16"}
        if isinstance(model, models.PerceiverIOBackbone)
        else transformer_config(model)
    )
    half.set_weights(model.get_weights())
    found, expected = (array(each(battle())["units"]) for each in (half, model))
    mask = battle()["padding_mask"]["units"]
    assert np.abs(found - expected)[mask].max() < 0.1 * np.abs(expected[mask]).max()


def transformer_config(model):
    config = model.get_config()
    adapter = dict(config["input_adapters"]["units"])
    adapter["config"] = {**adapter["config"], "dtype": "mixed_bfloat16"}
    return {**config, "dtype": "mixed_bfloat16", "input_adapters": {"units": adapter}}


def test_every_layer_is_built(model):
    assert [layer.name for layer in model._flatten_layers() if not layer.built] == []


# === The Perceiver alone ===


def test_a_masked_query_reads_no_latent():
    """It is answered by biases, itself and the MLP: other latents leave it as it is."""
    model = perceiver()
    inputs = battle()
    mask = inputs["padding_mask"]["units"]
    latents = np.random.default_rng(3).normal(size=(2, 2, 3, 8)).astype("float32")
    one, other = (array(model.decode(part, inputs=inputs)["units"]) for part in latents)
    np.testing.assert_array_equal(one[~mask], other[~mask])
    assert (np.abs(one - other)[mask].max(-1) > 1e-5).all()
    rows = {"units": np.array([12, 0])}
    some = array(model.decode(latents[0], inputs=inputs, rows=rows)["units"])
    np.testing.assert_allclose(some, one[:, [12, 0]], atol=1e-5)
    shown = array(model.decode(latents[0], inputs=inputs, query_mask={"units": np.ones_like(mask)})["units"])
    assert np.abs(shown - one)[~mask].max() > 1e-5  # a mask of one's own wins


def test_encode_and_decode_are_the_two_halves_of_a_call():
    model, inputs = perceiver(), battle()
    halves = model.decode(model.encode(inputs), inputs=inputs)["units"]
    np.testing.assert_allclose(array(halves), array(model(inputs)["units"]), atol=1e-5)


def test_the_published_table_has_46_features_of_every_kind():
    names = [feature.name for feature in models.PYSC2_FEATURES]
    assert (len(names), names.index("tag"), names[-1]) == (46, 29, "shield_upgrade_level")
    kinds = {kind: sum(f.kind == kind for f in models.PYSC2_FEATURES) for kind in streams.ENTITY_KINDS}
    assert kinds == {"categorical": 12, "binary": 7, "scaled": 26, "ignored": 1}


# === The transformer alone ===


def test_the_transformer_takes_one_input_and_a_layer_at_least():
    adapter = layers.InputAdapter(streams.Entities(13, FEATURES), 6)
    with pytest.raises(ValueError, match=r"must name one input.*Received: \['a', 'b'\], num_layers=3"):
        models.EntityTransformerBackbone({"a": adapter, "b": adapter})
    with pytest.raises(ValueError, match="`num_layers` be positive"):
        models.EntityTransformerBackbone({"units": adapter}, num_layers=0)
    with pytest.raises(ValueError, match=r"`inputs` may name \['units'\]. Did you mean 'units' for 'unit'"):
        transformer()({"unit": np.zeros((2, 13, 2), "float32")})


def test_names_and_masks_that_cannot_be_are_refused(model):
    adapter = layers.InputAdapter(streams.Embeddings(3, 4))
    with pytest.raises(ValueError, match=r"`input_adapters` must name none of .* Received: \['positions'\]"):
        models.EntityTransformerBackbone({"positions": adapter})
    wrong = battle()["padding_mask"]["units"][:, :12]
    with pytest.raises(ValueError, match=r"of stream `units` must have the shape \(batch, 13\)"):
        model({**battle(), "padding_mask": {"units": wrong}})


def test_no_two_dropouts_of_the_transformer_share_a_seed():
    model = transformer(dropout_rate=0.1)
    seeds = [layer.seed for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
    assert len(seeds) == 4 and len(set(seeds)) == 4
