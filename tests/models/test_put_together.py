"""On torch a functional model of ours is put together of shapes alone: no example runs through it."""

import keras
import pytest

import zorro_keras as zk

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="only for torch does Keras run a model that it cannot trace"
)
STREAMS = {
    "audio": zk.streams.Spectrogram(frames=4, bins=6, patch=(2, 3)),
    "video": zk.streams.Video(frames=2, height_px=4, width_px=6, patch=(1, 2, 3)),
}
SMALL = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}


def vit():
    return zk.models.ZorroViTBackbone(STREAMS, **SMALL, mlp_dim=8, num_fusion_tokens=3)


def swin():
    windows = {"audio": (2, 2), "video": (2, 2, 2)}
    sizes = {"num_layers": (1,), "num_heads": (2,), "hidden_dim": 8, "mlp_ratio": 2, "num_fusion_tokens": 3}
    return zk.models.ZorroSwinBackbone(STREAMS, windows=windows, **sizes)


def hip():
    level = {"num_groups": {"audio": 1, "video": 2, "fusion": 1}, "num_latents": 2, **SMALL}
    return zk.models.ZorroHiPBackbone(STREAMS, levels=[level], embed_dim=5)


def perceiver():
    """It reads keys and answers queries in chunks, and joins and parts two inputs and outputs."""
    inputs = {name: zk.layers.InputAdapter(stream) for name, stream in STREAMS.items()}
    outputs = {
        "label": zk.layers.OutputAdapter(zk.layers.LearnedArray(5, 8), zk.layers.ClassificationHead(3)),
        "tags": zk.layers.OutputAdapter("video", keras.layers.Dense(2)),
    }
    encoder = zk.layers.PerceiverEncoder(num_latents=3, latent_dim=8, num_layers=1, num_heads=2, key_chunk=5)
    return zk.models.PerceiverIOBackbone(inputs, encoder, outputs, zk.layers.PerceiverDecoder(query_chunk=4))


@pytest.mark.parametrize("make", [vit, swin, hip, perceiver])
def test_no_example_runs_through_a_model_that_is_put_together(make, monkeypatch):
    backbone, devices = make(), set()
    answer = backbone.answer

    def watched(inputs, training=None):
        devices.update(x.device.type for name, x in inputs.items() if name in backbone.streams)
        return answer(inputs, training=training)

    monkeypatch.setattr(backbone, "answer", watched)
    inputs = {name: keras.Input(x.shape[1:], dtype=x.dtype, name=name) for name, x in backbone.input.items()}
    keras.Model(inputs, backbone(inputs))
    assert devices == {"meta"}
