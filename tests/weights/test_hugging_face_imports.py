"""Optical flow and autoencoding against transformers: their weights in three kinds of files."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from tests.weights.files import FlatMapping, haiku_dumps
from tests.weights.golden import nested
from tests.weights.published import IMPORTED, needs_transformers, published
from zorro_keras import weights
from zorro_keras.weights import names
from zorro_keras.weights.forms import to_ours

pytestmark = needs_transformers
TOLERANCE = 1e-4
# What a pickle of Haiku's cannot tell of a tiny model.
SIZES = {
    "optical_flow": {"size_px": (7, 11), "max_resolution": (7, 11)},
    "autoencoder": {"size_px": (12, 12), "max_resolution": (2, 3, 3), "num_frames": 2, "num_samples": 96},
}
HEADS = {"num_heads": 3, "num_repeats": 2}


def write_safetensors(model, folder):
    published(model).save_pretrained(folder)
    return {}


def write_bin(model, folder):
    import torch

    torch.save(published(model).state_dict(), folder / "pytorch_model.bin")
    published(model).config.save_pretrained(folder)
    return {}


def write_haiku(model, folder):
    """The same numbers as DeepMind would have pickled them; for them our order of axes is Haiku's."""
    state = {name: tensor.numpy() for name, tensor in published(model).state_dict().items()}
    tree = {
        row.deepmind: to_ours(row, "hugging_face", row.hugging_face, state[row.hugging_face])
        for row in names.rows(model, 2)
    }
    assert {row.form for row in names.rows(model, 2)} <= {"vector", "matrix", "table"}
    (folder / "weights.pystate").write_bytes(haiku_dumps(FlatMapping(nested(tree))))
    return {"sizes": {**SIZES[model], **HEADS}, "semantics": "hugging_face"}


WRITERS = {"safetensors": write_safetensors, "bin": write_bin, "haiku": write_haiku}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Returns a function from a model and a kind of file to ours with its weights."""

    @functools.cache
    def load(model, kind):
        folder = tmp_path_factory.mktemp(f"{model}_{kind}")
        return weights.load(folder, **WRITERS[kind](model, folder))

    return load


def frames(batch=2):
    return np.random.default_rng(11).uniform(-1, 1, (batch, 2, 7, 11, 3)).astype("float32")


def patches(pair):
    """The 27 values around each pixel of each frame as transformers takes them, `(B, 2, 27, Y, X)`."""
    batch, _, height, width, _ = pair.shape
    filled = np.zeros((batch, 2, height + 2, width + 2, 3), "float32")
    filled[:, :, 1:-1, 1:-1] = pair
    cells = np.zeros((batch, 2, 27, height, width), "float32")
    for place, (row, column, channel) in enumerate(np.ndindex(3, 3, 3)):
        cells[:, :, place] = filled[:, :, row : row + height, column : column + width, channel]
    return cells


@functools.cache
def their_flow():
    import torch

    with torch.no_grad():
        return published("optical_flow")(torch.from_numpy(patches(frames()))).logits.numpy()


@pytest.mark.parametrize("kind", WRITERS)
def test_their_flow_from_the_frames_themselves(kind, loaded):
    model = loaded("optical_flow", kind)
    flow = array(compiled(lambda x: model({"frames": x})["flow"])(frames()))
    # Answers are hundredths: compared on the scale on which they are computed.
    assert flow.shape == their_flow().shape == (2, 7, 11, 2) and np.abs(100 * their_flow()).max() > 0.3
    np.testing.assert_allclose(100 * flow, 100 * their_flow(), atol=TOLERANCE)


def clips(batch=2):
    numbers = np.random.default_rng(13)
    return {
        "image": numbers.uniform(0, 1, (batch, 2, 12, 12, 3)).astype("float32"),
        "audio": numbers.uniform(-1, 1, (batch, 96)).astype("float32"),
    }


def their_inputs(given):
    import torch

    return {
        "image": torch.from_numpy(given["image"].transpose(0, 1, 4, 2, 3).copy()),
        "audio": torch.from_numpy(given["audio"][..., None].copy()),
        "label": torch.zeros((len(given["image"]), 7)),
    }


def their_answers(given, image, audio):
    """What transformers answers for some rows of pixels and of patches of sound, and for the label."""
    import torch

    rows = {"image": torch.from_numpy(image), "audio": torch.from_numpy(audio), "label": None}
    with torch.no_grad():
        logits = published("autoencoder")(their_inputs(given), subsampled_output_points=rows).logits
    logits = {name: tensor.numpy() for name, tensor in logits.items()}
    return {**logits, "audio": logits["audio"].reshape(len(given["audio"]), -1, 16)}


IMAGE_ROWS, AUDIO_ROWS = np.array([5, 287, 0, 40, 144]), np.array([3, 0, 5])


@pytest.mark.parametrize("kind", WRITERS)
def test_their_answers_of_the_autoencoder(kind, loaded):
    model, given = loaded("autoencoder", kind), clips()
    expected = their_answers(given, IMAGE_ROWS, AUDIO_ROWS)

    def answer(given):
        rows = {"image": IMAGE_ROWS, "audio": AUDIO_ROWS}
        return model.decode(model.encode(given), rows=rows)

    found = compiled(answer)(keras.tree.map_structure(keras.ops.convert_to_tensor, given))
    assert set(found) == set(expected) == {"image", "audio", "label"}
    for name, answers in found.items():
        assert np.abs(expected[name]).max() > 0.3
        np.testing.assert_allclose(array(answers), expected[name], atol=TOLERANCE, err_msg=name)


def test_everything_is_decoded_after_one_encoding_where_transformers_crashes(loaded):
    """Theirs takes the grid of queries from the channels: it is asked chunk by chunk, each from the start."""
    import torch

    model, given = loaded("autoencoder", "safetensors"), clips()
    with torch.no_grad(), pytest.raises((RuntimeError, ValueError, TypeError, IndexError)) as crash:
        published("autoencoder")(their_inputs(given))
    assert "shape" in str(crash.value) or "size" in str(crash.value)

    latents = model.encode(given)
    whole = {name: array(answers) for name, answers in model.decode(latents).items()}
    assert [whole[name].shape for name in ("image", "audio")] == [(2, 288, 3), (2, 6, 16)]
    chunks = [
        their_answers(given, *rows)
        for rows in zip(np.split(np.arange(288), 3), np.split(np.arange(6), 3), strict=True)
    ]
    for name in ("image", "audio"):
        expected = np.concatenate([chunk[name] for chunk in chunks], axis=1)
        np.testing.assert_allclose(whole[name], expected, atol=TOLERANCE, err_msg=name)
    for chunk in chunks:
        np.testing.assert_allclose(whole["label"], chunk["label"], atol=TOLERANCE)

    some = model.decode(latents, rows={"image": IMAGE_ROWS, "audio": AUDIO_ROWS})
    for name, rows in (("image", IMAGE_ROWS), ("audio", AUDIO_ROWS)):
        np.testing.assert_allclose(array(some[name]), whole[name][:, rows], atol=5e-6, err_msg=name)


def test_every_published_model_is_compared():
    assert set(IMPORTED) == set(SIZES)
