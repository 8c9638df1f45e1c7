"""Masked auto-encoding: what is hidden, that it is not read, and what the loss counts."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import streams as zs
from zorro_keras.layers.groups import draw_places
from zorro_keras.layers.patches import cut_patches, flatten_grid
from zorro_keras.models import HiPBackbone, MaskedAutoencoder, masked_autoencoder
from zorro_keras.models.masked_autoencoder import hidden_elements, num_visible
from zorro_keras.routing import GroupLayout

STREAMS = {"video": zs.Embeddings(14, 3), "audio": zs.Waveform(10, patch=(2,))}  # 14 and 5 elements
LEVELS = [
    {"num_groups": 3, "num_layers": 1, "num_latents": 4, "hidden_dim": 6, "num_heads": 2},
    {"num_groups": 1, "num_layers": 1, "num_latents": 6, "hidden_dim": 10, "num_heads": 2},
]


BACK = [{**LEVELS[0], "hidden_dim": 8}]


def build(streams=STREAMS, decoder_levels=BACK, **options):
    return HiPBackbone(streams, LEVELS, decoder_levels, embed_dim=5, **options)


@functools.cache
def backbone():
    return build()


def clips(batch=2):
    random = np.random.default_rng(0)
    return {n: random.normal(size=(batch, *s.shape)).astype("float32") for n, s in STREAMS.items()}


def test_one_pattern_hides_the_same_places_in_every_group():
    layout = GroupLayout({"video": 8, "audio": 3}, num_groups=3)
    hidden = hidden_elements(np.array([[1, 3], [0, 2]]), layout)
    pictures = {
        name: ["".join("?" if h else "#" for h in row) for row in array(rows)]
        for name, rows in hidden.items()
    }
    assert pictures == {"video": ["?#?#?#?#", "#?#?#?#?"], "audio": ["?#?", "#?#"]}


def test_places_are_drawn_without_repetition_for_each_example():
    places = array(draw_places(64, 7, 3, keras.random.SeedGenerator(0)))
    assert places.shape == (64, 3)
    assert all(len(set(row)) == 3 for row in places.tolist())
    assert set(places.ravel().tolist()) == set(range(7))
    assert len({tuple(sorted(row)) for row in places.tolist()}) > 10


def test_dropped_elements_are_elements_that_nobody_reads():
    visible = np.array([[5, 0], [2, 3]], "int32")
    layout = backbone().parts.layout(STREAMS)
    assert any(layout.padding.values())
    hidden = {name: array(x) for name, x in hidden_elements(visible, layout).items()}

    def latents(given):
        parts = backbone().parts
        masks = {name: ~hidden[name] for name in STREAMS}
        return {
            "dropped": parts.encode(backbone().parse(given), visible=visible)[-1],
            "hidden": parts.encode(backbone().parse({**given, "padding_mask": masks}))[-1],
            "all": parts.encode(backbone().parse(given))[-1],
        }

    results = {name: array(x) for name, x in compiled(latents)(clips()).items()}
    np.testing.assert_allclose(results["dropped"], results["hidden"], atol=1e-5)
    assert np.abs(results["dropped"] - results["all"]).max() > 1e-3


def test_the_loss_counts_what_was_dropped_and_is_real():
    model, given = MaskedAutoencoder(backbone()), clips()
    given["video"][1, 9] = np.nan
    keep = np.ones((2, 14), bool)
    keep[1, 9] = False
    hidden = {"video": np.zeros((2, 14), bool), "audio": np.zeros((2, 5), bool)}
    hidden["video"][:, [4, 9]] = True
    hidden["audio"][0, 3] = True
    outputs = {"video": np.ones((2, 14, 3), "float32"), "audio": np.zeros((2, 5, 2), "float32")}
    missed = model.missed({**given, "padding_mask": {"video": keep}}, outputs, hidden)
    loss = model.mean_missed(missed)
    assert {name: array(count).tolist() for name, (_, count) in missed.items()} == {
        "video": [2.0, 1.0], "audio": [1.0, 0.0],
    }  # fmt: skip
    counted = np.concatenate([given["video"][:, 4], given["video"][:1, 9]])
    video = ((counted - 1) ** 2).mean()
    audio = (given["audio"][0, 6:8] ** 2).mean()
    assert float(array(loss)) == pytest.approx((video + audio) / 2, rel=1e-5)


def test_a_call_reconstructs_from_what_it_drew_and_misses_the_rest(monkeypatch):
    source, given, draws = build(), clips(), []
    random = np.random.default_rng(1)
    for layer in source.parts.unembeddings.values():
        layer.kernel.assign(random.normal(size=layer.kernel.shape))
    visible = np.array([[4], [2]], "int32")  # of 7 places in each of three groups, 15 % of them

    def draw(batch, length, count, seed):
        draws.append((batch, length, count))
        return keras.ops.convert_to_tensor(visible)

    monkeypatch.setattr(masked_autoencoder, "draw_places", draw)
    model = MaskedAutoencoder(source)

    def both(inputs):
        parts, outputs = source.parts, model(inputs)
        levels = parts.encode(source.parse(inputs), visible=visible)
        return outputs, sum(model.losses), len(model.losses), parts.decode(levels, list(STREAMS))

    outputs, loss, num_losses, expected = compiled(both)(given)
    assert draws == [(2, 7, 1)] and int(num_losses) == 1
    hidden = np.arange(7) != visible  # B N
    hidden = {"video": np.tile(hidden, (1, 2)), "audio": hidden[:, :5]}
    targets = {"video": given["video"], "audio": given["audio"].reshape(2, 5, 2)}
    missed = []
    for name, target in targets.items():
        np.testing.assert_allclose(array(outputs[name]), array(expected[name]), atol=1e-5)
        missed.append(((array(expected[name]) - target)[hidden[name]] ** 2).mean())
    assert np.abs(array(outputs["video"])).max() > 0.1
    assert float(array(loss)) == pytest.approx(sum(missed) / 2, rel=1e-4)


def test_training_draws_anew_and_evaluation_hides_the_same():
    model, given = MaskedAutoencoder(backbone(), mask_rate=0.5, seed=3), clips(5)
    hide = compiled(lambda inputs: model.reconstruct(inputs)[1])
    shown = [{name: array(flags) for name, flags in hide(given).items()} for _ in range(2)]
    assert all(np.array_equal(shown[0][name], shown[1][name]) for name in STREAMS)
    assert len({row.tobytes() for row in shown[0]["video"]}) > 1  # of the rows each has its own
    state = array(model.generator.state)
    drawn = [array(model.reconstruct(given, training=True)[1]["video"]) for _ in range(2)]
    assert (drawn[0] != drawn[1]).any() and (array(model.generator.state) != state).any()


def test_elements_become_the_arrays_they_were_cut_of():
    streams = {"clip": zs.Video(4, 6, 10, patch=(2, 3, 5)), **STREAMS}
    model = MaskedAutoencoder(build(streams))
    random = np.random.default_rng(2)
    arrays = {name: random.normal(size=(2, *s.shape)).astype("float32") for name, s in streams.items()}
    elements = {
        name: flatten_grid(cut_patches(keras.ops.convert_to_tensor(x), streams[name].patch))
        for name, x in arrays.items()
    }
    assert elements["clip"].shape == (2, 8, 90)
    for name, x in model.as_arrays(elements).items():
        np.testing.assert_array_equal(array(x), arrays[name])


def test_the_backbone_goes_on_from_a_preset(tmp_path):
    source = build()
    MaskedAutoencoder(source).save_to_preset(str(tmp_path))
    loaded = HiPBackbone.from_preset(str(tmp_path))
    assert loaded.get_config() == source.get_config()
    for ours, theirs in zip(loaded.weights, source.weights, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))


@pytest.mark.parametrize(
    "group_length, mask_rate, count",
    [(100, 0.85, 15), (7, 0.85, 1), (100, 0.25, 75), (7, 0.01, 6), (2, 0.9, 1), (2, 0.1, 1)],
)
def test_at_least_one_place_is_shown_and_one_is_hidden(group_length, mask_rate, count):
    assert num_visible(group_length, mask_rate) == count


def test_groups_of_one_element_are_refused():
    message = "`mask_rate` must .* Received: mask_rate=0.3 with groups of length 1"
    with pytest.raises(ValueError, match=message):
        MaskedAutoencoder(build({"video": zs.Embeddings(3, 2)}), 0.3)
    dealt = build({"video": zs.Embeddings(4, 2), "audio": zs.Embeddings(2, 2)}, groups_by_call=True)
    model = MaskedAutoencoder(dealt, 0.3)  # one group for the audio, but three where it is alone
    with pytest.raises(ValueError, match=message):
        model({"audio": np.zeros((2, 2, 2), "float32")})


@pytest.mark.slow
def test_fit_learns_positions_without_any_target(tmp_path):
    model = MaskedAutoencoder(backbone(), mask_rate=0.6)
    positions = backbone().parts.positions["video"].array
    inputs = {name: np.repeat(x[:1], 8, axis=0) for name, x in clips().items()}
    before = array(positions)
    model.compile(keras.optimizers.Adam(3e-2))
    losses = model.fit(inputs, epochs=40, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert (array(positions) != before).any()
    assert model.evaluate(inputs, batch_size=8, verbose=0) < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(array(loaded.backbone.parts.positions["video"].array), array(positions))


def test_a_fresh_model_is_built_like_its_backbone(tmp_path):
    first, second = (MaskedAutoencoder(build(), mask_rate=0.6) for _ in range(2))
    assert first.count_params() == first.backbone.count_params()
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    for ours, theirs in zip(second.weights, first.weights, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mask_rate": 1.0}, r"`mask_rate` must be in \(0, 1\). Received: mask_rate=1.0"),
        ({"decoder_levels": []}, r"must have `decoder_levels`.* Received: decoder_levels=\[\]"),
        ({"streams": {"text": zs.Tokens(7, 5)}}, "streams of floats.* Received: .*Tokens"),
        ({"labels": {"kind": zs.Embeddings(1, 3)}}, "no labels. Received: .* labels=.*kind"),
    ],
)
def test_what_cannot_be_trained_is_refused(change, message):
    change, rate = dict(change), change.get("mask_rate", 0.85)
    change.pop("mask_rate", None)
    with pytest.raises(ValueError, match=message):
        MaskedAutoencoder(build(**change), rate)
