"""The autoencoder of clips: sound, picture and label in, all three out."""

import keras

from zorro_keras import streams
from zorro_keras.layers import ClassificationHead, FourierPositions, InputAdapter, LearnedArray, OutputAdapter
from zorro_keras.layers.initializers import fan_in_kernel
from zorro_keras.models.perceiver_io_variants.shared import COMMON, decoder, encoder

# `num_latents` is the bottleneck: 784, 392 and 196 are the published 88, 176 and 352 times compression.
AUTOENCODER = {
    **COMMON,
    "num_frames": 16,
    "size_px": (224, 224),  # rows and columns
    "num_samples": 30720,
    "num_classes": 700,
    "video_patch": (1, 4, 4),
    "samples_per_patch": 16,
    "num_bands": 32,
    "num_audio_bands": 192,
    "max_resolution": None,  # finest grid of the picture's positions; `None`: the grid of patches
    "max_audio_resolution": None,  # the same for the sound; `None`: the number of samples
    "num_latents": 784,
    "latent_dim": 512,
    "num_layers": 8,
    "num_repeats": 1,
    "num_heads": 8,
    "num_cross_heads": 1,  # of the encoder
    "num_decoder_heads": 1,
    "query_residual": False,
    "label_query_dim": 1024,
    "output_dim": 512,
    "input_padding": 4,
    "query_padding": 2,
    "label_mask_rate": 0.5,
}


def autoencoder(sizes, semantics):
    """An autoencoder of clips with 19.9 M parameters: section 4.4 and the appendix on it."""
    return {
        "input_adapters": _inputs(sizes),
        "encoder": encoder(sizes, num_cross_heads=sizes.num_cross_heads),
        "output_adapters": _outputs(sizes),
        "decoder": decoder(sizes, num_heads=sizes.num_decoder_heads, output_dim=sizes.output_dim),
        "input_padding": sizes.input_padding,
        "query_padding": sizes.query_padding,
        # All have a mask vector, shown where they are absent; in training the label is hidden at random.
        "mask_rates": {"audio": 0.0, "image": 0.0, "label": sizes.label_mask_rate},
    }


def _inputs(sizes):
    clip = streams.Video(sizes.num_frames, *sizes.size_px, patch=tuple(sizes.video_patch))
    sound = streams.Waveform(sizes.num_samples, (sizes.samples_per_patch,))
    sizes.max_resolution = sizes.max_resolution or clip.grid
    sizes.max_audio_resolution = sizes.max_audio_resolution or sizes.num_samples
    return {
        "audio": InputAdapter(sound, positions=_audio(sizes, "audio_positions"), name="audio_input"),
        "image": InputAdapter(clip, positions=_image(sizes, "image_positions"), name="image_input"),
        "label": InputAdapter(streams.Embeddings(1, sizes.num_classes), name="label_input"),
    }


def _outputs(sizes):
    # The published autoencoder asks at points that never reach the end of an axis.
    patches = (sizes.num_samples // sizes.samples_per_patch,)
    samples = _audio(sizes, "audio_queries", grid=patches, endpoint=False)
    pixels = _image(sizes, "image_queries", grid=(sizes.num_frames, *sizes.size_px), endpoint=False)
    label = LearnedArray(1, sizes.label_query_dim, name="label_query")
    return {
        "audio": OutputAdapter(samples, _dense(sizes.samples_per_patch, "audio_samples")),
        "image": OutputAdapter(pixels, _dense(3, "image_pixels")),
        "label": OutputAdapter(label, ClassificationHead(sizes.num_classes, name="label_scores")),
    }


def _audio(sizes, name, grid=None, endpoint=True):
    resolution = (sizes.max_audio_resolution,)
    return FourierPositions(grid, sizes.num_audio_bands, resolution, endpoint=endpoint, name=name)


def _image(sizes, name, grid=None, endpoint=True):
    return FourierPositions(grid, sizes.num_bands, sizes.max_resolution, endpoint=endpoint, name=name)


def _dense(units, name):
    return keras.layers.Dense(units, kernel_initializer=fan_in_kernel(), name=name)
