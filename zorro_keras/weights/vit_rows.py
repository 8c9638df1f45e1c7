"""What each weight of a vision transformer is called here, at Hugging Face and in keras-hub."""

from typing import NamedTuple


class VitRow(NamedTuple):
    """One weight: its three names, its form (see `forms`), and its axes in our order."""

    ours: str
    hugging_face: str
    keras_hub: str
    form: str
    axes: tuple


# By place: ours in a `TransformerBlock`, Hugging Face's, keras-hub's; then the axes of the kernel.
_NORMS = (
    ("attention_norm", "layernorm_before", "layer_norm_1"),
    ("mlp_norm", "layernorm_after", "layer_norm_2"),
)
_LINEARS = (
    ("attention.query_dense", "attention.attention.query", "mha.query_dense", "hidden_dim", "hidden_dim"),
    ("attention.key_dense", "attention.attention.key", "mha.key_dense", "hidden_dim", "hidden_dim"),
    ("attention.value_dense", "attention.attention.value", "mha.value_dense", "hidden_dim", "hidden_dim"),
    ("attention.output_dense", "attention.output.dense", "mha.output_dense", "hidden_dim", "hidden_dim"),
    ("mlp.hidden_dense", "intermediate.dense", "mlp.dense_1", "hidden_dim", "mlp_dim"),
    ("mlp.output_dense", "output.dense", "mlp.dense_2", "mlp_dim", "hidden_dim"),
)

CLASS_TOKEN = {"hugging_face": "embeddings.cls_token", "keras_hub": "embeddings.class_token"}
# Hugging Face's tensors that have no counterpart here, by the beginning of their names without prefix.
UNUSED = {
    CLASS_TOKEN["hugging_face"]: "the class token: learned streams and the read-out stand for it",
    "embeddings.mask_token": "the mask token: it stood for hidden patches in pretraining",
    "pooler.": "the pooler: the read-out stands for it",
    "classifier.": "the head of another task",
}


def trunk(num_layers, prefix=""):
    """Returns the rows of the blocks and of the norm after them; ours lie in a `RoutedTransformer`.

    Args:
        num_layers: int, blocks.
        prefix: str, of Hugging Face's names: "vit." where the file has a head too.
    """
    rows = []
    for layer in range(num_layers):
        places = f"blocks.{layer}", f"{prefix}encoder.layer.{layer}", f"encoder.encoder_layers.{layer}"
        for norm in _NORMS:
            rows += _norm(*map(_placed, places, norm))
        for *names, inputs, outputs in _LINEARS:
            rows += _linear(*map(_placed, places, names), inputs, outputs)
    return (*rows, *_norm("norm", f"{prefix}layernorm", "encoder.layer_norm"))


def tokenizer(prefix=""):
    """Returns the rows of the patches' kernel, its bias and the positions; ours lie in a `Tokenizer`."""
    patches, positions = f"{prefix}embeddings.patch_embeddings.projection", f"{prefix}embeddings"
    hub = "embeddings.patch_embedding"
    return (
        VitRow("embedding.kernel", f"{patches}.weight", f"{hub}.kernel", "kernel",
               ("patch_rows", "patch_columns", "channels", "hidden_dim")),
        VitRow("embedding.bias", f"{patches}.bias", f"{hub}.bias", "vector", ("hidden_dim",)),
        VitRow("positions.positions", f"{positions}.position_embeddings",
               "embeddings.position_embedding.embeddings", "positions", ("num_positions", "hidden_dim")),
    )  # fmt: skip


def _placed(place, name):
    return f"{place}.{name}"


def _norm(ours, hugging_face, hub):
    return (
        VitRow(f"{ours}.gamma", f"{hugging_face}.weight", f"{hub}.gamma", "vector", ("hidden_dim",)),
        VitRow(f"{ours}.beta", f"{hugging_face}.bias", f"{hub}.beta", "vector", ("hidden_dim",)),
    )


def _linear(ours, hugging_face, hub, inputs, outputs):
    return (
        VitRow(f"{ours}.kernel", f"{hugging_face}.weight", f"{hub}.kernel", "matrix", (inputs, outputs)),
        VitRow(f"{ours}.bias", f"{hugging_face}.bias", f"{hub}.bias", "vector", (outputs,)),
    )
