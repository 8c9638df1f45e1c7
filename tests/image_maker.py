"""Small real pictures for tests, and ImageNet's layouts made of them."""

import io
import tarfile

import numpy as np
from PIL import Image


def pixels(height=23, width=31, seed=0):
    """A smooth random picture: uint8 `(height, width, 3)`."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3)).astype("uint8"))
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))


def encoded(kind, array=None, mode=None, **options):
    """The bytes of a picture file."""
    image = Image.fromarray(pixels() if array is None else array)
    file = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, kind, **options)
    return file.getvalue()


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def class_folders(root, splits=("train", "test"), classes=("ant", "bee", "cow"), count=4, start_seed=0):
    """`root/split/class/k.png` (or `.jpg`), each with a colour of its own."""
    for split_index, split in enumerate(splits):
        for label, name in enumerate(classes):
            for number in range(count):
                seed = start_seed + 1000 * split_index + 100 * label + number
                array = pixels(20 + number, 25 - number, seed)
                data, suffix = (
                    (encoded("PNG", array), "png") if number % 2 else (encoded("JPEG", array), "jpg")
                )
                write(root / split / name / f"{number}.{suffix}", data)
    return root


def tar_bytes(files):
    """A tar of `{name: bytes}`."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()
