"""Lists of pictures: class folders, and ImageNet in every form in which people have it."""

import json
import tarfile
from functools import partial

import numpy as np
import pytest

from tests.image_maker import class_folders, encoded, pixels, tar_bytes, write
from zorro_keras.applications.pipelines.accounted_reading import Reading
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.host_errors import FaultSlot
from zorro_keras.applications.pipelines.image_decode import decode_image, read_bytes
from zorro_keras.applications.pipelines.image_examples import image_examples
from zorro_keras.applications.pipelines.image_sources import read_image_source
from zorro_keras.applications.pipelines.image_tars import index_tar
from zorro_keras.applications.pipelines.order import evaluation_order

# Not sorted, so that an order taken for granted shows.
SYNSETS = ("n03095699", "n01440764", "n02100735")
TRAIN = {synset: [f"{synset}_{number}.JPEG" for number in (10, 7)] for synset in SYNSETS}
VAL = {f"ILSVRC2012_val_0000000{number}.JPEG": SYNSETS[number % 3] for number in range(1, 6)}
# The development kit numbers the classes in an order of its own.
NUMBERS = {"n02100735": 1, "n03095699": 2, "n01440764": 3}


def jpeg(seed):
    return encoded("JPEG", pixels(9, 11, seed))


DAMAGED = {}  # name -> bytes that stand where the picture should


def content(name, synset):
    return DAMAGED.get(name, jpeg(SYNSETS.index(synset)))


def train_folders(folder):
    for synset, names in TRAIN.items():
        for name in names:
            write(folder / synset / name, content(name, synset))


def val_folder(folder):
    for name, synset in VAL.items():
        write(folder / name, content(name, synset))


def solution(path):
    rows = [
        f"{name.removesuffix('.JPEG')},{synset} 1 2 30 40 {synset} 5 6 7 8" for name, synset in VAL.items()
    ]
    write(path, ("ImageId,PredictionString\n" + "\n".join(reversed(rows)) + "\n").encode())


def labelled(source, split):
    return {
        entry.id.rsplit("/", 1)[-1]: source.label_names[entry.label_index].split(" ")[0]
        for entry in source.split(split)
    }


def expect_imagenet(source):
    assert [name.split(" ")[0] for name in source.label_names] == sorted(SYNSETS)
    assert labelled(source, "train") == {name: synset for synset, names in TRAIN.items() for name in names}
    assert labelled(source, "val") == VAL
    # What is read at each place is what was put there: its colour tells the class.
    for entry in source.entries:
        num_bytes = None if entry.offset is None else entry.num_bytes
        data = read_bytes(entry.path, root=source.root, offset=entry.offset or 0, num_bytes=num_bytes)
        synset = source.label_names[entry.label_index].split(" ")[0]
        assert data == jpeg(SYNSETS.index(synset))


def kaggle(root):
    folder = root / "ILSVRC" / "Data" / "CLS-LOC"
    train_folders(folder / "train")
    val_folder(folder / "val")
    write(folder / "test" / "ILSVRC2012_test_00000001.JPEG", jpeg(0))
    solution(root / "LOC_val_solution.csv")


def test_kaggles_layout_is_read(tmp_path):
    kaggle(tmp_path)
    words = "n01440764 tench, Tinca tinca\nn02100735 crane\nn03095699 crane\n"
    write(tmp_path / "LOC_synset_mapping.txt", words.encode())
    source = read_image_source(tmp_path)
    expect_imagenet(source)
    assert source.label_names == ("n01440764 tench, Tinca tinca", "n02100735 crane", "n03095699 crane")
    assert [name.rsplit("/", 1)[-1] for name in source.ignored] == ["ILSVRC2012_test_00000001.JPEG"]


