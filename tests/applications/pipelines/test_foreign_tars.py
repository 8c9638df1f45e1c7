"""Tars of WebDataset and video2dataset become shards of this library, clip by clip."""

import json

import pytest

from tests.foreign_maker import write_tar
from tests.inline_pool import InlinePool
from tests.media_maker import write_clip, write_sound
from zorro_keras.applications.pipelines import prepare as prepare_module
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.foreign_source import read_foreign_source
from zorro_keras.applications.pipelines.prepare import prepare
from zorro_keras.applications.pipelines.shards import open_shards

SETTINGS = {"frame_rate_hz": 5.0, "sample_rate_hz": 8000, "shorter_side_px": 32, "max_bad_fraction": 1.0}


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Encoded files: a film with sound, one without, and a sound."""
    folder = tmp_path_factory.mktemp("media")
    return {
        "film": write_clip(folder / "film.mp4").read_bytes(),
        "mute": write_clip(folder / "mute.webm", has_audio=False, seconds=0.6).read_bytes(),
        "sound": write_sound(folder / "sound.flac").read_bytes(),
    }


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    monkeypatch.setattr(prepare_module, "DecodePool", InlinePool)


def pack(source, out):
    coverage = prepare(source, out, **SETTINGS)
    return coverage, {place.id: place for place in open_shards(out).locations}


def test_files_that_share_a_key_are_one_clip(tmp_path, media):
    members = {
        "a/00.mp4": media["film"],
        "a/00.cls": b"dog",
        "a/01.flac": media["sound"],
        "a/01.json": json.dumps({"url": "x", "labels": ["cat", "dog"]}).encode(),
        "a/02.webm": media["mute"],
        "a/02.flac": media["sound"],
        "a/02.cls": b"cat; bird\n",
        "a/._03.mp4": b"a note of a Mac",
        "a/id_40.000.mp4": media["film"],
        "a/id_40.000.json": b'{"label": "dog"}',
    }
    write_tar(tmp_path / "in/train/000.tar", members)
    write_tar(tmp_path / "in/test/000.tar", {"b.mp4": media["film"], "b.cls": b"dog"})
    coverage, places = pack(tmp_path / "in", tmp_path / "out")
    assert coverage["layout"] == "WebDataset"
    assert coverage["clips"]["listed"] == coverage["clips"]["used_whole"] == 5
    assert coverage["splits"] == {"test": 1, "train": 4}
    assert open_shards(tmp_path / "out").label_names == ("bird", "cat", "dog")
    assert {
        name: (place.has_video, place.has_audio, place.label_indices, round(place.duration_seconds, 1))
        for name, place in places.items()
    } == {
        "train/000.tar#0": (True, True, (2,), 1.0),
        "train/000.tar#1": (False, True, (1, 2), 1.0),
        "train/000.tar#2": (True, True, (0, 1), 1.0),  # as long as its sound, which is a file of its own
        "train/000.tar#3": (True, True, (2,), 1.0),
        "test/000.tar#0": (True, True, (2,), 1.0),
    }


@pytest.mark.parametrize(
    ("file", "data", "names", "indices"),
    [
        ("cls", b"3", ("0", "1", "2", "3"), (3,)),
        ("cls", b" dog \n", ("dog",), (0,)),
        ("json", b'{"label": 2}', ("0", "1", "2"), (2,)),
        ("json", b'{"labels": ["b", "a"]}', ("a", "b"), (0, 1)),
        ("json", b'{"class": "a; b"}', ("a", "b"), (0, 1)),
        ("json", b'{"caption": "a dog"}', (), ()),
        ("json", b'{"label": "\\ud800"}', ("\\ud800",), (0,)),
        ("json", b"[" * 100_000, (), ()),
        ("json", b"no json", (), ()),
        ("json", b"[1]", (), ()),
        ("json", b'{"label": {"a": [true, null, 1.5]}}', (), ()),
        ("cls", b"b; a;c", ("a", "b", "c"), (0, 1, 2)),
        ("cls", b"playing violin, fiddle", ("playing violin, fiddle",), (0,)),
        ("cls", b"/m/09x0r, /t/dd00134", ("/m/09x0r", "/t/dd00134"), (0, 1)),
        ("cls", b"2, 0", ("0", "1", "2"), (0, 2)),
        ("cls", b"\xef\xbb\xbfHund", ("Hund",), (0,)),
        ("txt", b"a dog, which is a caption", (), ()),
        ("wav.md", b"", (), ()),
    ],
)
def test_labels_are_read_where_they_may_be(tmp_path, file, data, names, indices):
    tar = write_tar(tmp_path / "train.tar", {"a.mp4": b"not looked at", f"a.{file}": data})
    source = read_foreign_source(tar)
    assert source.label_names == names
    assert [entry.label_indices for entry in source.entries] == [indices]


def test_captions_beside_labels_change_nothing(tmp_path):
    members = {"a.mp4": b"x", "a.txt": b"a caption", "a.json": b'{"key": "a", "label": "dog"}'}
    assert read_foreign_source(write_tar(tmp_path / "train.tar", members)).label_names == ("dog",)


def test_a_bad_clip_costs_only_itself(tmp_path, media):
    members = {
        "0.mp4": media["film"], "0.cls": b"a",
        "1.mp4": b"#EXTM3U\nother.mp4\n", "1.cls": b"a",
        "2.mp4": b"text\n" * 99, "2.cls": b"a",
        "3.cls": b"a",
        "4.mp4": media["film"],
        "5.mp4": media["film"][:500], "5.cls": b"a",
        "6.wav": media["sound"], "6.cls": b"a",  # by its content a flac: that is what counts
    }  # fmt: skip
    write_tar(tmp_path / "in/train.tar", members)
    coverage, places = pack(tmp_path / "in", tmp_path / "out")
    assert {fault["id"]: fault["error"]["reason"] for fault in coverage["faults"]} == {
        "train.tar#1": "refused_format",
        "train.tar#2": "not_media",
        "train.tar#3": "no_streams",
        "train.tar#4": "bad_label",
        "train.tar#5": "truncated",
    }
    assert set(places) == {"train.tar#0", "train.tar#6"}


@pytest.mark.parametrize("cut", ["within a file", "between two files"])
def test_of_a_tar_that_was_cut_what_is_there_is_used_and_the_rest_accounted_for(tmp_path, media, cut):
    members = {
        f"{n}.{suffix}": data for n in range(3) for suffix, data in (("flac", media["sound"]), ("cls", b"a"))
    }
    path = write_tar(tmp_path / "in/train.tar", members)
    data = path.read_bytes()
    last = data.index(b"2.flac")
    path.write_bytes(data[: last + 2000 if cut == "within a file" else last])
    coverage, places = pack(tmp_path / "in", tmp_path / "out")
    assert set(places) == {"train.tar#0", "train.tar#1"}
    assert {fault["error"]["reason"] for fault in coverage["faults"]} == {"truncated"}
    assert [fault["id"] for fault in coverage["faults"]][-1] >= "train.tar#2"


def test_a_name_in_a_tar_leads_nowhere(tmp_path, media):
    """Names are keys: nothing is unpacked, and links inside are passed over."""
    import tarfile

    members = {
        "../../out.mp4": media["film"],
        "../../out.cls": b"a",
        "/etc/b.mp4": media["film"],
        "/etc/b.cls": b"a",
    }
    path = write_tar(tmp_path / "in/train.tar", members)
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("c.mp4")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    coverage, places = pack(tmp_path / "in", tmp_path / "out")
    assert coverage["clips"]["used_whole"] == len(places) == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "out"]
    assert [entry.name for entry in (tmp_path / "in").iterdir()] == ["train.tar"]


def test_names_that_are_not_utf_8_are_packed(tmp_path, media):
    write_tar(tmp_path / "in/000.tar", {"\udcff.mp4": media["film"], "\udcff.cls": b"a"})
    coverage, _ = pack(tmp_path / "in", tmp_path / "out")
    assert coverage["clips"]["used_whole"] == 1


def test_tars_without_media_are_refused_by_what_they_hold(tmp_path):
    write_tar(tmp_path / "train.tar", {"a.jpg": b"x", "a.cls": b"1"})
    with pytest.raises(SourceError, match=r"'mp4'.*Received: \['a.jpg', 'a.cls'\]"):
        read_foreign_source(tmp_path)


@pytest.mark.parametrize("name", ["train.tar", "train.tar.gz", "train.tgz"])
def test_compressed_tars_are_refused(tmp_path, name):
    import gzip

    (tmp_path / name).write_bytes(gzip.compress(b"x"))
    with pytest.raises(SourceError, match="compressed"):
        read_foreign_source(tmp_path)


def test_something_that_is_no_tar_is_refused(tmp_path):
    (tmp_path / "train.tar").write_bytes(b"no tar at all" * 99)
    with pytest.raises(SourceError, match="must hold files that end in"):
        read_foreign_source(tmp_path)
