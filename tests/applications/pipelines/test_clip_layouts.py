"""The layouts of the public data sets of clips are recognised, and each official id is found or named."""

import functools
import json
import os

import pytest

from tests import clip_maker as made
from tests.clip_maker import CLASSES, HEADER, audioset, esc50, kinetics, write_list
from zorro_keras.applications.pipelines.clip_data import open_clip_data
from zorro_keras.applications.pipelines.clip_listing import first_line, walk_files
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.media import probe
from zorro_keras.applications.pipelines.sources import read_source


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    return made.encoded(tmp_path_factory.mktemp("media"))


@pytest.fixture
def put(media, tmp_path):
    return functools.partial(made.put, media, tmp_path)


def found(source):
    """What each clip is read as: path below the root, names of its labels, split."""
    rows = {}
    for entry in source.entries:
        names = [source.label_names[index] for index in entry.label_indices]
        rows[os.path.relpath(entry.path, source.root).replace(os.sep, "/")] = (names, entry.split)
        assert probe(entry.path).duration_seconds > 0.3
    return rows


# --- AudioSet


def test_audioset_has_quoted_labels_comments_and_classes_in_the_order_of_their_file(tmp_path, put):
    audioset(tmp_path)
    put("-0RWZT-miFs.mp4", "Yabc_efg_12.mkv", "unbalanced0.wav", "evaluated_0.flac", "somebody_el.mp4")
    source = read_source(tmp_path)
    assert source.layout == "AudioSet"
    assert source.label_names == ("Speech", "Male speech, man speaking", "Dog")
    assert source.multi_label
    assert found(source) == {
        "-0RWZT-miFs.mp4": (["Speech", "Dog"], "train"),
        "Yabc_efg_12.mkv": (["Male speech, man speaking"], "train"),
        "unbalanced0.wav": (["Speech"], "train"),
        "evaluated_0.flac": (["Dog"], "test"),
    }
    assert source.official == {"balanced_train": 3, "unbalanced_train": 1, "eval": 1}
    assert source.missing == {"balanced_train": ("vanished_00",)}
    assert "somebody_el.mp4" in source.ignored and "eval_segments.csv" in source.ignored


@pytest.mark.parametrize(
    "names",
    [
        ("bal_train/-0RWZT-miFs.flac", "unbal_train/Yabc_efg_12.wav", "eval/evaluated_0.flac"),
        ("-0RWZT-miFs_420.000.mp4", "Yabc_efg_12_30.000.mp4", "evaluated_0_30.000.mp4"),
        ("-0RWZT-miFs_420_430.mp4", "Yabc_efg_12_30_40.webm", "evaluated_0_30_40.mp4"),
        ("-0RWZT-miFs_000420_000430.mp4", "Yabc_efg_12_000030.mp4", "evaluated_0_000030_000040.mp4"),
        ("-0RWZT-miFs_420000.flac", "Yabc_efg_12_30000_40000.flac", "evaluated_0_30000_40000.flac"),
        ("Y-0RWZT-miFs.wav", "YYabc_efg_12.wav", "Yevaluated_0.wav"),
        ("Y-0RWZT-miFs_420.000_430.000.wav", "YYabc_efg_12_30.000.wav", "Yevaluated_0_30.wav"),
        ("audio/unbalanced_train_segments_part07/-0RWZT-miFs.MP4", "Dog/Yabc_efg_12.mp4", "evaluated_0.mp4"),
    ],
    ids=["folders", "start", "times", "zeros", "milliseconds", "Y", "Y and times", "parts"],
)
def test_downloads_are_found_however_they_are_named(tmp_path, put, names):
    audioset(tmp_path)
    put(*names)
    source = read_source(tmp_path)
    assert set(found(source)) == set(names)
    assert source.missing == {"balanced_train": ("vanished_00",), "unbalanced_train": ("unbalanced0",)}


def test_a_file_of_another_part_of_the_video_is_not_the_clip(tmp_path, put):
    audioset(tmp_path)
    put("evaluated_0_60_70.mp4", "-0RWZT-miFs.mp4")
    source = read_source(tmp_path)
    assert source.missing["eval"] == ("evaluated_0",)
    put("evaluated_0_30_40.mp4")
    assert "evaluated_0_30_40.mp4" in found(read_source(tmp_path))


