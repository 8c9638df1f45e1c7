"""Lists of clips: what is read, and that every bad row is named before anything else happens."""

import json
import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.sources import read_source


@pytest.fixture
def folder(tmp_path):
    for name in ("a.mp4", "b.wav", "c.webm", "sub/d.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"media")
    return tmp_path


def write_csv(folder, text, name="list.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"media")


def problems_of(path, **arguments):
    with pytest.raises(SourceError) as caught:
        read_source(path, **arguments)
    return [(problem.row, problem.reason) for problem in caught.value.problems]


def test_class_folders_are_read(tmp_path):
    touch(tmp_path, *(f"dog/{n:02d}.mp4" for n in range(20)), *(f"cat/{n:02d}.wav" for n in range(10)))
    touch(tmp_path, "dog/notes.txt", "dog/.hidden.mp4", "readme.md")
    source = read_source(tmp_path)
    assert source.label_names == ("cat", "dog")
    counts = [len(source.split(split).entries) for split in ("train", "val", "test")]
    assert sum(counts) == 30 and counts[1] == 0 and 2 <= counts[2] <= 8
    assert {entry.label_indices for entry in source.entries} == {(0,), (1,)}
    assert source.entries[0].id == "cat/00.wav"
    assert source.entries[0].path == str(tmp_path / "cat/00.wav")
    assert set(source.ignored) == {"dog/notes.txt", "dog/.hidden.mp4", "readme.md"}
    assert not source.multi_label


def test_split_folders_are_read(tmp_path):
    touch(tmp_path, "train/dog/1.mp4", "train/cat/2.mp4", "test/dog/1.mp4", "clips.csv")
    source = read_source(tmp_path)
    assert source.label_names == ("cat", "dog")
    assert [(entry.id, entry.split) for entry in source.entries] == [
        ("test/dog/1.mp4", "test"),
        ("train/cat/2.mp4", "train"),
        ("train/dog/1.mp4", "train"),
    ]


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "validation"), ("Train", "Val"), ("training", "valid"), ("videos_train", "videos_val")],
)
def test_split_folders_may_be_named_otherwise(tmp_path, train, test):
    touch(tmp_path, f"{train}/dog/1.mp4", f"{test}/cat/2.mp4", "annotations/notes.txt")
    source = read_source(tmp_path)
    assert (source.layout, source.label_names) == ("class folders", ("cat", "dog"))
    assert {entry.id: entry.split for entry in source.entries} == {
        f"{train}/dog/1.mp4": "train",
        f"{test}/cat/2.mp4": "val",
    }


def test_files_right_below_split_folders_have_a_split_and_no_labels(tmp_path):
    touch(tmp_path, "train/1.mp4", "val/2.mp4")
    source = read_source(tmp_path)
    assert (source.layout, source.label_names) == ("a folder of files", ())
    assert [entry.split for entry in source.entries] == ["train", "val"]


@pytest.mark.parametrize("folder", ["train_256/dog", "clips/train/dog", "train/all/dog"])
def test_files_in_deeper_folders_are_not_packed_without_labels(tmp_path, folder):
    touch(tmp_path, f"{folder}/1.mp4")
    with pytest.raises(SourceError, match="does not lie directly in a class folder. Place it as CLASS/FILE"):
        read_source(tmp_path)


def test_split_folders_beside_others_are_refused(tmp_path):
    touch(tmp_path, "train/dog/1.mp4", "test/dog/1.mp4", "extra/dog/1.mp4")
    with pytest.raises(SourceError, match="either split folders or class folders. Received: train beside"):
        read_source(tmp_path)


def test_media_outside_a_class_folder_are_named(tmp_path):
    touch(tmp_path, "dog/1.mp4", "stray.mp4", "dog/deeper/2.mp4")
    assert problems_of(tmp_path) == [("dog/deeper/2.mp4", "bad_label"), ("stray.mp4", "bad_label")]


@pytest.mark.parametrize("prepare", [lambda root: None, lambda root: touch(root, "dog/notes.txt")])
def test_a_folder_without_media_is_refused(tmp_path, prepare):
    prepare(tmp_path)
    with pytest.raises(SourceError, match="holds no clips"):
        read_source(tmp_path)


def test_a_source_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SourceError, match="must be a folder or a CSV file"):
        read_source(tmp_path / "nothing")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_csv_is_read_whatever_its_line_ends_and_mark(folder, mark, newline):
    lines = [
        "path,label,start,end,split",
        "a.mp4,dog;bark,,,train",
        '"sub/d.mkv",cat,1.5,2,test',
        "",
        "a.mp4,cat,3,,val",
    ]
    source = read_source(write_csv(folder, mark + newline.join(lines).encode()))
    assert source.label_names == ("bark", "cat", "dog")
    assert source.multi_label
    found = [(e.id, e.label_indices, e.start_seconds, e.end_seconds, e.split) for e in source.entries]
    assert found == [
        ("a.mp4", (0, 2), None, None, "train"),
        ("a.mp4@3.0-", (1,), 3.0, None, "val"),
        ("sub/d.mkv@1.5-2.0", (1,), 1.5, 2.0, "test"),
    ]


