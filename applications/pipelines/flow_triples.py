"""A plain folder of triples, two pictures and their flow: what people make for themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.flow_entry import FlowEntry
from zorro_keras.applications.pipelines.flow_files import FLOW_SUFFIXES
from zorro_keras.applications.pipelines.image_header import IMAGE_SUFFIXES
from zorro_keras.applications.pipelines.netpbm import PPM_SUFFIXES
from zorro_keras.applications.pipelines.source_rows import SPLITS

_FRAME_SUFFIXES = (*IMAGE_SUFFIXES, *PPM_SUFFIXES)
_FLOW = re.compile(r"(?P<name>.*)_flow")


def triples(root: Path) -> Iterator[FlowEntry] | None:
    """`NAME_1.png NAME_2.png NAME_flow.flo`, in folders of any depth; the first may be train, val or test.

    Pictures may be of any format and end in `_img1` and `_img2`; flow may be `.flo`, `.pfm` or KITTI's
    `.png`. A picture `NAME_occlusion.png` is white where a pixel of the first is not seen in the second.
    """
    flows = sorted(path for path in root.rglob("*_flow.*") if path.suffix.lower() in (*FLOW_SUFFIXES, ".png"))
    return (_entry(root, flow) for flow in flows) if flows else None


def _entry(root: Path, flow: Path) -> FlowEntry:
    name = _FLOW.fullmatch(flow.stem)["name"]
    occlusion = flow.with_name(f"{name}_occlusion.png")
    place = flow.relative_to(root)
    split = place.parts[0] if len(place.parts) > 1 and place.parts[0] in SPLITS else ""
    return FlowEntry(
        (place.parent / name).as_posix(),
        _frame(flow, name, 1),
        _frame(flow, name, 2),
        str(flow),
        # Pictures in one folder may be of one film, but nothing says so: each pair is a scene.
        (place.parent / name).as_posix(),
        split,
        occlusion=str(occlusion) if occlusion.is_file() else None,
    )


def _frame(flow: Path, name: str, number: int) -> str:
    stems = (f"{name}_{number}", f"{name}_img{number}")
    found = [
        path
        for stem in stems
        for suffix in _FRAME_SUFFIXES
        if (path := flow.with_name(stem + suffix)).is_file()
    ]
    if len(found) != 1:
        problem = "is missing" if not found else f"is there {len(found)} times"
        raise SourceError(
            f"The picture {stems[0]}.png {problem}.",
            path=flow, stage="read_source", reason="missing_file" if not found else "duplicate_id",
            advice="Each NAME_flow file needs one NAME_1 and one NAME_2 picture beside it.",
        )  # fmt: skip
    return found[0].as_posix()
