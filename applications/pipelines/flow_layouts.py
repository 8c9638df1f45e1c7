"""The layouts of the public flow data sets. Each reader gives `None` for a folder that is not its own.

Where each layout comes from: the pages of MPI Sintel, FlyingChairs and FlyingThings3D (Freiburg), KITTI 2015
and AutoFlow. Only pairs with flow are listed: the test sets whose flow is secret are for `predict`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.flow_entry import FlowEntry

_CHAIRS_SPLITS = ("FlyingChairs_train_val.txt", "chairs_split.txt")
_CHAIRS_NUMBER = "[0-9]" * 5
_THINGS_PASSES = ("frames_cleanpass", "frames_finalpass")
_AUTOFLOW_PARTS = "static_40k_png_[1-4]_of_4"


def sintel(root: Path) -> Iterator[FlowEntry] | None:
    """`training/{clean,final}/<scene>/frame_0001.png`, `training/{flow,occlusions,invalid}/<scene>/...`."""
    training = root / "training" if (root / "training").is_dir() else root
    passes = [name for name in ("clean", "final") if (training / name).is_dir()]
    if not passes or not (training / "flow").is_dir():
        return None
    return (entry for name in passes for entry in _sintel_pass(training, name))


def _sintel_pass(training: Path, name: str) -> Iterator[FlowEntry]:
    for flow in sorted((training / "flow").glob("*/frame_*.flo")):
        scene, number = flow.parent.name, int(flow.stem.removeprefix("frame_"))
        first, second = (training / name / scene / f"frame_{n:04d}.png" for n in (number, number + 1))
        masks = {
            kind: training / folder / scene / first.name
            for kind, folder in (("occlusion", "occlusions"), ("invalid", "invalid"))
            if (training / folder).is_dir()
        }
        yield FlowEntry(
            f"{name}/{scene}/{first.stem}",
            str(first),
            str(second),
            str(flow),
            scene,
            rendering=name,
            **{kind: str(path) for kind, path in masks.items()},
        )


def flying_chairs(root: Path) -> Iterator[FlowEntry] | None:
    """`data/00001_{img1,img2}.ppm, 00001_flow.flo`, and a text of one 1 (train) or 2 (val) a pair."""
    folders = [root / "FlyingChairs_release" / "data", root / "data", root]
    data = next((folder for folder in folders if any(folder.glob(f"{_CHAIRS_NUMBER}_img1.ppm"))), None)
    if data is None:
        return None
    flows = sorted(data.glob(f"{_CHAIRS_NUMBER}_flow.flo"))
    texts = (folder / name for folder in (root, data.parent, data) for name in _CHAIRS_SPLITS)
    splits = _chairs_splits(next(filter(Path.is_file, texts), None), len(flows))
    return (_chairs_entry(flow, split) for flow, split in zip(flows, splits, strict=True))


def _chairs_entry(flow: Path, split: str) -> FlowEntry:
    name = flow.name.removesuffix("_flow.flo")
    first, second = (str(flow.with_name(f"{name}_img{number}.ppm")) for number in (1, 2))
    return FlowEntry(name, first, second, str(flow), name, split)


def _chairs_splits(text: Path | None, count: int) -> list[str]:
    if text is None:
        return [""] * count
    words = text.read_text(encoding="utf-8").split()
    if len(words) != count or not set(words) <= {"1", "2"}:
        raise SourceError(
            f"The split file must hold a 1 (train) or 2 (val) for each of the {count} pairs. "
            f"Received: {len(words)} words, {sorted(set(words))[:5]}",
            path=text, stage="read_source", reason="bad_split",
        )  # fmt: skip
    return ["train" if word == "1" else "val" for word in words]


def flying_things(root: Path) -> Iterator[FlowEntry] | None:
    """`frames_{clean,final}pass/TRAIN/A/0000/left/0006.png`, `optical_flow/.../into_future/left/*.pfm`.

    `into_past` is read as well. Flow that leads to a frame that is not there is left out.
    """
    passes = [name for name in _THINGS_PASSES if (root / name).is_dir()]
    if not passes or not (root / "optical_flow").is_dir():
        return None
    return (entry for name in passes for entry in _things_pass(root, name))


def _things_pass(root: Path, name: str) -> Iterator[FlowEntry]:
    for flow in sorted((root / "optical_flow").glob("*/*/*/into_*/*/*.pfm")):
        split, letter, scene, direction, side, _ = flow.relative_to(root / "optical_flow").parts
        number = re.search(r"_(\d+)_[LR]$", flow.stem)
        if number is None or split not in ("TRAIN", "TEST"):
            continue
        step = 1 if direction == "into_future" else -1
        frames = root / name / split / letter / scene / side
        first, second = (frames / f"{int(number[1]) + shift:04d}.png" for shift in (0, step))
        if not second.is_file() and first.is_file():
            continue
        # Scenes are numbered anew below each letter.
        where = f"{split}/{letter}/{scene}"
        identity = f"{name}/{where}/{direction}/{side}/{number[1]}"
        files = (str(first), str(second), str(flow))
        yield FlowEntry(identity, *files, where, "train" if split == "TRAIN" else "test", rendering=name)


def kitti(root: Path) -> Iterator[FlowEntry] | None:
    """`training/image_2/000000_{10,11}.png` and `training/flow_{occ,noc}/000000_10.png`, sparse.

    Flow comes from `flow_occ`, what is seen in both frames from `flow_noc`; either alone will do.
    """
    training = root / "training" if (root / "training").is_dir() else root
    frames = next((training / name for name in ("image_2", "colored_0") if (training / name).is_dir()), None)
    flows = [training / name for name in ("flow_occ", "flow_noc") if (training / name).is_dir()]
    if frames is None or not flows:
        return None
    return (_kitti_entry(frames, path, flows) for path in sorted(flows[0].glob("*_10.png")))


def _kitti_entry(frames: Path, flow: Path, flows: list[Path]) -> FlowEntry:
    second = flow.name.replace("_10.png", "_11.png")
    matched = str(flows[1] / flow.name) if len(flows) == 2 else None
    files = (str(frames / flow.name), str(frames / second), str(flow))
    return FlowEntry(flow.stem, *files, flow.stem.removesuffix("_10"), matched_flow=matched)


def autoflow(root: Path) -> Iterator[FlowEntry] | None:
    """`static_40k_png_{1..4}_of_4/<seq>/` of two pictures and a `.flo`, perhaps a folder deeper or higher."""
    if re.fullmatch(r"static_40k_png_[1-4]_of_4", root.name):
        return _autoflow_parts(root.parent, [root])
    parts = sorted({*root.glob(_AUTOFLOW_PARTS), *root.glob(f"*/{_AUTOFLOW_PARTS}")})
    return _autoflow_parts(root, parts) if parts else None


def _autoflow_parts(root: Path, parts: list[Path]) -> Iterator[FlowEntry]:
    for part in parts:
        for flow in sorted([*part.glob("*/*.flo"), *part.glob("*/*/*.flo")]):
            frames = sorted(flow.parent.glob("*.png"))
            if len(frames) != 2:
                raise SourceError(
                    f"A sequence of AutoFlow has two pictures. Received: {[path.name for path in frames]}",
                    path=flow.parent, stage="read_source", reason="bad_row",
                )  # fmt: skip
            name = flow.parent.relative_to(root).as_posix()
            yield FlowEntry(name, *map(str, frames), str(flow), name)
