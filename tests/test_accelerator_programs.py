"""What accelerators ask of a step of training, seen in the program lowered for them; none is needed."""

import functools
import inspect
import re

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("JAX alone lowers a program for devices that are not there", allow_module_level=True)
pytest.importorskip("tensorflow")

import jax
from jax._src.cudnn import fused_attention_stablehlo as cudnn

from zorro_keras.applications.plan.shapes_only import shaped_model
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.task import named_config, task_module
from zorro_keras.layers import Attention, tpu_attention
from zorro_keras.layers import attention as attention_module
from zorro_keras.routing import ReadPlan, Routing, TokenLayout

CLASSIFIER = "audio_visual_classification"
STEPS = {
    "zorro_vit": (CLASSIFIER, "tiny", "model.num_layers=2"),
    "zorro_swin": (CLASSIFIER, "swin_tiny"),
    "zorro_hip": (CLASSIFIER, "hip_tiny"),
    "pretrainer": ("audio_visual_pretraining", "tiny", "model.num_layers=1"),
    "perceiver": ("masked_language", "tiny", "model.num_layers=1"),
    "float16": (CLASSIFIER, "tiny", "model.num_layers=1", "training.mixed_precision=float16"),
}
PLATFORMS = ("cuda", "tpu")
# What XLA itself answers on the device. Anything else, a callback above all, has to show that it does.
ON_DEVICE = {"__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward", "tpu_custom_call"}


@functools.cache
def traced(name):
    """The step that `fit` runs, traced, and how many arrays it changes."""
    task, config, *overrides = STEPS[name]
    config = apply_overrides(named_config(task, config), overrides)
    shapes = task_module(task, "batch_shapes")
    label_names = shapes.label_names("tiny", config) if hasattr(shapes, "label_names") else ()
    shaped = shaped_model(task, config, label_names, batch_size=6)
    shaped.model.make_train_function()
    step = inspect.getclosurevars(shaped.model.train_function).nonlocals["step_function"]
    return step.trace(shaped.state, shaped.data), len(jax.tree.leaves(shaped.state))


def lowered(traced, platform):
    return traced.lower(lowering_platforms=(platform,)).as_text()


def calls_of_the_host(program):
    """What leaves the device in the middle of a program, by name."""
    custom = set(re.findall(r"custom_call @([\w$.]+)", program))
    moves = set(re.findall(r"stablehlo\.(infeed|outfeed|send|recv)\b", program))
    return (custom - ON_DEVICE) | moves


def has_open_shapes(program):
    return re.search(
        r"tensor<(\d+x)*\?|stablehlo\.dynamic_(reshape|broadcast_in_dim|iota|pad|gather)", program
    )


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_stays_on_the_device_knows_its_shapes_and_gives_its_state_back_in_place(name, platform):
    step, num_states = traced(name)
    program = lowered(step, platform)
    assert calls_of_the_host(program) == set()
    assert not has_open_shapes(program)
    assert program.count("tf.aliasing_output") == num_states > 100


def test_what_would_break_these_promises_is_seen():
    def asks(x):
        return jax.pure_callback(np.sin, x, x)

    def prints(x):
        jax.debug.print("{}", x)
        return x

    number = jax.ShapeDtypeStruct((5,), "float32")
    for function in (asks, prints):
        traced_alone = jax.jit(function).trace(number)
        program = lowered(traced_alone, "cpu")
        assert calls_of_the_host(program) and "tf.aliasing_output" not in program
        with pytest.raises(ValueError, match="platform for the specified backend"):
            lowered(traced_alone, "cuda")  # of a device that is not there, nobody can ask this process
    (length,) = jax.export.symbolic_shape("length")
    open_program = jax.export.export(jax.jit(lambda x: x + 1.0))(jax.ShapeDtypeStruct((length,), "float32"))
    assert has_open_shapes(open_program.mlir_module())


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """What asks for a device is answered as an Ampere or later would; nothing is run."""
    monkeypatch.setattr(attention_module, "has_fused_attention", lambda: True)
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91_100)
    monkeypatch.setattr(cudnn, "check_compute_capability", lambda version: version != "10.3")


def attention_calls(program):
    """How often cuDNN's attention is called, forward and backward."""
    calls = re.findall(r"custom_call @__cudnn\$fmhaSoftmax(Backward)?\b", program)
    return calls.count(""), calls.count("Backward")