@pytest.mark.parametrize(
    ("name", "start_seconds", "is_the_clip"),
    [
        ("evaluated_0_000000.mp4", 0, True),
        ("evaluated_0_000001.mp4", 0, False),
        ("evaluated_0_1000.mp4", 0, False),
        ("evaluated_0_60.000.mp4", 0, False),
        ("evaluated_0_000001.mp4", 1, True),
        ("evaluated_0_1000.mp4", 1, True),
        ("evaluated_0_60.000.mp4", 1, False),
        ("evaluated_0_000185.mp4", 1, False),
        ("evaluated_0_1900.mp4", 1, False),
        ("evaluated_0_30.mp4", 30.4, True),  # whole seconds are rounded
        ("evaluated_0_30.3.mp4", 30.4, False),
        ("evaluated_0_30400.mp4", 30.4, True),
    ],
)
def test_seconds_may_be_rounded_and_milliseconds_are_exact(tmp_path, put, name, start_seconds, is_the_clip):
    audioset(tmp_path)
    write_list(tmp_path, "eval_segments.csv", f'evaluated_0, {start_seconds}, 99.000, "/m/0bt9lr"')
    put(name, "-0RWZT-miFs.mp4")
    assert (name in found(read_source(tmp_path))) == is_the_clip


def test_of_two_parts_of_a_video_the_nearer_one_is_read(tmp_path, put):
    audioset(tmp_path)
    write_list(tmp_path, "eval_segments.csv", 'evaluated_0, 30.900, 40.900, "/m/0bt9lr"')
    put("evaluated_0_30_40.mp4", "evaluated_0_31_41.wav")
    assert list(found(read_source(tmp_path))) == ["evaluated_0_31_41.wav"]


def test_of_two_files_of_a_clip_the_one_with_pictures_is_read(tmp_path, put):
    audioset(tmp_path)
    put("eval/evaluated_0.wav", "video/evaluated_0.mp4")
    source = read_source(tmp_path)
    assert list(found(source)) == ["video/evaluated_0.mp4"]
    assert "eval/evaluated_0.wav" in source.ignored


def test_lists_may_lie_in_a_folder_of_their_own_with_a_mark_and_other_line_ends(tmp_path, put):
    audioset(tmp_path, "csv/", mark="\ufeff", end="\r\n")
    put("clips/evaluated_0.mp4")
    assert found(read_source(tmp_path)) == {"clips/evaluated_0.mp4": (["Dog"], "test")}


def test_a_label_that_is_no_class_counts_as_the_class_above_it(tmp_path, put):
    audioset(tmp_path)
    write_list(tmp_path, "eval_segments.csv", 'evaluated_0, 30.000, 40.000, "/m/puppy,/m/0bt9lr"')
    put("evaluated_0.mp4")
    with pytest.raises(SourceError, match="eval_segments.csv line 1: bad_label: '/m/puppy' is not a label"):
        read_source(tmp_path)
    ontology = [
        {"id": "/m/0bt9lr", "name": "Dog", "child_ids": ["/m/young"]},
        {"id": "/m/young", "name": "Young dog", "child_ids": ["/m/puppy", "/m/young"]},
    ]
    write_list(tmp_path, "ontology.json", json.dumps(ontology))
    assert found(read_source(tmp_path)) == {"evaluated_0.mp4": (["Dog"], "test")}
    write_list(tmp_path, "ontology.json", '{"id": 1}')
    with pytest.raises(SourceError, match="ontology.json must be AudioSet's list of `id` and `child_ids`"):
        read_source(tmp_path)


def test_audioset_without_its_classes_is_refused(tmp_path, put):
    audioset(tmp_path)
    put("evaluated_0.mp4")
    assert read_source(tmp_path).entries
    write_list(tmp_path, "class_labels_indices.csv", *CLASSES[:2], "2,/m/0bt9lr,Dog")
    with pytest.raises(SourceError, match="an index from 0 on, a MID and a name of its own. *for each class"):
        read_source(tmp_path)
    (tmp_path / "class_labels_indices.csv").unlink()
    with pytest.raises(SourceError, match="needs class_labels_indices.csv"):
        read_source(tmp_path)


