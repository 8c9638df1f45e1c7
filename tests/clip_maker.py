"""Public data sets of clips as people have them, tiny: their lists, and encoded files to put below them."""

from __future__ import annotations

from pathlib import Path

from tests.media_maker import write_clip, write_sound

CLASSES = (
    "index,mid,display_name",
    '0,/m/09x0r,"Speech"',
    '1,/m/05zppz,"Male speech, man speaking"',
    "2,/m/0bt9lr,Dog",
)
HEADER = (
    "# Segments csv created Sun Mar  5 10:54:31 2017",
    "# num_ytids=3, num_segs=3, num_unique_labels=527, num_positive_labels=5",
    "# YTID, start_seconds, end_seconds, positive_labels",
)


def encoded(folder: Path) -> dict[str, bytes]:
    """One small file of each kind by its suffix, to be written under many names."""
    for name in ("clip.mp4", "clip.mkv", "clip.webm"):
        write_clip(folder / name, seconds=0.4, width_px=32, height_px=24, sample_rate_hz=48000)
    for name in ("clip.wav", "clip.flac"):
        write_sound(folder / name, seconds=0.4)
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


def put(media: dict[str, bytes], root: Path, *names: str) -> None:
    """Writes the files named below a folder."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(media[path.suffix.lower()])


def write_list(root, name, *lines, mark="", end="\n"):
    """Writes the lines of a list, and returns its path."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((mark + end.join([*lines, ""])).encode())
    return path


def audioset(root, where="", **ends):
    write_list(root, f"{where}class_labels_indices.csv", *CLASSES, **ends)
    write_list(
        root,
        f"{where}balanced_train_segments.csv",
        *HEADER,
        '-0RWZT-miFs, 420.000, 430.000, "/m/0bt9lr,/m/09x0r"',
        'Yabc_efg_12, 30.000, 40.000, "/m/05zppz"',
        'vanished_00, 0.000, 10.000, "/m/09x0r"',
        **ends,
    )
    write_list(
        root,
        f"{where}unbalanced_train_segments.csv",
        *HEADER,
        'unbalanced0, 5.500, 15.500, "/m/09x0r"',
        **ends,
    )
    write_list(root, f"{where}eval_segments.csv", *HEADER, 'evaluated_0, 30.000, 40.000, "/m/0bt9lr"', **ends)


def kinetics(root, where="annotations/", test_label="abseiling"):
    header = "label,youtube_id,time_start,time_end,split,is_cc"
    write_list(
        root,
        f"{where}train.csv",
        header,
        '"air drumming",-3B32lodo2M,59,69,train,0',
        "abseiling,0347ZoDXyP0,95,105,train,0",
        "abseiling,vanished_00,1,11,train,0",
    )
    write_list(root, f"{where}val.csv", header, "air drumming,0wR5jVB-WPk,417,427,val,0")
    write_list(root, f"{where}test.csv", header, f"{test_label},kFC3KY2bOP8,5,15,test,0")


def esc50(root):
    names = ["1-100032-A-1.wav", "2-117271-A-0.wav", "3-118059-A-0.wav"]
    rows = ["1,1,rooster,True,100032,A", "2,0,dog,True,117271,A", "3,0,dog,True,118059,A"]
    header = "filename,fold,target,category,esc10,src_file,take"
    write_list(
        root, "meta/esc50.csv", header, *(f"{name},{row}" for name, row in zip(names, rows, strict=True))
    )
    return names
