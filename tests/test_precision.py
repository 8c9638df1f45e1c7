"""In half precision softmax, norms and losses stay float32, and neither masks nor sums overflow."""

import keras
import numpy as np
import pytest
from keras import tree

from tests.backend import array, compiled
from tests.layers.test_layer_contract import CASES, call, make, symbolic_inputs
from tests.models.test_hip import build as build_hip
from tests.models.test_hip import clips as hip_clips
from tests.models.test_perceiver_training import ids
from tests.models.test_perceiver_training import small as build_perceiver
from tests.models.test_swin import build as build_swin
from tests.models.test_swin import given as swin_pictures
from tests.models.test_unit_encoders import battle, perceiver, transformer
from tests.models.test_zorro_backbones import BACKBONES, clips
from tests.models.test_zorro_backbones import build as build_zorro
from zorro_keras import losses
from zorro_keras.layers import Attention, PointerHead

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="reads the program that JAX writes")
HALF = ("bfloat16", "float16")
# What loses its meaning in eight bits: exponentials and what undoes them, roots of variances, largest logits.
SENSITIVE = {"exp", "exp2", "expm1", "log", "log1p", "rsqrt", "sqrt", "logistic", "reduce_max"}
TEXT = {"text": ids(2), "padding_mask": {"text": np.arange(11)[None] < np.array([[11], [4]])}}
MODELS = {
    **{
        f"zorro_{kind}": (lambda kind=kind, **options: build_zorro(kind, **options), clips)
        for kind in BACKBONES
    },
    "perceiver": (build_perceiver, lambda: TEXT),
    "perceiver_in_chunks": (
        lambda **options: build_perceiver(key_chunk=4, query_chunk=2, **options),
        lambda: TEXT,
    ),
    "units_by_perceiver": (perceiver, battle),
    "units_by_transformer": (transformer, battle),
    "hip": (build_hip, hip_clips),
    "swin": (build_swin, swin_pictures),
}
each_model = pytest.mark.parametrize("name", MODELS)


def equations(jaxpr):
    """Every equation of a program, those of the programs in it too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in tree.flatten(list(equation.params.values())):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def sensitive_in_half(function, *arguments):
    """Names of the sensitive operations of a function that read half precision."""
    import jax

    program = jax.make_jaxpr(function)(*arguments).jaxpr
    return {
        equation.primitive.name
        for equation in equations(program)
        if equation.primitive.name in SENSITIVE
        and any(str(getattr(x.aval, "dtype", "")) in HALF for x in equation.invars)
    }


@on_jax
def test_what_is_sensitive_is_found_in_half_precision():
    """Positive control of the tests below, within a program of a program too."""
    import jax

    x = np.ones((2, 3), "float32")
    half = jax.jit(lambda x: jax.nn.softmax(x.astype("bfloat16")))
    assert sensitive_in_half(half, x) == {"exp", "reduce_max"}
    assert sensitive_in_half(jax.nn.softmax, x) == set()


@on_jax
@pytest.mark.parametrize("name", sorted(set(CASES) - {"LogMelSpectrogram"}))  # a front end is never in half
def test_a_layer_keeps_softmax_and_norms_in_float32(name):
    layer, x = make(name, dtype="mixed_bfloat16")
    call(layer, symbolic_inputs(x))
    assert sensitive_in_half(lambda *x: call(layer, x if isinstance(CASES[name][2], tuple) else x[0]),
                             *(x if isinstance(x, tuple) else (x,))) == set()  # fmt: skip


@on_jax
@each_model
def test_a_model_keeps_softmax_and_norms_in_float32_in_training_too(name):
    """Forward; the gradient of what is float32 is float32, and that of GELU has an exponential of its own."""
    build, given = MODELS[name]
    model = build(dtype="mixed_bfloat16")
    weights, others = (
        [weight.value for weight in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )

    def answer(weights, inputs):
        return model.stateless_call(weights, others, inputs, training=True)[0]

    assert sensitive_in_half(answer, weights, given()) == set()


@on_jax
def test_the_contrastive_loss_of_half_embeddings_is_float32():
    x = np.ones((3, 4), "bfloat16")
    assert sensitive_in_half(losses.noise_contrastive_losses, x, x) == set()
    assert losses.noise_contrastive_losses(x, x).dtype == "float32"


@pytest.mark.slow
@each_model
def test_float16_gives_numbers_whatever_is_masked(name):
    build, given = MODELS[name]
    keras.utils.set_random_seed(0)
    whole = build()
    half = build(dtype="mixed_float16")
    half.set_weights(whole.get_weights())
    inputs = given()
    streams = [key for key in inputs if key not in ("padding_mask", "presence")]
    if len(streams) > 1 and name.startswith("zorro"):
        inputs = {**inputs, "presence": {streams[0]: np.array([True, False])}}
    answers = (tree.flatten(compiled(lambda x, model=model: model(x))(inputs)) for model in (half, whole))
    for halved, full in zip(*answers, strict=True):
        halved, full = array(halved), array(full)
        assert np.isfinite(halved).all()
        np.testing.assert_allclose(halved, full, rtol=0, atol=0.02 * max(np.abs(full).max(), 1.0))


@pytest.mark.parametrize("key_chunk", [None, 9000])
def test_in_float16_a_mean_over_more_keys_than_its_largest_number_is_right(key_chunk):
    attention = Attention(1, 2, key_chunk=key_chunk, dtype="float16")
    query, keys = np.zeros((1, 1, 2), "float16"), np.full((1, 70_000, 2), 3.0, "float16")
    attention.build(query.shape, keys.shape)
    for dense in (attention.value_dense, attention.output_dense):
        dense.kernel.assign(np.eye(2))
    mask = np.ones((1, 1, 70_000), bool)
    mask[..., ::7] = False
    np.testing.assert_allclose(array(attention(query, keys, attention_mask=mask)), 3.0, atol=0.02)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_hidden_score_is_finite_and_has_no_share(dtype):
    head = PointerHead(3, dtype=dtype)
    tokens, query = np.ones((1, 5, 4), "float32"), np.ones((1, 2), "float32")
    scores = head(tokens, query, padding_mask=np.array([[True, True, False, True, False]]))
    assert np.isfinite(array(scores)).all()
    shares = array(keras.ops.softmax(keras.ops.cast(scores, "float32")))
    assert (shares[0, [2, 4]] == 0).all() and shares.sum() == pytest.approx(1.0)
