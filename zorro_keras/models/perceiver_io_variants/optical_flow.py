"""Optical flow: from two frames to how far each pixel of the first one moves."""

import math

from zorro_keras import streams
from zorro_keras.layers import (
    ConvexUpsampling,
    FourierPositions,
    FrameConvStem,
    InputAdapter,
    NeighbourhoodStem,
    OutputAdapter,
    PictureHead,
)
from zorro_keras.models.perceiver_io_variants.shared import COMMON, decoder, encoder

# The last layer is computed in float32: bfloat16 is off by 0.16 px near 100.
PRECISE = {"float32_output": True}
SCALE = 0.01  # the published decoder answers in hundredths of the unit of its targets

# The released model: appendix on optical flow and its code.
FLOW = {
    **COMMON,
    "size_px": (368, 496),
    "embed_dim": 64,
    "num_bands": 64,
    "max_resolution": None,  # `None`: the grid of elements at that size
    "join_frames": True,
    "neighbourhood_px": 3,
    "num_latents": 2048,
    "latent_dim": 512,
    "num_layers": 24,
    "num_repeats": 1,
    "num_heads": 16,
    "num_cross_heads": 1,
    "query_residual": False,
}
SEPARATE = {**FLOW, "join_frames": False}
PIXELS = {**FLOW, "neighbourhood_px": 1}
CONV = {**{name: value for name, value in FLOW.items() if name != "neighbourhood_px"}, "hidden_dim": 128}
LIGHT = {"num_latents": 1024, "num_layers": 16}


def optical_flow(sizes, semantics):
    """Flow of every pixel, from the square around each in both frames: section 4.2 of the paper."""
    stem = NeighbourhoodStem(sizes.neighbourhood_px, _joined(sizes), sizes.embed_dim, name="stem")
    head = PictureHead(SCALE, **PRECISE, name="flow_picture")
    # The last layer starts at zero: an untrained model sees no motion.
    return _flow(sizes, stem, 1, head, {"output_dim": 2, "output_initializer": "zeros", **PRECISE})


def optical_flow_conv(sizes, semantics):
    """Flow on a grid four times coarser, behind a convolution, upsampled as in RAFT: section 4.2."""
    stem = FrameConvStem(sizes.embed_dim, _joined(sizes), name="stem")
    head = ConvexUpsampling(stem.step, 2, sizes.hidden_dim, SCALE, **PRECISE, name="flow_picture")
    return _flow(sizes, stem, stem.step, head, {"output_dim": sizes.embed_dim})


def _flow(sizes, stem, step, head, output):
    grid = tuple(math.ceil(size / step) for size in sizes.size_px)
    resolution = sizes.max_resolution or (grid if sizes.join_frames else (2, *grid))
    stream = streams.Video(2, *sizes.size_px, patch=(_joined(sizes), step, step))
    positions = FourierPositions(None, sizes.num_bands, resolution, name="frame_positions")
    return {
        "input_adapters": {
            "frames": InputAdapter(stream, stem=stem, positions=positions, name="frame_input")
        },
        "encoder": encoder(sizes, num_cross_heads=sizes.num_cross_heads),
        # The elements of the first frame ask where they go: where frames are joined, all elements.
        "output_adapters": {"flow": OutputAdapter("frames", head, leading=1)},
        "decoder": decoder(sizes, **output),
    }


def _joined(sizes):
    return 2 if sizes.join_frames else 1
