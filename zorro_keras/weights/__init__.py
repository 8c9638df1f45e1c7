"""Published weights in and out: Hugging Face folders and DeepMind pickles, without their libraries.

| Hugging Face repository: deepmind/ | DeepMind file | model | parameters |
|---|---|---|---|
| language-perceiver | language_perceiver_io_bytes.pickle | language | 201,108,230 |
| vision-perceiver-learned | imagenet_learned_position_encoding.pystate | image_learned | 62,255,848 |
| vision-perceiver-fourier | imagenet_fourier_position_encoding.pystate | image_fourier | 48,440,627 |
| vision-perceiver-conv | imagenet_conv_preprocessing.pystate | image_conv | 48,646,522 |
| optical-flow-perceiver | optical_flow_checkpoint.pystate | optical_flow | 41,057,134 |
| multimodal-perceiver | video_autoencoding_checkpoint.pystate | autoencoder | 19,858,855 |
| any PerceiverForSequenceClassification | | text_classification | |

The first six are also variants of `PerceiverIOBackbone.from_variant`; the first four and text_classification
are what `save_hugging_face` writes, image_learned and image_conv in Hugging Face's semantics alone.
A text_classification is called as a backbone: `zorro-keras convert` has no task for it, because the head of
our `TextClassifier` has a hidden layer and Hugging Face's has none. The names of its classes are kept in
the preset's `conversion.json`.

Every one loads without options. `semantics="deepmind"` gives DeepMind's numbers from Hugging Face's files:
the tanh form of GELU; for image_learned no query residual in the decoder; for image_conv DeepMind's padding
and its kernel, whose rows and columns Hugging Face's converter exchanged.

`load_swin` starts a `SwinBackbone`, or the trunks of a `ZorroSwinBackbone`, from a Swin or Video Swin: the
official `.pth` files, Hugging Face's image models, KerasCV's Video Swin and its files. `convert_swin` builds
one.
`load_vit` starts a `ZorroViTBackbone` from a vision transformer of keras-hub or Hugging Face.
"""

from zorro_keras.weights.checkpoint import Checkpoint, read_checkpoint
from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.export import save_hugging_face
from zorro_keras.weights.load import Conversion, convert, load
from zorro_keras.weights.report import Report, Use
from zorro_keras.weights.settings import Setting
from zorro_keras.weights.swin import convert_swin, load_swin
from zorro_keras.weights.vit import load_vit

__all__ = [
    "Checkpoint",
    "Conversion",
    "Report",
    "Setting",
    "Use",
    "WeightsError",
    "convert",
    "convert_swin",
    "load",
    "load_swin",
    "load_vit",
    "read_checkpoint",
    "save_hugging_face",
]
