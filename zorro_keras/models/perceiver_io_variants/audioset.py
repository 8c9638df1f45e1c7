"""The classifiers of AudioSet: sound and picture in, labels out."""

import keras

from zorro_keras import streams
from zorro_keras.layers import ClassificationHead, FourierPositions, InputAdapter, LearnedArray, OutputAdapter
from zorro_keras.models.perceiver_io_variants.shared import COMMON, decoder, encoder

_AUDIOSET = {
    **COMMON,
    "video": streams.Video(32, 224, 224, patch=(2, 8, 8)),
    "video_bands": 16,
    "audio_bands": 64,  # unpublished: our choice; anything up to 177 for a waveform keeps the 487 channels
    "input_padding": 4,
    "num_classes": 527,  # `None` leaves the classes to a task: the output is then the answer itself
    "query_dim": 1024,
    "num_latents": 512,
    "latent_dim": 512,
    "num_layers": 12,
    "num_repeats": 1,
    "num_heads": 8,
    "num_cross_heads": 1,
    "query_residual": True,  # unpublished: as in the classifiers of ImageNet
}
# 1.28 seconds of 48 kHz sound, 480 elements of 128 samples.
RAW = {**_AUDIOSET, "audio": streams.Waveform(61440, patch=(128,))}
# 4,800 elements of one value. How the mel spectrogram is made is unpublished: 60 frames of 80 bins are what
# the specification of the same house, `LogMelSpectrogram.from_specification("48khz_80")`, makes of 1.28 s.
MEL = {**_AUDIOSET, "audio": streams.Spectrogram(60, 80, patch=(1, 1))}
MEL_LARGE = {**MEL, "latent_dim": 1024}


def audioset(sizes, semantics):
    """A classifier of clips: arXiv 2107.14795, appendix on AudioSet. An input of `None` is left out."""
    described = {"audio": (sizes.audio, sizes.audio_bands), "video": (sizes.video, sizes.video_bands)}
    head = keras.layers.Flatten(name="label_answer")
    if sizes.num_classes is not None:
        head = ClassificationHead(sizes.num_classes, name="label_scores")
    return {
        "input_adapters": {
            name: InputAdapter(
                stream,
                positions=FourierPositions(stream.grid, bands, name=f"{name}_positions"),
                name=f"{name}_input",
            )
            for name, (stream, bands) in described.items()
            if stream is not None
        },
        "encoder": encoder(sizes, num_cross_heads=sizes.num_cross_heads),
        "output_adapters": {
            "label": OutputAdapter(LearnedArray(1, sizes.query_dim, name="label_query"), head)
        },
        "decoder": decoder(sizes),
        "input_padding": sizes.input_padding,
    }
