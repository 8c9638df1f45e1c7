"""What a copy of a backbone takes over beside the numbers."""


def check_copyable(backbone):
    """Does nothing if a copy would have all that a backbone has learned.

    Raises:
        ValueError: if some of it is in LoRA weights, which a new model has not.
    """
    adapted = [layer.path for layer in backbone._flatten_layers() if getattr(layer, "lora_enabled", False)]
    if adapted:
        raise ValueError(
            "`backbone` must have its LoRA weights in its kernels: save and load it, which adds them. "
            f"Received: LoRA in {adapted}"
        )


def copy_trainable(old, new):
    """Lets training leave alone of a layer or model what it leaves alone of another.

    Args:
        old, new: layers or models, whose weights go together by where they are in both.
    """
    trains = {place: weight.trainable for place, weight in zip(places(old), old.weights, strict=True)}
    for place, weight in zip(places(new), new.weights, strict=True):
        weight.trainable = weight.trainable and trains.get(place, True)


def places(layer):
    """Returns where in a layer each of its weights is."""
    return [weight.path.rpartition(f"{layer.name}/")[2] for weight in layer.weights]