def test_rows_that_cannot_be_read_are_named_with_list_and_line(tmp_path, put):
    audioset(tmp_path)
    write_list(tmp_path, "eval_segments.csv", *HEADER, "evaluated_0, 30.000, 40.000", 'x, 0, 1, "/m/09x0r')
    put("evaluated_0.mp4", "-0RWZT-miFs.mp4")
    with pytest.raises(SourceError) as caught:
        read_source(tmp_path)
    assert [(problem.row, problem.reason) for problem in caught.value.problems] == [
        ("eval_segments.csv line 4", "bad_row"),
        ("eval_segments.csv line 5", "bad_row"),
    ]


@pytest.mark.parametrize(
    "row", ['x, inf, 1, "/m/09x0r"', 'x, 0, soon, "/m/09x0r"', "x, 0, 1, ", "x, , 1, /m/09x0r"]
)
def test_a_row_of_audioset_has_an_id_times_and_labels(tmp_path, put, row):
    audioset(tmp_path)
    put("evaluated_0.mp4")
    lines = ("YTID,start_seconds,end_seconds,positive_labels", "evaluated_0, 30.000, 40.000, /m/0bt9lr")
    write_list(tmp_path, "eval_segments.csv", *lines)
    assert found(read_source(tmp_path)) == {"evaluated_0.mp4": (["Dog"], "test")}
    write_list(tmp_path, "eval_segments.csv", *lines, row)
    with pytest.raises(SourceError, match="eval_segments.csv line 3: bad_row: .* Received: 4 cells"):
        read_source(tmp_path)


def test_a_clip_that_is_listed_twice_is_named(tmp_path, put):
    audioset(tmp_path)
    write_list(tmp_path, "eval_segments.csv", *['evaluated_0, 30.000, 40.000, "/m/09x0r"'] * 2)
    put("evaluated_0.mp4")
    with pytest.raises(SourceError, match="is listed already at eval_segments.csv line 1"):
        read_source(tmp_path)


def test_lists_without_any_of_their_clips_are_refused(tmp_path):
    audioset(tmp_path)
    with pytest.raises(SourceError, match="None of the 5 clips on the lists of AudioSet is there.*-0RWZT"):
        read_source(tmp_path)


def test_the_lists_of_cav_mae_and_ast_are_found_by_id_and_not_by_their_paths(tmp_path, put):
    write_list(tmp_path, "class_labels_indices.csv", *CLASSES)
    train = [
        {"video_id": "00W1lcxW-WU_40.000", "wav": "/far/away/a.flac", "labels": "/m/0bt9lr,/m/09x0r"},
        {"wav": "/far/away/-0RWZT-miFs.flac", "labels": "/m/05zppz"},
        {"video_id": "vanished_00", "wav": "/far/away/b.flac", "labels": "/m/09x0r"},
    ]
    test = [{"video_id": "evaluated_0", "wav": "", "labels": "/m/09x0r"}]
    for name, items in (("audioset_20k_cleaned", train), ("audioset_eval_cleaned", test)):
        write_list(tmp_path, f"data/{name}.json", json.dumps({"data": items}))
    put("mp4/00W1lcxW-WU_40.000.mp4", "wav/-0RWZT-miFs.wav", "mp4/evaluated_0.mp4")
    source = read_source(tmp_path)
    assert (source.layout, source.label_names[2]) == ("AudioSet", "Dog")
    assert found(source) == {
        "mp4/00W1lcxW-WU_40.000.mp4": (["Speech", "Dog"], "train"),
        "wav/-0RWZT-miFs.wav": (["Male speech, man speaking"], "train"),
        "mp4/evaluated_0.mp4": (["Speech"], "test"),
    }
    assert source.missing == {"audioset_20k_cleaned": ("vanished_00",)}
    write_list(
        tmp_path, "data/audioset_eval_cleaned.json", json.dumps({"data": [{"video_id": "evaluated_0"}]})
    )
    with pytest.raises(SourceError, match=r"must have `video_id` or `wav`, and `labels`. Received: KeyError"):
        read_source(tmp_path)


# --- VGGSound

