"""The files of a film are those of its frames, and of no other film's."""

import numpy as np

from tests.applications.optical_flow.sizes import NoMotion
from tests.image_maker import write
from zorro_keras.applications.optical_flow.answers import write_video
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4


def film(folder, num_frames):
    path = folder / "clip.mp4"
    encode_mp4(str(path), np.zeros((num_frames, 16, 20, 3), "uint8"), 10, None, None)
    write_video(NoMotion(), path, folder / "out")
    return sorted(path.relative_to(folder / "out").as_posix() for path in (folder / "out").glob("*/*"))


def test_a_shorter_film_leaves_no_frame_of_the_one_before(tmp_path):
    assert len(film(tmp_path, 5)) == 2 * 4
    own = [f"out/{name}" for name in ("flow/000007.flo", "flow/mine.flo", "colours/mine.png")]
    for name in own:
        write(tmp_path / name, b"mine")
    frames = ["colours/000000.png", "colours/000001.png", "flow/000000.flo", "flow/000001.flo"]
    assert film(tmp_path, 3) == sorted([*frames, *(name.removeprefix("out/") for name in own)])