def test_every_bad_row_is_named_with_its_line(folder):
    (folder / "link.mp4").symlink_to("/etc/hostname")
    rows = [
        (b"a.mp4,dog,0,1,train", None),
        (b"missing.mp4,dog,,,train", "missing_file"),
        (b",dog,,,train", "bad_row"),
        (b"../outside.mp4,dog,,,train", "outside_root"),
        (b"/etc/hostname,dog,,,train", "outside_root"),
        (b"link.mp4,dog,,,train", "outside_root"),
        (b"sub,dog,,,train", "not_a_file"),
        (b"b.wav,,,,train", "bad_label"),
        (b"b.wav,dog;;cat,0,1,train", "bad_label"),
        (b"b.wav,-1,0,2,train", "bad_label"),
        (b"b.wav,1.7,0,3,train", "bad_label"),
        (b"b.wav,dog,nan,,train", "bad_time"),
        (b"b.wav,dog,,inf,train", "bad_time"),
        (b"b.wav,dog,-1,,train", "bad_time"),
        (b"b.wav,dog,3,2,train", "bad_time"),
        (b"b.wav,dog,1_0,,train", "bad_time"),
        (b"b.wav,dog,soon,20,train", "bad_time"),
        (b"b.wav,dog," + b"1" * 100_000 + b"x,,train", "bad_time"),  # must not cost the square of that
        (b"b.wav,dog,.,,train", "bad_time"),
        (b"b.wav,dog,0,0,train", "bad_time"),
        (b"c.webm,dog,,,trian", "bad_split"),
        (b"./a.mp4,dog,0.0,1.0,train", "duplicate_id"),
        (b"c.webm,d\xf6g,5,,train", "bad_encoding"),
        (b"c.webm,dog", "bad_row"),
        (b'c.webm,"dog"s,,,train', "bad_row"),
        (b'"c.webm",cat,1,2,test', None),
        (b'c.webm,"dog,,,train', "bad_row"),
    ]
    text = b"\n".join([b"path,label,start,end,split", *(row for row, _ in rows)])
    expected = [(f"line {line}", reason) for line, (_, reason) in enumerate(rows, start=2) if reason]
    found = problems_of(write_csv(folder, text))
    assert set(found) == set(expected)
    assert [int(row.split()[1]) for row, _ in found] == sorted(int(row.split()[1]) for row, _ in found)


def test_the_first_twenty_bad_rows_are_shown_and_all_are_kept(folder):
    text = "path,label\n" + "".join(f"missing{n}.mp4,dog\n" for n in range(33))
    with pytest.raises(SourceError) as caught:
        read_source(write_csv(folder, text))
    message = str(caught.value)
    assert "33 rows" in message and "line 21: missing_file" in message and "and 13 more" in message
    assert "line 22" not in message
    assert caught.value.reason == "missing_file"
    assert len(json.loads(json.dumps(caught.value.to_json()))["problems"]) == 33
    assert len(pickle.loads(pickle.dumps(caught.value)).problems) == 33


@pytest.mark.parametrize("header", ["path", "label", "a.mp4,dog", "path,path,label", ""])
def test_a_csv_without_the_header_is_refused(folder, header):
    with pytest.raises(SourceError, match="must be a header with a column `path`") as caught:
        read_source(write_csv(folder, f"{header}\na.mp4,dog\n"))
    assert caught.value.reason == "missing_column"


def test_a_csv_with_a_header_alone_is_refused(folder):
    with pytest.raises(SourceError, match="holds no clips"):
        read_source(write_csv(folder, "path,label\n"))


def test_utf_16_is_refused_by_its_header(folder):
    with pytest.raises(SourceError, match="must be a header"):
        read_source(write_csv(folder, "path,label\na.mp4,dog\n".encode("utf-16")))


def test_numbers_are_indices(folder):
    source = read_source(write_csv(folder, "path,label\na.mp4,2\nb.wav,10\nc.webm,0\n"))
    assert source.label_names == tuple(map(str, range(11)))
    assert [entry.label_indices for entry in source.entries] == [(2,), (10,), (0,)]
    bad = write_csv(folder, "path,label\na.mp4,2\nb.wav,-1\nc.webm,1.7\nsub/d.mkv,3\n")
    assert problems_of(bad) == [("line 3", "bad_label"), ("line 4", "bad_label")]


def test_given_labels_keep_their_order_and_refuse_others(folder):
    names = ("zebra", "ant")
    source = read_source(write_csv(folder, "path,label\na.mp4,zebra\nb.wav,1\n"), label_names=names)
    assert source.label_names == names
    assert [entry.label_indices for entry in source.entries] == [(0,), (1,)]
    bad = write_csv(folder, "path,label\na.mp4,2\nb.wav,bee\nc.webm,ant\n")
    assert problems_of(bad, label_names=names) == [("line 2", "bad_label"), ("line 3", "bad_label")]