VGGSOUND = (
    "---g-f_I2yQ,1,people marching,test",
    "--0PQM4-hqg,30,waterfall burbling,train",
    '--56QUhyDQM,185,"playing violin, fiddle",train',
)


def test_vggsound_has_no_header_and_labels_with_commas(tmp_path, put):
    write_list(tmp_path, "vggsound.csv", *VGGSOUND)
    put("video/---g-f_I2yQ_000001.mp4", "video/--56QUhyDQM_000185.mp4")
    source = read_source(tmp_path)
    assert source.layout == "VGGSound" and not source.multi_label
    assert source.label_names == ("people marching", "playing violin, fiddle", "waterfall burbling")
    assert found(source) == {
        "video/---g-f_I2yQ_000001.mp4": (["people marching"], "test"),
        "video/--56QUhyDQM_000185.mp4": (["playing violin, fiddle"], "train"),
    }
    assert (source.official, source.missing) == ({"test": 1, "train": 2}, {"train": ("--0PQM4-hqg",)})


def test_the_lists_of_vggsounds_repository_name_files(tmp_path, put):
    write_list(tmp_path, "data/train.csv", "--0PQM4-hqg_000030.mp4,waterfall burbling")
    write_list(
        tmp_path,
        "data/test.csv",
        '---g-f_I2yQ_000001.mp4,"playing violin, fiddle"',
        "gone_000000_000001.mp4,hail",
    )
    put("--0PQM4-hqg_000030.wav", "---g-f_I2yQ_000001.wav")
    source = read_source(tmp_path)
    assert (source.layout, source.label_names[0]) == ("VGGSound", "hail")
    assert found(source) == {
        "--0PQM4-hqg_000030.wav": (["waterfall burbling"], "train"),
        "---g-f_I2yQ_000001.wav": (["playing violin, fiddle"], "test"),
    }
    assert source.missing == {"test": ("gone_000000",)}


def test_rows_of_vggsound_that_are_no_rows_are_named(tmp_path, put):
    write_list(tmp_path, "vggsound.csv", *VGGSOUND, "x,1,hail")
    put("---g-f_I2yQ.mp4")
    with pytest.raises(SourceError, match="vggsound.csv line 4: bad_row: the row must have id, start, label"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    "row", ["x,nan,hail,test", "x,,hail,test", "x,1,,test", "x,1,hail,half", ",1,hail,test"]
)
def test_a_row_of_vggsound_has_an_id_a_start_a_label_and_a_known_split(tmp_path, put, row):
    write_list(tmp_path, "vggsound.csv", "youtube_id,start_seconds,label,split", *VGGSOUND)
    put("---g-f_I2yQ.mp4")
    assert found(read_source(tmp_path)) == {"---g-f_I2yQ.mp4": (["people marching"], "test")}
    write_list(tmp_path, "vggsound.csv", "youtube_id,start_seconds,label,split", *VGGSOUND, row)
    with pytest.raises(SourceError, match="vggsound.csv line 5: bad_row: .* Received: 4 cells"):
        read_source(tmp_path)


# --- Kinetics


def test_kinetics_of_the_cvdf_has_annotations_and_replacements(tmp_path, put):
    kinetics(tmp_path)
    replacement = "replacement/replacement_for_corrupted_k400/0347ZoDXyP0_000095_000105.mp4"
    put("train/-3B32lodo2M_000059_000069.mp4", "train/0347ZoDXyP0_000095_000105.mp4", replacement)
    put("val/0wR5jVB-WPk_000416_000426.mp4", "test/kFC3KY2bOP8_000005_000015.mp4")
    source = read_source(tmp_path)
    assert (source.layout, source.label_names) == ("Kinetics", ("abseiling", "air drumming"))
    assert found(source) == {
        "train/-3B32lodo2M_000059_000069.mp4": (["air drumming"], "train"),
        replacement: (["abseiling"], "train"),
        "val/0wR5jVB-WPk_000416_000426.mp4": (["air drumming"], "val"),
        "test/kFC3KY2bOP8_000005_000015.mp4": (["abseiling"], "test"),
    }
    assert source.official == {"test": 1, "train": 3, "val": 1}
    assert source.missing == {"train": ("vanished_00",)}
    assert "train/0347ZoDXyP0_000095_000105.mp4" in source.ignored


