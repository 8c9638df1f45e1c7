"""Further streams for a Zorro that was trained without them."""

from zorro_keras.models.copied import check_copyable, copy_trainable
from zorro_keras.models.described_streams import streams_config
from zorro_keras.models.routed_readout import check_routing
from zorro_keras.models.zorro_parts import copy_part, parts_of, settings_of
from zorro_keras.routing import Routing


def extended(backbone, streams, routing=None, freeze=False, **changes):
    """Returns a Zorro with further streams, and all that the given one has learned.

    What the streams that it had say does not change by a bit: none of them reads the new ones, and each has
    the weights that it had. What reads everything, such as fusion, reads the new streams as well. What was
    not trainable stays so.

    Args:
        backbone: `ZorroViTBackbone`, `ZorroSwinBackbone` or `ZorroHiPBackbone`. It is left as it is.
        streams: dict of the new streams' names to their descriptions, see `zorro_keras.streams`.
        routing: `Routing` of old and new streams; by default each new one reads itself, and what is no stream
            of the inputs and reads all old ones reads the new ones, too.
        freeze: bool, whether training leaves everything alone but what belongs to the new streams alone, such
            as their tokenizers, so that it does not move the others either. Their queries in the read-out are
            in one array with those of the others, and stay as they were made. A saved model does not keep
            it: freeze what is loaded again, layer by layer.
        **changes: further arguments of the backbone to change, such as `windows` of a Zorro-Swin. A new
            stream of a Zorro-HiP has as many groups as the first stream, unless `levels` are given.

    Raises:
        ValueError: if a name is taken, an old stream would read something else, what is trained would be of
            another size, or is in LoRA weights.

    Example:

    ```python
    wider = zk.models.extended(backbone, {"caption": zk.streams.Tokens(length=12, vocabulary_size=262)})
    ```
    """
    theirs = parts_of(backbone)
    check_copyable(backbone)
    if taken := sorted({*streams} & {*backbone.routing, "global"}):
        raise ValueError(f"`streams` must have names that are not taken. Received: {taken}")
    old = list(backbone.streams)
    if routing is None:
        routing = _with_readers(backbone.routing, old, list(streams))
    check_routing(routing)
    if any({*routing.get(name, ())} != {*backbone.routing[name]} for name in old):
        raise ValueError(f"`routing` must let {old} read what they have read. Received: {routing}")
    config = {
        **backbone.get_config(),
        "streams": streams_config({**backbone.streams, **streams}),
        "routing": routing.get_config(),
        "trainable": True,  # the new part of it: `copy_trainable` is for the old
        **_levels(backbone, streams),
        **changes,
    }
    wider = type(backbone).from_config(config)
    if settings_of(wider, old) != settings_of(backbone, old):
        raise ValueError(f"`changes` must leave what is trained as it is. Received: {changes}")
    for part, layers in parts_of(wider).items():
        if part in theirs:
            if not copy_part(part, backbone, wider):
                raise ValueError(f"`changes` must leave the {part} as it is. Received: {changes}")
            for old_layer, layer in zip(theirs[part], layers, strict=True):
                copy_trainable(old_layer, layer)
        if freeze and not any(part.endswith(f" {name}") for name in streams):
            for layer in layers:
                layer.trainable = False
    return wider


def _with_readers(routing, old, new):
    """Returns the routing where each new stream reads itself, and what read all streams reads them, too."""
    reads = {name: list(read) for name, read in routing.items()}
    for name, read in reads.items():
        if name not in old and {*old} <= {*read}:
            reads[name] = [*old, *new, *(source for source in read if source not in old)]
    given = {name: reads.pop(name) for name in old}
    return Routing({**given, **{name: [name] for name in new}, **reads}, pure=[*routing.pure, *new])


def _levels(backbone, streams):
    """Returns the levels of a Zorro-HiP with groups for the new streams; of other backbones nothing."""
    found = {}
    for name in ("levels", "decoder_levels"):
        rows = getattr(backbone, name, None)
        if rows:
            first = next(iter(backbone.streams))
            found[name] = [
                {
                    **row,
                    "num_groups": {**row["num_groups"], **dict.fromkeys(streams, row["num_groups"][first])},
                }
                for row in rows
            ]
    return found