def lists(kind, root):
    """The labels of the validation pictures, in one of the forms in which they go around."""
    by_name = [VAL[name] for name in sorted(VAL)]
    if kind == "synsets":
        write(root / "imagenet_2012_validation_synset_labels.txt", "\n".join(by_name).encode())
    elif kind == "pairs":
        rows = [f"{name} {sorted(SYNSETS).index(synset)}" for name, synset in VAL.items()]
        write(root / "val.txt", "\n".join(rows).encode())
    elif kind == "devkit":
        io = pytest.importorskip("scipy.io")
        rows = [(NUMBERS[synset], synset) for synset in SYNSETS]
        synsets = np.array(rows, dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O")]).reshape(-1, 1)
        folder = root / "ILSVRC2012_devkit_t12" / "data"
        write(
            folder / "ILSVRC2012_validation_ground_truth.txt",
            "\n".join(str(NUMBERS[synset]) for synset in by_name).encode(),
        )
        io.savemat(folder / "meta.mat", {"synsets": synsets})
    else:
        solution(root / "LOC_val_solution.csv")


@pytest.mark.parametrize("kind", ["synsets", "pairs", "devkit", "solution"])
def test_extracted_folders_are_read_with_any_list_of_labels(tmp_path, kind):
    train_folders(tmp_path / "train")
    val_folder(tmp_path / "val")
    lists(kind, tmp_path)
    expect_imagenet(read_image_source(tmp_path))


def test_validation_pictures_sorted_into_folders_need_no_list(tmp_path):
    in_folders(tmp_path)
    expect_imagenet(read_image_source(tmp_path))


def write_tars(root):
    inner = {
        f"{synset}.tar": tar_bytes({name: content(name, synset) for name in names})
        for synset, names in TRAIN.items()
    }
    train = write(root / "ILSVRC2012_img_train.tar", tar_bytes(inner))
    val = {name: content(name, synset) for name, synset in VAL.items()}
    write(root / "ILSVRC2012_img_val.tar", tar_bytes(val))
    return train


def test_the_tars_are_read_by_offset(tmp_path):
    write_tars(tmp_path)
    lists("synsets", tmp_path)
    first = read_image_source(tmp_path)
    expect_imagenet(first)
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == [
        "ILSVRC2012_img_train.tar.index.npz",
        "ILSVRC2012_img_val.tar.index.npz",
    ]
    again = read_image_source(tmp_path)  # from the indices
    assert again.entries == first.entries and again.fingerprint == first.fingerprint


def in_tars(root):
    write_tars(root)
    lists("synsets", root)


def in_folders(root):
    train_folders(root / "train")
    for name, synset in VAL.items():
        write(root / "val" / synset / name, content(name, synset))


@pytest.mark.parametrize("layout", [in_folders, kaggle, in_tars])
def test_damaged_pictures_are_accounted_for_once_in_every_layout(layout, tmp_path, monkeypatch):
    train, val = TRAIN[SYNSETS[1]][0], "ILSVRC2012_val_00000002.JPEG"
    monkeypatch.setitem(DAMAGED, train, jpeg(0)[:150])
    monkeypatch.setitem(DAMAGED, val, b"<html>not found</html>")
    layout(tmp_path)
    source, log = read_image_source(tmp_path), tmp_path / "faults.jsonl"
    assert sorted(entry.split for entry in source.entries) == ["train"] * 6 + ["val"] * 5
    used = []
    for split in ("train", "val"):
        entries = source.split(split)
        reading = Reading(source.root, on_error="skip", max_bad_fraction=0.5, faults_path=log)
        order = partial(evaluation_order, len(entries))
        examples = image_examples(entries, order, reading, FaultSlot(), num_classes=len(SYNSETS))
        for entry, example in zip(entries, examples.as_numpy_iterator(), strict=True):
            if example["presence"]["image"]:
                used.append(entry.id)
                assert example["labels"].argmax() == entry.label_index and example["image"].shape == (
                    9,
                    11,
                    3,
                )
    skipped = {row["id"]: row["reason"] for row in map(json.loads, log.read_text().splitlines())}
    assert {name.rsplit("/", 1)[-1]: reason for name, reason in skipped.items()} == {
        train: "truncated",
        val: "not_image",
    }
    assert sorted([*used, *skipped]) == sorted(entry.id for entry in source.entries)


def test_a_tar_that_changed_is_indexed_anew(tmp_path):
    path = write(tmp_path / "a.tar", tar_bytes({"one": b"1"}))
    assert [member.name for member in index_tar(str(path))] == ["one"]
    write(path, tar_bytes({"one": b"1", "two": b"22", "three": b"333"}))
    assert [(member.name, member.num_bytes) for member in index_tar(str(path))] == [
        ("one", 1),
        ("two", 2),
        ("three", 3),
    ]


def test_a_tar_cut_anywhere_is_refused(tmp_path):
    whole = write_tars(tmp_path).read_bytes()
    index_tar(str(write(tmp_path / "whole.tar", whole)))
    used = len(whole.rstrip(b"\0"))
    for end in [*range(512, used, 512), *range(700, used, 1531)]:  # between files, and within them
        path = write(tmp_path / "cut.tar", whole[:end])
        with pytest.raises(SourceError) as caught:
            index_tar(str(path))
        assert caught.value.reason == "truncated", end


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\x1f\x8b" + b"0" * 600, "refused_format"), (b"text" * 300, "corrupt")]
)
def test_what_is_no_plain_tar_is_refused(tmp_path, data, reason):
    with pytest.raises(SourceError) as caught:
        index_tar(str(write(tmp_path / "x.tar", data)))
    assert caught.value.reason == reason