def test_kinetics_may_lie_in_class_folders_below_its_lists(tmp_path, put):
    kinetics(tmp_path, "")
    put("videos/train/air drumming/-3B32lodo2M_000059_000069.mp4", "videos/val/air_drumming/0wR5jVB-WPk.webm")
    source = read_source(tmp_path)
    assert source.layout == "Kinetics"
    assert {split for _, split in found(source).values()} == {"train", "val"}
    assert source.missing["test"] == ("kFC3KY2bOP8",)


def test_the_first_kinetics_says_validate_and_hides_the_labels_of_its_test(tmp_path, put):
    header = "label,youtube_id,time_start,time_end,split"
    write_list(tmp_path, "kinetics_val.csv", header, "abseiling,0wR5jVB-WPk,417,427,validate")
    write_list(tmp_path, "kinetics_test.csv", header.removeprefix("label,"), "kFC3KY2bOP8,5,15,test")
    put("0wR5jVB-WPk_000417_000427.mp4", "kFC3KY2bOP8_000005_000015.mp4")
    source = read_source(tmp_path)
    assert found(source) == {"0wR5jVB-WPk_000417_000427.mp4": (["abseiling"], "val")}
    assert source.official == {"val": 1}


@pytest.mark.parametrize(
    "row", ["abseiling,x,nan,1,val", "abseiling,x,0,soon,val", ",x,0,1,val", "abseiling,x,0,1,"]
)
def test_a_row_of_kinetics_has_a_label_an_id_times_and_a_known_split(tmp_path, put, row):
    header = "label,youtube_id,time_start,time_end,split"
    put("0wR5jVB-WPk_000417_000427.mp4")
    write_list(tmp_path, "val.csv", header, "abseiling,0wR5jVB-WPk,417,,val")  # an end that is not given
    assert read_source(tmp_path).official == {"val": 1}
    write_list(tmp_path, "val.csv", header, "abseiling,0wR5jVB-WPk,417,,val", row)
    with pytest.raises(SourceError, match="val.csv line 3: bad_row: .* Received: 5 cells"):
        read_source(tmp_path)


def test_the_folders_of_mmaction2_are_class_folders(tmp_path, put):
    put("videos_train/air_drumming/a.mp4", "videos_train/abseiling/b.mp4", "videos_val/abseiling/c.mp4")
    source = read_source(tmp_path)
    assert source.layout == "class folders"
    assert found(source)["videos_val/abseiling/c.mp4"] == (["abseiling"], "val")
    assert found(source)["videos_train/air_drumming/a.mp4"] == (["air_drumming"], "train")


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (("kinetics400_train_list_videos.txt", "kinetics400_val_list_videos.txt"), ""),
        (("train.csv", "val.csv"), "videos_{}/"),
        (("annotations/train.txt", "annotations/val.txt"), "{}/"),
    ],
    ids=["mmaction2", "slowfast", "own folder"],
)
def test_lists_of_paths_and_label_numbers_are_read(tmp_path, put, names, prefix):
    write_list(tmp_path, names[0], "air drumming/a b.mp4 1", "abseiling/b.mp4 0", "abseiling/gone.mp4 0")
    write_list(tmp_path, names[1], "abseiling/c.mp4 0", mark="\ufeff", end="\r\n")
    write_list(tmp_path, "label_map_k400.txt", "abseiling", "air drumming", "zumba")
    train, val = prefix.format("train"), prefix.format("val")
    put(f"{train}air drumming/a b.mp4", f"{train}abseiling/b.mp4", f"{val}abseiling/c.mp4")
    source = read_source(tmp_path)
    assert (source.layout, source.label_names) == ("list of paths", ("abseiling", "air drumming", "zumba"))
    assert found(source) == {
        f"{train}air drumming/a b.mp4": (["air drumming"], "train"),
        f"{train}abseiling/b.mp4": (["abseiling"], "train"),
        f"{val}abseiling/c.mp4": (["abseiling"], "val"),
    }
    assert (source.official, source.missing) == ({"train": 3, "val": 1}, {"train": ("abseiling/gone.mp4",)})


