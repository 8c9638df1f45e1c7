"""A plain folder of triples, two pictures and their flow: what people make for themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.flow_entry import FlowEntry
from zorro_keras.applications.pipelines.flow_files import FLOW_SUFFIXES
from zorro_keras.applications.pipelines.image_header import IMAGE_SUFFIXES
from zorro_keras.applications.pipelines.netpbm import PPM_SUFFIXES
from zorro_keras.applications.pipelines.split_words import SPLIT_OF_WORD

_FRAME_SUFFIXES = (*IMAGE_SUFFIXES, *PPM_SUFFIXES)
Pictures = Mapping[Path, list[Path]]  # of each path without its suffix


def triples(root: Path) -> Iterator[FlowEntry] | None:
    """`NAME_1.png NAME_2.png NAME_flow.flo`, in folders of any depth; the first may be of a split.

    Such a folder is named as in `SPLIT_OF_WORD`: `train`, `Validation`, `testing`. Pictures may be of any
    format and end in `_img1` and `_img2`; flow may be `.flo`, `.pfm` or KITTI's `.png`. A picture
    `NAME_occlusion.png` is white where a pixel of the first is not seen in the second.
    """
    files = list(root.rglob("*"))
    flows = sorted(
        path
        for path in files
        if path.suffix.lower() in (*FLOW_SUFFIXES, ".png") and path.stem.endswith("_flow")
    )
    pictures = defaultdict(list)
    for path in files:
        if path.suffix.lower() in _FRAME_SUFFIXES:
            pictures[path.with_suffix("")].append(path)
    return (_entry(root, flow, pictures) for flow in flows) if flows else None


def _entry(root: Path, flow: Path, pictures: Pictures) -> FlowEntry:
    name = flow.stem.removesuffix("_flow")
    occlusions = [path for path in _found(flow, f"{name}_occlusion", pictures) if _is_png(path)]
    place = flow.relative_to(root)
    split = SPLIT_OF_WORD.get(place.parts[0].lower(), "") if len(place.parts) > 1 else ""
    return FlowEntry(
        (place.parent / name).as_posix(),
        _frame(flow, name, 1, pictures),
        _frame(flow, name, 2, pictures),
        str(flow),
        # Pictures in one folder may be of one film, but nothing says so: each pair is a scene.
        (place.parent / name).as_posix(),
        split,
        occlusion=str(occlusions[0]) if occlusions else None,
    )


def _frame(flow: Path, name: str, number: int, pictures: Pictures) -> str:
    stems = (f"{name}_{number}", f"{name}_img{number}")
    found = [path for stem in stems for path in _found(flow, stem, pictures)]
    if len(found) != 1:
        problem = "is missing" if not found else f"is there {len(found)} times"
        raise SourceError(
            f"The picture {stems[0]}.png {problem}.",
            path=flow, stage="read_source", reason="missing_file" if not found else "duplicate_id",
            advice="Each NAME_flow file needs one NAME_1 and one NAME_2 picture beside it.",
        )  # fmt: skip
    return found[0].as_posix()


def _found(flow: Path, stem: str, pictures: Pictures) -> list[Path]:
    """The pictures of a name beside a file of flow, whatever the case of their suffixes."""
    return [path for path in pictures.get(flow.with_name(stem), ()) if path.is_file()]


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"
