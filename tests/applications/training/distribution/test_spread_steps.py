"""Spread over eight devices, by data or by model, a step is that of one device: loss and gradients."""

import functools

import pytest

from tests.applications.training.distribution.devices import run

pytest.importorskip("jax")

QUICK = ("vit, supervised", "perceiver io")
SLOW = (
    *("swin, supervised", "hip, supervised"),
    *("vit, contrastive", "swin, contrastive", "hip, contrastive"),
)
# Attentions and MLPs of each model by the start of their paths: all are split, those in EXCEPT apart.
ATTENTIONS = {
    "vit, supervised": ["block_0/attention/", "readout/reading/attention/"],
    "swin, supervised": [
        *("audio_stage_0_block_0/attention/projections/", "video_stage_0_block_0/attention/projections/"),
        *("fusion_stage_0_block_0/attention/", "readout/reading/attention/"),
    ],
    "hip, supervised": [
        *("level_0/cross_attention/attention/", "level_0/block_0/attention/", "readout/reading/attention/")
    ],
    "perceiver io": [
        *("perceiver_encoder/cross_attention/attention/", "perceiver_decoder/cross_attention/attention/"),
        *("perceiver_encoder/block_0/attention/", "perceiver_encoder/block_1/attention/"),
    ],
}
MLPS = {
    "vit, supervised": ["block_0/mlp/"],
    "swin, supervised": [f"{stream}_stage_0_block_0/mlp/" for stream in ("audio", "video", "fusion")],
    "hip, supervised": ["level_0/cross_attention/mlp/", "level_0/block_0/mlp/"],
    "perceiver io": [
        *("perceiver_encoder/cross_attention/mlp/", "perceiver_decoder/cross_attention/mlp/"),
        *("perceiver_encoder/block_0/mlp/", "perceiver_encoder/block_1/mlp/"),
    ],
}
# These are as wide as what they read, 5 and 23 channels, which 4 devices do not divide.
EXCEPT = {
    "hip, supervised": ["level_0/cross_attention/attention/"],
    "perceiver io": ["perceiver_encoder/cross_attention/attention/"],
}


@functools.cache
def measured(names):
    """Steps of some models, and with the quick ones how each is split: one process for both."""
    pieces = ["--pieces", *ATTENTIONS] if names == QUICK else []
    return run("spread_steps.py", "--steps", *names, *pieces)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in SLOW)])
def test_eight_devices_take_the_steps_of_one(name):
    found = measured(QUICK if name in QUICK else SLOW)["steps"][name]
    one = found.pop("one")
    assert one["devices"] == 1 and one["step"] > 0.01
    for way, spread in found.items():
        assert spread["devices"] == 8 and spread["replicas"] == {"data": 8, "model": 2}[way]
        assert (spread["split"] > 0) == (way == "model")
        assert spread["losses"] == pytest.approx(one["losses"], rel=1e-6)
        assert spread["difference"] < 1e-5 * one["step"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTENTIONS)
def test_every_attention_and_mlp_is_split_along_its_heads_or_hidden_units(name):
    def axis(path):
        """The axis that must be split, or None."""
        *_, layer, kind = path.split("/")
        inner = next((start for start in [*ATTENTIONS[name], *MLPS[name]] if path.startswith(start)), None)
        if inner is None or inner in EXCEPT.get(name, ()) or (layer, kind) == ("output", "bias"):
            return None
        return 0 if layer == "output" or kind == "bias" else 1

    pieces = measured(QUICK)["pieces"][name]
    for path, (whole, piece) in pieces.items():
        expected = [size // 4 if index == axis(path) else size for index, size in enumerate(whole)]
        assert piece == expected, path
    num_split = sum(whole != piece for whole, piece in pieces.values())
    kept = len(EXCEPT.get(name, ()))
    assert num_split == 7 * (len(ATTENTIONS[name]) - kept) + 3 * len(MLPS[name])
    # No attention or MLP is missing from the lists above.
    starts = {path.rsplit("/", 2)[0] + "/" for path in pieces if path.endswith("/output/kernel")}
    assert starts - {"perceiver_decoder/"} == {*ATTENTIONS[name], *MLPS[name]}