def test_without_a_label_map_files_that_are_missing_take_no_class_away(tmp_path, put):
    write_list(tmp_path, "train.csv", "a.mp4 0", "b.mp4 1", "gone.mp4 4")
    put("a.mp4", "b.mp4")
    assert read_source(tmp_path).label_names == ("0", "1", "2", "3", "4")
    write_list(tmp_path, "train.csv", "a.mp4 0", "b.mp4 100001")
    with pytest.raises(SourceError, match="train.csv line 2: bad_label: '100001' is not a label"):
        read_source(tmp_path)


def test_a_list_of_validation_is_told_by_other_words_too(tmp_path, put):
    put("a.mp4", "b.mp4", "c.wav")
    write_list(tmp_path, "kinetics_training_list.txt", "a.mp4 0")
    write_list(tmp_path, "kinetics_validation_list.txt", "b.mp4 0")
    assert found(read_source(tmp_path)) == {"a.mp4": (["0"], "train"), "b.mp4": (["0"], "val")}
    write_list(tmp_path, "class_labels_indices.csv", *CLASSES)
    item = {"video_id": "c", "wav": "", "labels": "/m/09x0r"}
    write_list(tmp_path, "audioset_valid.json", json.dumps({"data": [item]}))
    assert found(read_source(tmp_path)) == {"c.wav": (["Speech"], "val")}


def test_one_list_of_paths_is_a_source_without_splits(tmp_path, put):
    put(*(f"{n}.mp4" for n in range(6)))
    path = write_list(tmp_path, "all.txt", *(f"{n}.mp4 {n % 2}" for n in range(6)))
    source = read_source(path, test_fraction=0.4)
    assert source.label_names == ("0", "1")
    assert len(source.split("test").entries) == 2 and len(source.split("train").entries) == 4
    write_list(tmp_path, "all.txt", "0.mp4 0", "no label.mp4")
    with pytest.raises(SourceError, match=r"all.txt line 2: bad_row: .*Received: no label.mp4"):
        read_source(path)
    write_list(tmp_path, "all.txt", "gone.mp4 0")
    with pytest.raises(SourceError, match="None of the files on the list is there. The first: 'gone.mp4'"):
        read_source(path)


# --- ESC-50


def test_each_fold_of_esc50_can_be_the_test(tmp_path, put):
    names = esc50(tmp_path)
    put(*(f"audio/{name}" for name in names))
    assert read_source(tmp_path).label_names == ("dog", "rooster")
    for fold, tested in enumerate(names, start=1):
        source = read_source(tmp_path, test_fold=fold)
        assert source.layout == "ESC-50"
        assert [entry.id for entry in source.split("test").entries] == [f"audio/{tested}"]
        assert len(source.split("train").entries) == 2
        assert not source.missing
    assert read_source(tmp_path) == read_source(tmp_path, test_fold=1)
    fingerprints = {read_source(tmp_path, test_fold=fold).fingerprint for fold in (1, 2, 3)}
    assert len(fingerprints) == 3  # shards of one fold are not taken for those of another


def test_a_fold_that_is_not_there_is_refused(tmp_path, put):
    put(*(f"audio/{name}" for name in esc50(tmp_path)))
    with pytest.raises(SourceError, match=r"must be one of the folds, \[1, 2, 3\]. Received: test_fold=6"):
        read_source(tmp_path, test_fold=6)
    write_list(tmp_path, "meta/esc50.csv", "filename,target", "1-100032-A-1.wav,1")
    with pytest.raises(SourceError, match="must have the columns filename, fold, target, category"):
        read_source(tmp_path)


def test_other_layouts_have_no_folds(tmp_path, put):
    put("dog/1.mp4", "cat/2.mp4")
    assert read_source(tmp_path).layout == "class folders"
    with pytest.raises(SourceError, match="`test_fold` must be None: only ESC-50 comes in folds"):
        read_source(tmp_path, test_fold=1)


# --- Lists of ids


def test_a_list_of_ids_has_no_labels(tmp_path, put):
    path = write_list(
        tmp_path, "ids.txt", "# from YouTube-8M", "-abcdefghij", "", "0123_567_90", "vanished_00"
    )
    put("part1/-abcdefghij.mp4", "part2/0123_567_90.webm", "part2/another_one.mp4")
    source = read_source(path, test_fraction=0.5)
    assert source == read_source(tmp_path, test_fraction=0.5)
    assert (source.layout, source.label_names, source.multi_label) == ("list of ids", (), False)
    assert {names == [] for names, _ in found(source).values()} == {True}
    assert sorted(split for _, split in found(source).values()) == ["test", "train"]
    assert (source.official, source.missing) == ({"all": 3}, {"all": ("vanished_00",)})