def gradient_program(length, dtype="mixed_bfloat16", **options):
    """Lowers, for a GPU, the gradient of attention of sound, pictures and fusion along Zorro's routing."""
    layout = TokenLayout({"audio": length, "video": 26, "fusion": 4})
    length_of_all = length + 26 + 4
    layer = Attention(num_heads=2, head_dim=8, dtype=dtype, **options)
    layer.build((6, length_of_all, 22))
    plan = ReadPlan(Routing.zorro(["audio", "video"]), layout, layout)
    weights, seeds = (
        [variable.value for variable in kind]
        for kind in (layer.trainable_variables, layer.non_trainable_variables)
    )

    def loss(weights, x):
        result, _ = layer.stateless_call(weights, seeds, x, plan=plan, training=True)
        return result.astype("float32").sum()

    tokens = jax.ShapeDtypeStruct((6, length_of_all, 22), "float32")
    return lowered(jax.jit(jax.grad(loss)).trace(weights, tokens), "cuda")


def test_every_stream_without_a_mask_reaches_the_flash_kernel_of_a_gpu(as_on_a_gpu, caplog):
    assert attention_calls(gradient_program(length=14)) == (3, 3)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({"dtype": "float32"}, (0, 0)),  # cuDNN takes half precision alone
        ({"dropout_rate": 0.5}, (0, 0)),
        ({"length": 13}, (1, 1)),  # only the pictures are even: JAX refuses the others in training
    ],
)
def test_what_the_flash_kernel_does_not_take_is_read_without_it_and_without_a_word(
    options, calls, as_on_a_gpu, caplog
):
    assert attention_calls(gradient_program(**{"length": 14, **options})) == calls
    assert caplog.records == []


@pytest.mark.parametrize(
    ("name", "config", "per_model"),
    [
        # Two layers, in each of which sound and pictures read themselves; fusion reads what may be absent.
        (CLASSIFIER, "tiny", 4),
        (CLASSIFIER, "hip_tiny", 4),
        ("masked_language", "tiny", 1),  # latents read latents, in a loop that is one program
    ],
)
def test_a_step_in_half_precision_reaches_the_flash_kernel(name, config, per_model, as_on_a_gpu, caplog):
    words = ["training.mixed_precision=true", *(["model.num_layers=2"] if config == "tiny" else [])]
    given = apply_overrides(named_config(name, config), words)
    shapes = task_module(name, "batch_shapes")
    label_names = shapes.label_names("tiny", given) if hasattr(shapes, "label_names") else ()
    shaped = shaped_model(name, given, label_names, batch_size=6)
    step = jax.jit(shaped.model.train_step).trace(shaped.state, shaped.data)
    forward, backward = attention_calls(lowered(step, "cuda"))
    assert forward == backward == per_model
    assert caplog.records == []


@pytest.mark.parametrize(
    ("name", "config", "words", "lengths"),
    [
        # Sound, 320 tokens, is too short for it, and so is fusion.
        (CLASSIFIER, "base", ["model.num_layers=1"], {(1568, 1568)}),
        ("masked_language", "paper", ["model.num_layers=1"], {(256, 2048), (2048, 256)}),
    ],
)
def test_a_step_reaches_the_flash_kernel_of_a_tpu_where_sequences_are_long(
    name, config, words, lengths, monkeypatch
):
    read = []

    def attend_on_tpu(query, key, *rest):
        read.append((query.shape[1], key.shape[1]))
        return tpu_attention.attend_on_tpu(query, key, *rest)

    monkeypatch.setattr(attention_module, "has_fused_attention", lambda: True)
    monkeypatch.setattr(attention_module, "runs_on_tpu", lambda: True)
    monkeypatch.setattr(attention_module, "attend_on_tpu", attend_on_tpu)
    given = apply_overrides(named_config(name, config), words)
    shapes = task_module(name, "batch_shapes")
    label_names = shapes.label_names("tiny", given) if hasattr(shapes, "label_names") else ()
    shaped = shaped_model(name, given, label_names, batch_size=6)
    step = jax.jit(shaped.model.train_step).trace(shaped.state, shaped.data)
    assert set(read) == lengths
    program = lowered(step, "tpu")
    assert set(re.findall(r'kernel_name = "splash_mha_(fwd|dkv|dq)', program)) == {"fwd", "dkv", "dq"}
    assert calls_of_the_host(program) == set()
