"""Whatever a damaged file holds, reading it ends with arrays or with a `WeightsError`."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from tests.weights.files import tensors
from tests.weights.test_files import FORMATS, header, written
from zorro_keras.weights import Checkpoint, WeightsError, read_checkpoint
from zorro_keras.weights.haiku_pickle import read_haiku_pickle
from zorro_keras.weights.safetensors_file import read_safetensors
from zorro_keras.weights.settings import settings_of
from zorro_keras.weights.torch_zip import read_torch_zip

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(2**70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_a_damaged_file_is_a_weights_error_or_reads_as_another(name, data):
    read, whole = FORMATS[name][0], written(name)
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        damaged = bytearray(whole)
        # Most of a file is numbers: headers and names are where damage hurts.
        near = st.one_of(st.integers(0, 400), st.integers(1, len(whole)).map(lambda back: len(whole) - back))
        for place in data.draw(st.lists(near, min_size=1, max_size=4)):
            damaged[place % len(whole)] ^= 1 << data.draw(st.integers(0, 7))
    try:
        arrays = read(bytes(damaged))
    except WeightsError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= 2 * len(whole)


@pytest.mark.parametrize("name", FORMATS)
def test_an_undamaged_file_is_read(name):
    """The positive control of the fuzzing."""
    assert FORMATS[name][0](written(name)).keys() == tensors(FORMATS[name][2]).keys()


@pytest.mark.parametrize(
    ("read", "prefix"),
    [(read_safetensors, b""), (read_haiku_pickle, b"\x80\x04"), (read_torch_zip, b"PK\3\4")],
)
@given(junk=st.binary(max_size=300))
def test_junk_is_a_weights_error(read, prefix, junk):
    with pytest.raises(WeightsError):
        read(prefix + junk)


@given(
    entry=st.fixed_dictionaries(
        {},
        optional={
            "dtype": st.sampled_from(["F32", "BF16", "BOOL"]) | anything,
            "shape": st.lists(st.integers(-1, 3), max_size=9) | anything,
            "data_offsets": st.lists(st.integers(-1, 13), min_size=2, max_size=2) | anything,
        },
    )
    | anything
)
def test_any_header_is_a_weights_error_or_arrays_of_the_file(entry):
    try:
        arrays = read_safetensors(header({"a": entry}, 12))
    except WeightsError:
        return
    assert arrays["a"].size in (3, 6, 12)


places = st.dictionaries(
    st.text(max_size=5), st.sampled_from(["a.safetensors", "b.bin"]) | anything, max_size=3
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(content=st.fixed_dictionaries({"weight_map": places | anything}) | anything)
def test_any_index_is_a_weights_error(content, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(save(tensors()))
    for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        index = Path(tmp_path / name)
        index.write_text(json.dumps(content))
        with pytest.raises(WeightsError, match=name):
            read_checkpoint(index)


KEYS = (
    "num_blocks", "num_self_attention_heads", "num_cross_attention_heads", "hidden_act", "use_query_residual",
    "attention_probs_dropout_prob",
    "train_size", "num_frames", "image_size", "output_shape", "audio_samples_per_frame",
)  # fmt: skip


@given(
    config=st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, anything | st.lists(st.integers(1, 9)))),
    model=st.sampled_from(["language", "image_learned", "optical_flow", "autoencoder"]),
)
def test_any_config_is_a_weights_error_or_settings(config, model):
    checkpoint = Checkpoint("hugging_face", model, {}, json.loads(json.dumps(config)))
    try:
        found, reported = settings_of(checkpoint, {"num_pixels": 49}, "hugging_face")
    except WeightsError as error:
        assert "must" in str(error) and len(str(error)) < 600
        return
    assert (
        type(found.num_repeats) is int and len(found.size_px) == 2 and isinstance(found.query_residual, bool)
    )
    assert {setting.source for setting in reported.values()} <= {
        "published",
        "semantics",
        "shapes",
        "config.json",
    }