def test_lists_of_ids_may_name_their_split(tmp_path, put):
    write_list(tmp_path, "train_ids.txt", "-abcdefghij")
    write_list(tmp_path, "validate_ids.txt", "0123_567_90")
    put("-abcdefghij.mp4", "0123_567_90.mp4")
    assert found(read_source(tmp_path)) == {
        "-abcdefghij.mp4": ([], "train"),
        "0123_567_90.mp4": ([], "val"),
    }


def test_a_list_without_a_split_beside_one_that_has_it_is_refused(tmp_path, put):
    write_list(tmp_path, "ids.txt", "-abcdefghij")
    write_list(tmp_path, "test_ids.txt", "0123_567_90")
    put("-abcdefghij.mp4", "0123_567_90.mp4")
    with pytest.raises(SourceError, match="Either all clips name their split or none. Received: 1 of 2"):
        read_source(tmp_path)


def test_a_plain_folder_of_files_has_no_labels_and_cannot_be_classified(tmp_path, put):
    put("1.mp4", "2.wav", "3.mkv")
    source = read_source(tmp_path, test_fraction=0.34)
    assert (source.layout, source.label_names) == ("a folder of files", ())
    assert sorted(split for _, split in found(source).values()) == ["test", "train", "train"]
    with pytest.raises(SourceError, match="These clips have no labels"):
        open_clip_data(tmp_path)
    put("dog/4.mp4")  # now there are classes, and files of none
    with pytest.raises(SourceError, match="does not lie directly in a class folder"):
        read_source(tmp_path)


def test_pipes_beside_the_clips_are_never_waited_for(tmp_path, put):
    put("1.mp4", "2.wav")
    for name in ("train.csv", "data/x.json", "meta/esc50.csv", "ids.txt", "vggsound.csv", "label_map.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        os.mkfifo(tmp_path / name)
    assert read_source(tmp_path).layout == "a folder of files"
    os.mkfifo(tmp_path / "3.mp4")
    with pytest.raises(SourceError, match="'3.mp4' is not a regular file"):
        read_source(tmp_path)


def test_a_layout_is_told_by_the_beginning_of_a_list(tmp_path):
    path = tmp_path / "train.csv"
    path.write_bytes(b"# a remark\r\n\r\n a line \r\n" + b"x" * (1 << 20))
    assert first_line(str(path)) == "a line"
    path.write_bytes(b"x" * (1 << 20))
    assert len(first_line(str(path))) == 1 << 16


def test_clips_lie_at_any_depth_and_links_to_folders_above_end(tmp_path):
    deep = "videos/a/b/c/d/e/f"
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / deep / "1.mp4").touch()
    (tmp_path / "elsewhere/2.mp4").touch()
    (tmp_path / deep / "above").symlink_to(tmp_path / "videos")
    (tmp_path / deep / "itself").symlink_to(".")
    (tmp_path / "videos/beside").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path)
    found = {where: names for where, names in walk_files(str(tmp_path)) if names}
    assert found == {deep: ["1.mp4"], "elsewhere": ["2.mp4"], "videos/beside": ["2.mp4"]}


def test_links_out_of_the_folder_are_named_before_they_are_walked(tmp_path):
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog/1.mp4").touch()
    (tmp_path / "cat").symlink_to("/proc")
    with pytest.raises(SourceError, match="'cat' is a link to '/proc', which is outside"):
        read_source(tmp_path)


def test_folders_that_link_to_each_other_are_refused_soon(tmp_path):
    for folder in range(12):
        (tmp_path / str(folder)).mkdir()
    for folder in range(12):
        for other in range(12):
            (tmp_path / str(folder) / f"to{other}").symlink_to(tmp_path / str(other))
    with pytest.raises(SourceError, match="More than 10000 paths lead to the folder"):
        list(walk_files(str(tmp_path)))
