"""A `.weights.h5` of KerasCV's `VideoSwinBackbone`, by the names of `swin_names`.

Keras names what it saves by class and place, or by layer; it has called the box that holds them `layers` and
`_layer_checkpoint_dependencies`, and put backslashes for slashes. So the boxes are left out here, and of what
has one name but for its number, the first is the first, whichever number it has.
"""

import re

import h5py

from zorro_keras.weights.checkpoint import HDF5
from zorro_keras.weights.error import WeightsError, listed, short

_NUMBERED = re.compile(
    r"(video_?swin_basic_layer|video_?swin_transformer_block|layer_normalization|dense)(?:_(\d+))?"
)
# In this order, on paths such as `video_swin_basic_layer#0/blocks/video_swin_transformer_block#1/attn`.
_NAMES = (
    (r"video_?swin_patching_and_embedding/(conv3d|embed_proj)", "videoswin_patching_and_embedding/proj"),
    (
        r"video_?swin_patching_and_embedding/(layer_normalization#0|embed_norm|norm)",
        "videoswin_patching_and_embedding/norm",
    ),
    (r"video_?swin_patching_and_embedding/", "videoswin_patching_and_embedding/"),
    (r"video_?swin_basic_layer#(\d+)", r"videoswin_basic_layer_#\1"),
    (r"/video_?swin_transformer_block#(\d+)", r"/\1"),
    (r"/video_?swin_window_attention", "/attn"),
    (r"/attn/dense#0", "/attn/qkv"),
    (r"/attn/dense#1", "/attn/proj"),
    (r"/video_?swin_patch_merging", "/downsample"),
    (r"/downsample/dense#0", "/downsample/reduction"),
    (r"/downsample/layer_normalization#0", "/downsample/norm"),
    (r"/mlp/dense#0", "/mlp/fc1"),
    (r"/mlp/dense#1", "/mlp/fc2"),
    (r"/layer_normalization#0", "/norm1"),
    (r"/layer_normalization#1", "/norm2"),
    (r"^layer_normalization#0", "videoswin_top_norm"),
)
_LEAVES = (
    (re.compile(r"norm\d?$"), ("gamma", "beta")),
    (re.compile(r"attn$"), ("relative_position_bias_table",)),
    (re.compile(r""), ("kernel", "bias")),
)


def is_hdf5(path):
    """Whether a path is that of an HDF5 file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(HDF5)) == HDF5


def read_keras_cv_file(path):
    """Returns the arrays of a file by the names of `swin_names`, and the reason for each that is not needed.

    Raises:
        WeightsError: for a file that cannot be read or trusted, or that holds no Video Swin.
    """
    stored = _datasets(path)
    places = {name: _places(name) for name in stored}
    stems = {stem for stem in map(_before_stages, places.values()) if stem is not None}
    if len(stems) != 1:
        raise WeightsError(
            f"{path.name} must hold one `VideoSwinBackbone` of KerasCV. "
            f"Received: {len(stored)} arrays: {listed(stored) or 'none'}"
        )
    (stem,) = stems
    inside = {name: parts[len(stem) :] for name, parts in places.items() if parts[: len(stem)] == stem}
    names = {name: _name(path) for name, path in _ranked(inside).items()}
    needed = {old: new for old, new in names.items() if new is not None}
    if len(set(needed.values())) < len(needed):
        raise WeightsError(f"{path.name} must hold each weight once. Received: {listed(needed)}")
    unused = {name: "no weight of the backbone" for name in stored if name not in needed}
    return {new: stored[old] for old, new in needed.items()}, unused


def _datasets(path):
    """Returns the arrays of a file by path. Nothing outside of the file is followed."""
    found, amount, size = {}, 0, path.stat().st_size
    try:
        with h5py.File(path, "r") as file:
            datasets = []
            file.visititems(lambda name, item: datasets.append((name, item)))
            for name, item in datasets:
                if not isinstance(item, h5py.Dataset):
                    continue
                if item.dtype.kind not in "fiu":
                    raise WeightsError(f"`{short(name)}` must hold numbers. Received: dtype={item.dtype}")
                amount += item.nbytes
                if item.is_virtual or item.external or amount > 2 * size:
                    raise WeightsError(
                        f"`{short(name)}` must lie in the file itself, whose {size} bytes must not hold more "
                        f"numbers. Received: {amount} bytes of them"
                    )
                found[name] = item[()]
    except WeightsError as error:
        raise WeightsError(f"{path.name}: {error}") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error
    return found


def _places(name):
    """Returns the parts of a path without the boxes."""
    return tuple(part for part in re.split(r"[/\\]", name) if part != "layers" and part[:1] != "_")


def _before_stages(parts):
    """Returns what stands before the first stage in a path; `None` where there is none."""
    for place, part in enumerate(parts):
        if re.match(r"video_?swin_basic_layer", part):
            return parts[:place]
    return None


def _ranked(paths):
    """Returns the paths with the number of each part that has one replaced by its rank among its like."""
    likes = {}
    for parts in paths.values():
        for place, part in enumerate(parts):
            if match := _NUMBERED.fullmatch(part):
                likes.setdefault((parts[:place], match[1]), set()).add(int(match[2] or 0))
    ranks = {key: {number: rank for rank, number in enumerate(sorted(found))} for key, found in likes.items()}

    def ranked(parts):
        for place, part in enumerate(parts):
            match = _NUMBERED.fullmatch(part)
            rank = match and ranks[parts[:place], match[1]][int(match[2] or 0)]
            yield part if match is None else f"{match[1]}#{rank}"

    return {name: tuple(ranked(parts)) for name, parts in paths.items()}


def _name(parts):
    """Returns the name of `swin_names` for a ranked path; `None` for what is no weight of the backbone."""
    *layers, box, number = ("", "", *parts)
    place = "/".join(layers).lstrip("/")
    for pattern, name in _NAMES:
        place = re.sub(pattern, name, place)
    if "seed_generator" in place or not re.match(r"videoswin_(patching|basic|top)", place):
        return None
    place = re.sub(r"_#(\d+)", lambda match: f"_{int(match[1]) + 1}", place)
    leaves = next(leaves for end, leaves in _LEAVES if end.search(place))
    leaf = leaves[int(number)] if box == "vars" and number.isdigit() and int(number) < len(leaves) else number
    return f"{place}.{leaf}".replace("/", ".")
