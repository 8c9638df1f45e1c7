"""Each kind of model is written in each format: no endpoint is left out, and all answer the same."""

import keras
import pytest

pytest.importorskip("tensorflow")

import zorro_keras as zk
from zorro_keras.applications.audio_visual_classification import AudioVisualClassifier
from zorro_keras.applications.masked_language import MaskedLanguageModel, MaskedLanguagePreprocessor
from zorro_keras.applications.training.export import export_task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="written by TensorFlow; other backends start a process that does the same",
    ),
]
STREAMS = {
    "audio": zk.streams.Spectrogram(frames=4, bins=6, patch=(2, 3)),
    "video": zk.streams.Video(frames=2, height_px=4, width_px=6, patch=(1, 2, 3)),
}
SWIN = {
    **{"num_layers": (1,), "num_heads": (2,), "hidden_dim": 8, "mlp_ratio": 2, "num_fusion_tokens": 3},
    "windows": {"audio": (2, 2), "video": (2, 2, 2)},
}
LEVEL = {
    "num_groups": {"audio": 1, "video": 2, "fusion": 1},
    **{"num_layers": 1, "num_latents": 2, "hidden_dim": 8, "num_heads": 2},
}
LANGUAGE = {
    **{"num_latents": 3, "latent_dim": 8, "num_layers": 1, "num_heads": 2},
    **{"length": 13, "embed_dim": 10, "query_key_dim": 4},
}


def swin():
    return AudioVisualClassifier(zk.models.ZorroSwinBackbone(STREAMS, **SWIN), num_classes=3)


def hip():
    backbone = zk.models.ZorroHiPBackbone(STREAMS, levels=[LEVEL], embed_dim=5)
    return AudioVisualClassifier(backbone, num_classes=3)


def language():
    backbone = zk.models.PerceiverIOBackbone.from_variant("language", **LANGUAGE)
    return MaskedLanguageModel(backbone, MaskedLanguagePreprocessor("bytes", length=LANGUAGE["length"]))


MODELS = {
    # Of seven endpoints that differ in what they are given, one: each takes seconds to write.
    "swin": (swin, {"serve_audio_video"}),
    "hip": (hip, {"serve_audio_video"}),
    "language": (language, {"serve", "encode", "decode", "decode_rows"}),
}
OTHERS = [
    *(("swin", "litert", False), ("hip", "onnx", False)),
    *(("language", "onnx", False), ("language", "litert", True)),
    *(("swin", "onnx", True), ("hip", "onnx", True)),
]


@pytest.fixture(scope="module")
def made():
    """The models, made once."""
    models = {}

    def make(name):
        if name not in models:
            keras.utils.set_random_seed(0)
            models[name] = MODELS[name][0]()
        return models[name]

    return make


@pytest.mark.parametrize(
    ("name", "format", "int8"),
    [
        *(("swin", "onnx", False), ("hip", "litert", False)),
        *(("language", "onnx", True), ("language", "litert", False)),
        *(pytest.param(*others, marks=pytest.mark.long) for others in OTHERS),
    ],
)
def test_a_model_answers_the_same_in(name, format, int8, made, tmp_path, monkeypatch):
    every, asked = AudioVisualClassifier.export_endpoints, MODELS[name][1]
    monkeypatch.setattr(
        AudioVisualClassifier,
        "export_endpoints",
        lambda task: [endpoint for endpoint in every(task) if endpoint.name in asked],
    )
    exported = export_task(made(name), tmp_path / "served", native=True, format=format, int8=int8)
    assert exported["left_out"] == {} and set(exported["endpoints"]) == asked
    for report in exported["parity"]["endpoints"].values():
        (compared,) = report.values()
        if int8:
            assert 1e-4 < compared["max_relative"] < 0.1
        else:
            assert compared["max_relative"] < 1e-5