def pax_header(records):
    """A header of a tar that describes the one after it."""
    head = tarfile.TarInfo("h")
    head.type, head.size = tarfile.XHDTYPE, len(records)
    return head.tobuf() + records + bytes(-len(records) % 512)


@pytest.mark.parametrize(
    "headers", [pax_header(b"20 GNU.sparse.map=x\n"), pax_header(b"") * 3000], ids=["map", "chain"]
)
def test_headers_made_to_break_a_reader_are_refused(tmp_path, headers):
    path = write(tmp_path / "x.tar", headers + tar_bytes({"one": b"1"}))
    with pytest.raises(SourceError, match="This is not a tar") as caught:
        index_tar(str(path))
    assert caught.value.reason == "corrupt"


def test_a_file_with_holes_is_passed_over(tmp_path):
    hole = tarfile.TarInfo("hole")
    hole.type, hole.size = tarfile.GNUTYPE_SPARSE, 1
    header = bytearray(hole.tobuf(tarfile.GNU_FORMAT))
    # One byte of 4096.
    header[386:410], header[483:495] = (
        b"00000000000\x0000000000001\x00",
        b"00000010000\x00",
    )
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = write(tmp_path / "x.tar", bytes(header) + b"h".ljust(512, b"\0") + tar_bytes({"one": b"1"}))
    assert [(member.name, member.offset) for member in index_tar(str(path))] == [("one", 1536)]


def test_a_flat_validation_folder_without_a_list_is_refused(tmp_path):
    train_folders(tmp_path / "train")
    val_folder(tmp_path / "val")
    with pytest.raises(SourceError, match="no list says what they show. Looked for: LOC_val_solution.csv"):
        read_image_source(tmp_path)


