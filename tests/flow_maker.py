"""Small trees of flow data, as the public data sets lie on disk."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.image_maker import write
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.flow_float_files import encode_flo, encode_pfm
from zorro_keras.applications.pipelines.flow_kitti_files import encode_kitti

HEIGHT, WIDTH = 19, 23


def picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    return tf.io.encode_png(pixels).numpy()


def ppm(pixels: np.ndarray) -> bytes:
    return b"P6\n# made by a test\n%d %d\n255\n" % pixels.shape[1::-1] + pixels.tobytes()


def mask(true: np.ndarray) -> bytes:
    return png(np.where(true, 255, 0).astype(np.uint8)[..., None])


def flow(seed: int, height: int = HEIGHT, width: int = WIDTH) -> FlowField:
    """Flow in steps of a 64th, so that every format holds it exactly."""
    steps = np.random.default_rng(seed).integers(-300, 300, (height, width, 2))
    return FlowField.dense(steps / 64)


def sparse(field: FlowField, seed: int, share: float = 0.3) -> FlowField:
    valid = np.random.default_rng(seed).random(field.size_px) < share
    return FlowField(np.where(valid[..., None], field.flow, np.float32(0)), valid)


def left_columns(count: int) -> np.ndarray:
    return np.broadcast_to(np.arange(WIDTH) < count, (HEIGHT, WIDTH))


def sintel(root: Path) -> Path:
    training = root / "training"
    for number, scene in enumerate(("alley_1", "bamboo_2")):
        for frame in (1, 2, 3):
            for name in ("clean", "final"):
                write(training / name / scene / f"frame_{frame:04d}.png", png(picture(10 * number + frame)))
        for frame in (1, 2):
            name = f"{scene}/frame_{frame:04d}"
            write(training / "flow" / f"{name}.flo", encode_flo(flow(10 * number + frame)))
            write(training / "occlusions" / f"{name}.png", mask(left_columns(3)))
            write(training / "invalid" / f"{name}.png", mask(left_columns(2)))
    write(root / "test" / "clean" / "cave_3" / "frame_0001.png", png(picture(0)))
    return root


def flying_chairs(root: Path, splits: str | None = "1\n2\n1\n") -> Path:
    data = root / "FlyingChairs_release" / "data"
    for number in (1, 2, 3):
        for frame in (1, 2):
            write(data / f"{number:05d}_img{frame}.ppm", ppm(picture(10 * number + frame)))
        write(data / f"{number:05d}_flow.flo", encode_flo(flow(number)))
    if splits is not None:
        write(root / "FlyingChairs_train_val.txt", splits.encode())
    return root


def flying_things(root: Path) -> Path:
    for split, letter in (("TRAIN", "A"), ("TRAIN", "B"), ("TEST", "A")):
        for frame in (6, 7, 8):
            where = f"{split}/{letter}/0000"
            write(root / f"frames_cleanpass/{where}/left/{frame:04d}.png", png(picture(frame)))
            for direction, name in (("into_future", "IntoFuture"), ("into_past", "IntoPast")):
                file = f"OpticalFlow{name}_{frame:04d}_L.pfm"
                path = root / "optical_flow" / where / direction / "left" / file
                write(path, encode_pfm(flow(frame)))
    return root


def kitti(root: Path, noc: bool = True) -> Path:
    for number in (0, 1, 2, 3):
        for frame in (10, 11):
            write(root / f"training/image_2/{number:06d}_{frame}.png", png(picture(number + frame)))
        whole = sparse(flow(number), number)
        write(root / f"training/flow_occ/{number:06d}_10.png", encode_kitti(whole))
        if noc:
            valid = whole.valid & ~left_columns(5)
            seen = FlowField(np.where(valid[..., None], whole.flow, np.float32(0)), valid)
            write(root / f"training/flow_noc/{number:06d}_10.png", encode_kitti(seen))
    return root


def autoflow(root: Path, between: str = "", parts: tuple[int, ...] = (1, 2, 3, 4)) -> Path:
    for part in parts:
        folder = root / f"static_40k_png_{part}_of_4" / between / f"table_{part}_video_0"
        for frame in (0, 1):
            write(folder / f"im{frame}.png", png(picture(10 * part + frame)))
        write(folder / "forward.flo", encode_flo(flow(part)))
    return root


def triples(root: Path, count: int = 4, size: tuple[int, int] = (HEIGHT, WIDTH), splits=("",)) -> Path:
    for split in splits:
        for number in range(count):
            for frame in (1, 2):
                pixels = picture(2 * number + frame, *size)
                write(root / split / f"walk{number}_{frame}.png", png(pixels))
            write(root / split / f"walk{number}_flow.flo", encode_flo(flow(number, *size)))
    return root