def test_parts_of_one_file_share_a_split(folder):
    touch(folder, *(f"{n}.mp4" for n in range(20)))
    rows = [
        f"{n}.mp4,{'dog' if n % 2 else 'cat'},{start},{start + 1}" for n in range(20) for start in range(5)
    ]
    path = write_csv(folder, "path,label,start,end\n" + "\n".join(rows))
    source = read_source(path, test_fraction=0.2)
    splits = {entry.path: set() for entry in source.entries}
    for entry in source.entries:
        splits[entry.path].add(entry.split)
    assert all(len(found) == 1 for found in splits.values())
    assert 0 < len({entry.path for entry in source.split("test").entries}) < 10
    assert read_source(path, test_fraction=0.2, seed=1).split("test") != source.split("test")
    assert read_source(path, test_fraction=0.2).split("test") == source.split("test")
    assert not read_source(path, test_fraction=0.0).split("test").entries


def test_the_fingerprint_follows_the_data_and_not_their_place(tmp_path):
    for place in ("one", "two"):
        touch(tmp_path / place, "dog/1.mp4", "cat/2.mp4")
    first = read_source(tmp_path / "one").fingerprint
    assert read_source(tmp_path / "two").fingerprint == first
    (tmp_path / "two/dog/1.mp4").write_bytes(b"longer media")
    assert read_source(tmp_path / "two").fingerprint != first


@pytest.mark.parametrize(("count", "least"), [(1, 0), (2, 1), (5, 1), (14, 1)])
def test_a_small_class_holds_out_at_least_one_of_several(tmp_path, count, least):
    touch(tmp_path, *(f"dog/{number}.mp4" for number in range(count)))
    assert least <= len(read_source(tmp_path).split("test").entries) <= count // 2


def test_what_was_trained_on_is_not_held_out_when_the_folder_grows(tmp_path):
    touch(tmp_path, *(f"dog/{number}.mp4" for number in range(20)))
    trained = {entry.id for entry in read_source(tmp_path).split("train").entries}
    touch(tmp_path, *(f"dog/{number}.mp4" for number in range(20, 60)))
    grown = read_source(tmp_path)
    assert trained < {entry.id for entry in grown.split("train").entries}
    assert {entry.id for entry in grown.split("test").entries} - {f"dog/{number}" for number in range(20)}


def test_a_file_stays_on_its_side_when_a_part_of_it_is_listed_before_the_others(folder):
    touch(folder, *(f"{n}.mp4" for n in range(20)))
    rows = [f"{n}.mp4,dog,4,6" for n in range(20)]
    few = read_source(write_csv(folder, "path,label,start,end\n" + "\n".join(rows)), test_fraction=0.3)
    rows += [f"{n}.mp4,dog,0,2" for n in range(20)]
    more = read_source(write_csv(folder, "path,label,start,end\n" + "\n".join(rows)), test_fraction=0.3)
    files = [{entry.path for entry in source.split("test").entries} for source in (few, more)]
    assert files[0] == files[1] and 0 < len(files[0]) < 20


def test_a_large_share_leaves_something_to_learn_from(tmp_path):
    touch(tmp_path, "dog/1.mp4", "dog/2.mp4", "cat/1.mp4")
    assert len(read_source(tmp_path, test_fraction=0.9).split("train").entries) == 2


@pytest.mark.parametrize(
    "wrong", [{"test_fraction": 1.0}, {"test_fraction": -0.1}, {"label_names": ("a", "a")}]
)
def test_arguments_out_of_range_are_refused(folder, wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be"):
        read_source(folder, **wrong)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a.mp4", "b.wav", "nothing.mp4", "", "../a.mp4", "a\0b"]) | st.text(max_size=8),
            st.sampled_from(["dog", "cat;dog", "", "-1", "1.7", "3"]) | st.text(max_size=8),
            st.sampled_from(["", "0", "1.5", "nan", "-3", "1e999"]) | st.text(max_size=4),
        ),
        max_size=6,
    )
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_table_is_read_or_refused_in_the_family_of_errors(folder, rows):
    lines = ["path,label,start", *(",".join(row) for row in rows)]
    path = write_csv(folder, "\n".join(lines).encode("utf-8", "surrogatepass"))
    try:
        source = read_source(path)
    except SourceError as error:
        assert str(error)
    else:
        assert source.entries and all(entry.label_indices for entry in source.entries)


@given(st.binary(max_size=80))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_bytes_are_read_or_refused_in_the_family_of_errors(folder, data):
    try:
        read_source(write_csv(folder, b"path,label\n" + data))
    except SourceError as error:
        assert str(error)