def test_the_development_kits_numbers_are_not_trusted_without_their_order(tmp_path):
    train_folders(tmp_path / "train")
    val_folder(tmp_path / "val")
    write(tmp_path / "ILSVRC2012_validation_ground_truth.txt", b"1\n2\n3\n1\n2\n")
    with pytest.raises(SourceError, match="in an order that only meta.mat tells"):
        read_image_source(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n01440764\n" * 4, "what 4 pictures show, but there are 5"),
        ("n9\n" * 5, "no known synset. The first"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path, text, message):
    train_folders(tmp_path / "train")
    val_folder(tmp_path / "val")
    write(tmp_path / "imagenet_2012_validation_synset_labels.txt", text.encode())
    with pytest.raises(SourceError, match=message):
        read_image_source(tmp_path)


def test_a_model_keeps_its_order_of_classes(tmp_path):
    for name, synset in VAL.items():
        write(tmp_path / "val" / synset / name, jpeg(0))
    known = ("n03095699 crane", "n02100735 setter", "n01440764 tench", "n00000001 other")
    source = read_image_source(tmp_path, label_names=known)
    assert source.label_names == known
    assert labelled(source, "val") == VAL


def test_a_model_that_names_no_synsets_is_matched_by_its_words(tmp_path):
    for name, synset in VAL.items():
        write(tmp_path / "val" / synset / name, jpeg(0))
    words = "n01440764 tench, Tinca tinca\nn02100735 crane\nn03095699 crane\n"
    write(tmp_path / "synset_words.txt", words.encode())
    known = ("tench, Tinca tinca", "crane", "crane")
    source = read_image_source(tmp_path, label_names=known)
    assert source.label_names == known
    labels = {entry.id.rsplit("/", 1)[-1]: entry.label_index for entry in source.split("val")}
    assert labels == {name: sorted(SYNSETS).index(synset) for name, synset in VAL.items()}
    message = "are not the model's 3. Class 0 is 'n01440764 tench, .* of the data, 'crane' of the model"
    with pytest.raises(SourceError, match=message):
        read_image_source(tmp_path, label_names=known[::-1])


def test_class_folders_are_dealt_into_splits_by_class(tmp_path):
    class_folders(tmp_path, splits=("",), count=10)
    source = read_image_source(tmp_path, test_fraction=0.2, seed=3)
    assert source.label_names == ("ant", "bee", "cow")
    counts = {
        name: np.bincount([entry.label_index for entry in source.split(name)]) for name in ("train", "test")
    }
    assert (counts["train"] + counts["test"]).tolist() == [10] * 3
    assert min(counts["test"]) > 0 and min(counts["train"]) > 4
    assert source == read_image_source(tmp_path, test_fraction=0.2, seed=3)
    assert source != read_image_source(tmp_path, test_fraction=0.2, seed=4)


def test_split_folders_and_suffixes_in_any_case_are_read(tmp_path):
    class_folders(tmp_path)
    (tmp_path / "train" / "ant" / "0.jpg").rename(tmp_path / "train" / "ant" / "0.JPG")
    write(tmp_path / "train" / "ant" / "notes.txt", b"no picture")
    source = read_image_source(tmp_path)
    assert len(source.split("train")) == len(source.split("test")) == 12
    assert source.ignored == ("train/ant/notes.txt",)
    with pytest.raises(SourceError, match="(?s)must be one that holds pictures.*measure on under") as caught:
        source.split("val")
    assert caught.value.path == str(tmp_path)


def test_pictures_without_a_known_suffix_count_by_their_content(tmp_path):
    for number, name in enumerate(("0", "1.jpg_large", "2.tif", "3.jpg")):
        write(tmp_path / "ant" / name, encoded(("JPEG", "PNG", "BMP", "WEBP")[number]))
    write(tmp_path / "bee" / "0.heic", b"\0\0\0\x18ftypheic")
    write(tmp_path / "ant" / "notes.txt", b"BM is how a BMP begins, and this text.")
    write(tmp_path / "ant" / ".hidden", encoded("PNG"))
    source = read_image_source(tmp_path)
    assert [entry.id for entry in source.entries] == ["ant/0", "ant/1.jpg_large", "ant/2.tif", "ant/3.jpg"]
    assert set(source.ignored) == {"bee/0.heic", "ant/notes.txt", "ant/.hidden"}


def test_pictures_of_imagenet_count_by_their_content_too(tmp_path):
    write(tmp_path / "train" / SYNSETS[0] / "7", jpeg(0))
    write(tmp_path / "val" / SYNSETS[0] / "8.notes", b"no picture")
    source = read_image_source(tmp_path)
    assert [entry.id for entry in source.entries] == [f"train/{SYNSETS[0]}/7"]
    assert source.ignored == (f"val/{SYNSETS[0]}/8.notes",)


def test_a_csv_with_several_labels_is_refused(tmp_path):
    write(tmp_path / "a.png", encoded("PNG"))
    write(tmp_path / "list.csv", b"path,label\na.png,ant;bee\n")
    with pytest.raises(SourceError, match="exactly one label"):
        read_image_source(tmp_path / "list.csv")
    write(tmp_path / "list.csv", b"path,label,split\na.png,ant,train\n")
    (entry,) = read_image_source(tmp_path / "list.csv").entries
    assert decode_image(read_bytes(entry.path), entry.path).pixels.shape == (23, 31, 3)
