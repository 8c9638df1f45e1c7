"""Files that hold flow, told by content: `.flo`, `.pfm`, or KITTI's PNG."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from zorro_keras.applications.pipelines.faults import ConfigError, MediaError
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.flow_float_files import (
    FLO_MAGIC,
    decode_flo,
    decode_pfm,
    encode_flo,
    encode_pfm,
)
from zorro_keras.applications.pipelines.flow_kitti_files import decode_kitti, encode_kitti
from zorro_keras.applications.pipelines.image_decode import read_bytes

FLOW_SUFFIXES = (".flo", ".pfm")  # and .png, which pictures have, too
_DECODERS: dict[bytes, Callable[[bytes, str | Path], FlowField]] = {
    FLO_MAGIC: decode_flo,
    b"PF": decode_pfm,
    b"Pf": decode_pfm,
    b"\x89PNG": decode_kitti,
}
_ENCODERS: dict[str, Callable[[FlowField], bytes]] = {
    ".flo": encode_flo,
    ".pfm": encode_pfm,
    ".png": encode_kitti,
}


def read_flow(
    path: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    may_be_empty: bool = False,
) -> FlowField:
    """Reads a file of flow.

    Args:
        path: str or path. Its name does not matter, its content does.
        root: optional folder that the real file must lie in.
        may_be_empty: bool. Whether a file of which not one pixel is known is read all the same.

    Raises:
        MediaError: `not_flow` if it is none of the formats; what is wrong with it otherwise; `empty_flow` if
            not one pixel is known, with which nothing can be trained or measured, unless that may be.
    """
    data = read_bytes(path, root=root)
    for magic, decode in _DECODERS.items():
        if data.startswith(magic):
            field = decode(data, path)
            break
    else:
        raise MediaError(
            f"The file is neither .flo, .pfm nor a PNG of flow: it starts with {data[:4]!r}.",
            path=path, stage="decode", reason="not_flow",
        )  # fmt: skip
    if not (may_be_empty or field.valid.any()):
        raise MediaError(
            "Not one pixel of the flow is known.", path=path, stage="decode", reason="empty_flow"
        )
    return field


def write_flow(path: str | os.PathLike[str], field: FlowField) -> None:
    """Writes a file of flow in the format of its suffix, whole or not at all.

    Args:
        path: str or path that ends in `.flo`, `.pfm` or `.png`.
        field: `FlowField`.

    Raises:
        ConfigError: for another suffix.
        ValueError: if a PNG cannot hold the flow.
    """
    path = Path(path)
    encode = _ENCODERS.get(path.suffix.lower())
    if encode is None:
        raise ConfigError(
            f"Flow is written as {', '.join(_ENCODERS)}. Received: {path.name}",
            path=path, stage="write", reason="bad_value",
        )  # fmt: skip
    write_whole(path, encode(field))


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file under another name first: a file that exists is a whole one."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
