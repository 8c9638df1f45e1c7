"""The layouts of the public data sets are recognised, and every pair is read as it lies there."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests import flow_maker as made
from tests.image_maker import write
from zorro_keras.applications.pipelines.faults import MediaError, SourceError
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.flow_float_files import encode_flo
from zorro_keras.applications.pipelines.flow_kitti_files import encode_kitti
from zorro_keras.applications.pipelines.flow_pairs import read_frame, read_pair
from zorro_keras.applications.pipelines.flow_sources import read_flow_source

LEFT = made.left_columns


def check_pair(entry, root, first, second, flow):
    pair = read_pair(entry, root=root)
    np.testing.assert_array_equal(pair.frames, np.stack([made.picture(first), made.picture(second)]))
    np.testing.assert_array_equal(pair.flow[pair.valid], made.flow(flow).flow[pair.valid])
    assert not pair.flow[~pair.valid].any()
    return pair


def test_sintel_has_two_passes_occlusions_and_pixels_not_to_be_used(tmp_path):
    source = read_flow_source(made.sintel(tmp_path))
    assert (source.layout, source.names_splits, len(source.entries)) == ("sintel", False, 8)
    entry = next(entry for entry in source.entries if entry.id == "final/bamboo_2/frame_0002")
    pair = check_pair(entry, source.root, 12, 13, 12)
    np.testing.assert_array_equal(pair.valid, ~LEFT(2))
    np.testing.assert_array_equal(pair.matched, ~LEFT(3))
    for scene in ("alley_1", "bamboo_2"):  # all frames of a film, in both passes, stay together
        assert len({entry.split for entry in source.entries if entry.scene == scene}) == 1
    assert {entry.split for entry in source.entries} == {"train", "test"}


def test_flying_chairs_has_a_file_of_splits(tmp_path):
    source = read_flow_source(made.flying_chairs(tmp_path))
    assert (source.layout, source.names_splits) == ("flying_chairs", True)
    assert [entry.split for entry in source.entries] == ["train", "val", "train"]
    pair = check_pair(source.entries[1], source.root, 21, 22, 2)
    assert pair.valid.all() and pair.matched is None
    source = read_flow_source(tmp_path / "FlyingChairs_release" / "data")
    assert (source.layout, source.names_splits, len(source.entries)) == ("flying_chairs", False, 3)


@pytest.mark.parametrize("splits", ["1\n2\n", "1\n2\n3\n", "1\n2\n1\n1\n"])
def test_a_file_of_splits_that_does_not_fit_is_refused(splits, tmp_path):
    with pytest.raises(SourceError, match=r"a 1 \(train\) or 2 \(val\) for each of the 3 pairs"):
        read_flow_source(made.flying_chairs(tmp_path, splits))


def test_flying_things_goes_into_future_and_past(tmp_path):
    source = read_flow_source(made.flying_things(tmp_path))
    assert (source.layout, source.names_splits) == ("flying_things", True)
    # Of three frames two have a next one, and two one before; the rest leads to a frame that is not there.
    assert len(source.entries) == 3 * 4 and len(source.split("test")) == 4
    assert {entry.rendering for entry in source.entries} == {"frames_cleanpass"}
    by_id = {entry.id: entry for entry in source.entries}
    check_pair(by_id["frames_cleanpass/TRAIN/B/0000/into_future/left/0006"], source.root, 6, 7, 6)
    check_pair(by_id["frames_cleanpass/TEST/A/0000/into_past/left/0008"], source.root, 8, 7, 8)


def test_kitti_is_sparse_and_tells_what_is_seen_twice(tmp_path):
    source = read_flow_source(made.kitti(tmp_path), test_fraction=0.25)
    assert (source.layout, source.names_splits) == ("kitti", False)
    assert sorted(entry.split for entry in source.entries) == ["test", "train", "train", "train"]
    entry = source.entries[3]
    assert entry.id == "000003_10"
    pair = check_pair(entry, source.root, 13, 14, 3)
    np.testing.assert_array_equal(pair.valid, made.sparse(made.flow(3), 3).valid)
    assert 0 < pair.valid.sum() < pair.valid.size
    np.testing.assert_array_equal(pair.matched, pair.valid & ~LEFT(5))


def test_kitti_without_what_is_seen_twice_says_nothing_of_it(tmp_path):
    source = read_flow_source(made.kitti(tmp_path, noc=False))
    assert read_pair(source.entries[0]).matched is None


def test_a_pair_of_kitti_may_be_hidden_whole_but_not_unknown(tmp_path):
    source = read_flow_source(made.kitti(tmp_path))
    nothing = FlowField(np.zeros((made.HEIGHT, made.WIDTH, 2), "float32"), LEFT(0))
    write(tmp_path / "training/flow_noc/000003_10.png", encode_kitti(nothing))
    pair = check_pair(source.entries[3], source.root, 13, 14, 3)
    assert pair.valid.any() and not pair.matched.any()
    write(tmp_path / "training/flow_occ/000003_10.png", encode_kitti(nothing))
    with pytest.raises(MediaError, match="Not one pixel of the flow is known") as caught:
        read_pair(source.entries[3])
    assert caught.value.reason == "empty_flow" and "flow_occ" in caught.value.path


@pytest.mark.parametrize("between", ["", "more"])
def test_all_four_parts_of_autoflow_are_read(between, tmp_path):
    source = read_flow_source(made.autoflow(tmp_path, between))
    assert source.layout == "autoflow"
    parts = [entry.id.split("/")[0] for entry in source.entries]
    assert parts == [f"static_40k_png_{number}_of_4" for number in (1, 2, 3, 4)]
    check_pair(source.entries[2], source.root, 30, 31, 3)


def test_autoflow_may_lie_a_folder_deeper_or_be_one_part(tmp_path):
    made.autoflow(tmp_path / "train", parts=(1, 3))
    assert len(read_flow_source(tmp_path).entries) == 2
    part = read_flow_source(tmp_path / "train" / "static_40k_png_3_of_4")
    assert part.layout == "autoflow" and len(part.entries) == 1
    write(tmp_path / "train/static_40k_png_1_of_4/table_1_video_0/im2.png", b"another")
    with pytest.raises(SourceError, match="A sequence of AutoFlow has two pictures"):
        read_flow_source(tmp_path)


def test_a_plain_folder_of_triples_is_read(tmp_path):
    made.triples(tmp_path / "a", splits=("train", "test"))
    source = read_flow_source(tmp_path / "a")
    assert (source.layout, source.names_splits, len(source.split("train"))) == ("triples", True, 4)
    check_pair(source.entries[-1], source.root, 7, 8, 3)
    made.triples(tmp_path / "b" / "deep" / "folder")
    source = read_flow_source(tmp_path / "b", test_fraction=0.5)
    counts = [len(source.split(name)) for name in ("train", "test")]
    assert min(counts) > 0 and sum(counts) == len(source.split(None)) == 4


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [("train", "validation", "val"), ("Train", "Test", "test"), ("training", "testing", "test")],
)
def test_folders_of_splits_are_named_as_people_do(train, other, split, tmp_path):
    source = read_flow_source(made.triples(tmp_path, count=2, splits=(train, other)))
    assert source.names_splits
    assert {entry.id.split("/")[0]: entry.split for entry in source.entries} == {train: "train", other: split}


@pytest.mark.parametrize("other", ["", "more", "deep/test"])
def test_pairs_beside_folders_of_splits_are_refused(other, tmp_path):
    made.triples(tmp_path, count=2, splits=("train", "test", other))
    with pytest.raises(SourceError, match=r"in a folder of a split, and 2 do not, the first: \['") as caught:
        read_flow_source(tmp_path)
    assert caught.value.reason == "bad_split" and str(Path(other) / "walk0") in caught.value.message


def test_names_that_only_look_like_triples_are_passed_over(tmp_path):
    made.triples(tmp_path, count=2)
    for name in ("walk0_flow.v2.flo", "walk0_flow.old.png"):
        write(tmp_path / name, b"kept for later")
    assert [entry.id for entry in read_flow_source(tmp_path).entries] == ["walk0", "walk1"]


def test_suffixes_may_be_upper_case(tmp_path):
    for frame in (1, 2):
        write(tmp_path / f"own_{frame}.PNG", made.png(made.picture(40 + frame)))
    write(tmp_path / "own_flow.FLO", encode_flo(made.flow(9)))
    write(tmp_path / "own_occlusion.PNG", made.mask(LEFT(4)))
    source = read_flow_source(tmp_path)
    pair = check_pair(source.entries[0], source.root, 41, 42, 9)
    np.testing.assert_array_equal(pair.matched, ~LEFT(4))


@pytest.mark.parametrize(
    ("suffix", "encode", "names"),
    [(".png", encode_kitti, ("_img1.ppm", "_img2.ppm")), (".flo", encode_flo, ("_1.bmp", "_2.png"))],
)
def test_triples_may_be_of_several_formats(suffix, encode, names, tmp_path):
    made.triples(tmp_path, count=2)
    content = {".ppm": made.ppm, ".png": made.png, ".bmp": made.png}
    for number, name in enumerate(names):
        path = tmp_path / f"own{name}"
        write(path, content[path.suffix](made.picture(40 + number)))
    write(tmp_path / f"own_flow{suffix}", encode(made.flow(9)))
    write(tmp_path / "own_occlusion.png", made.mask(LEFT(4)))
    source = read_flow_source(tmp_path)
    pair = check_pair(source.entries[0], source.root, 40, 41, 9)
    np.testing.assert_array_equal(pair.matched, ~LEFT(4))


def test_a_picture_that_is_missing_or_there_twice_is_named(tmp_path):
    made.triples(tmp_path)
    (tmp_path / "walk2_2.png").rename(tmp_path / "other.png")
    with pytest.raises(SourceError, match="The picture walk2_2.png is missing"):
        read_flow_source(tmp_path)
    write(tmp_path / "walk2_2.png", b"x")
    write(tmp_path / "walk2_2.jpg", b"x")
    with pytest.raises(SourceError, match="walk2_2.png is there 2 times"):
        read_flow_source(tmp_path)


def test_files_of_a_layout_that_are_missing_are_named(tmp_path):
    made.sintel(tmp_path)
    (tmp_path / "training/final/alley_1/frame_0003.png").unlink()
    with pytest.raises(
        SourceError, match="1 files that belong to pairs are missing, the first: .*frame_0003"
    ):
        read_flow_source(tmp_path)


def test_a_pair_with_two_files_of_flow_is_refused(tmp_path):
    made.triples(tmp_path)
    write(tmp_path / "walk1_flow.png", encode_kitti(made.flow(1)))
    with pytest.raises(SourceError, match=r"1 pairs are listed twice, the first: \['walk1'\]"):
        read_flow_source(tmp_path)


def test_a_folder_of_none_of_the_layouts_is_refused(tmp_path):
    write(tmp_path / "a.png", made.png(made.picture(0)))
    with pytest.raises(SourceError, match="holds no pairs of frames with flow in a known layout: sintel"):
        read_flow_source(tmp_path)
    with pytest.raises(SourceError, match="read from a folder"):
        read_flow_source(tmp_path / "a.png")


def test_the_fingerprint_follows_the_files_and_not_the_place(tmp_path):
    prints = [read_flow_source(made.triples(tmp_path / name)).fingerprint for name in ("a", "b")]
    assert prints[0] == prints[1]
    write(tmp_path / "b" / "walk0_flow.flo", encode_flo(made.flow(0, 19, 22)))
    assert read_flow_source(tmp_path / "b").fingerprint != prints[0]
    assert read_flow_source(tmp_path / "a", seed=1, test_fraction=0.5).fingerprint != prints[0]


@pytest.mark.parametrize("test_fraction", [0.0, 1.0])
def test_all_or_nothing_may_be_held_out(test_fraction, tmp_path):
    source = read_flow_source(made.triples(tmp_path), test_fraction=test_fraction)
    assert {entry.split for entry in source.entries} == {"test" if test_fraction else "train"}
    with pytest.raises(SourceError, match="`split` must be one that holds pairs"):
        source.split("train" if test_fraction else "test")


@pytest.mark.parametrize(
    ("file", "size", "message"),
    [
        ("walk1_2.png", (19, 22), "The second frame has 22 x 19 px, the first frame 23 x 19"),
        ("walk1_1.png", (17, 23), "The second frame has 23 x 19 px, the first frame 23 x 17"),
        ("walk1_flow.flo", (19, 29), "The flow has 29 x 19 px, the first frame 23 x 19"),
        ("walk1_occlusion.png", (11, 23), "The mask has 23 x 11 px"),
    ],
)
def test_files_of_unequal_size_are_refused(file, size, message, tmp_path):
    made.triples(tmp_path)
    content = encode_flo(made.flow(1, *size)) if file.endswith("flo") else made.png(made.picture(1, *size))
    write(tmp_path / file, content)
    with pytest.raises(MediaError, match=message) as caught:
        read_pair(read_flow_source(tmp_path).entries[1])
    assert caught.value.reason == "unequal_sizes" and caught.value.path.endswith(
        "walk1_2.png" if file == "walk1_1.png" else file
    )


def test_a_mask_that_leaves_nothing_is_refused(tmp_path):
    source = read_flow_source(made.sintel(tmp_path))
    write(Path(source.entries[0].invalid), made.mask(LEFT(made.WIDTH)))
    with pytest.raises(MediaError, match="Not one pixel of the flow is valid"):
        read_pair(source.entries[0])


def test_nothing_outside_the_root_is_read(tmp_path):
    source = read_flow_source(made.triples(tmp_path / "in"))
    write(tmp_path / "out.png", made.png(made.picture(0)))
    astray = dataclasses.replace(source.entries[0], second=str(tmp_path / "out.png"))
    with pytest.raises(MediaError, match="outside the root"):
        read_pair(astray, root=source.root)


def test_grey_pictures_have_three_equal_channels_and_alpha_is_left_out(tmp_path):
    colour = made.picture(0)
    grey, alpha = colour[..., :1], np.concatenate([colour, colour[..., :1]], axis=-1)
    pgm = b"P5 23 19 255\n" + grey.tobytes()
    for name, data, expected in (
        ("grey.png", made.png(grey), np.repeat(grey, 3, axis=2)),
        ("grey.pgm", pgm, np.repeat(grey, 3, axis=2)),
        ("alpha.png", made.png(alpha), colour),
        ("colour.ppm", made.ppm(colour), colour),
    ):
        found = read_frame(write(tmp_path / name, data))
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.uint8


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        (made.ppm(made.picture(0))[:-1], "truncated", "needs 1311 bytes. Received: 1310"),
        (made.ppm(made.picture(0)) + b"x", "corrupt", "needs 1311 bytes. Received: 1312"),
        (b"P6 23 19", "truncated", "ends within its header"),
        (b"P6 23 0 255\n", "corrupt", "announces 23 x 0 px"),
        (b"P6 23 19 65535\n" + bytes(2622), "unsupported_codec", "largest value is 255 .* Received: 65535"),
        (b"P6 23 19 15\n" + bytes(1311), "unsupported_codec", "largest value is 255 .* Received: 15"),
        (b"P6 99999 99999 255\n", "too_large", "more than the 67108864 pixels allowed"),
        (b"P6 23 # 19\n", "truncated", "ends within its header"),
        (b"P6" + b" " * 4000, "truncated", "ends within its header"),  # must not cost 2 to the 4000th
        (b"P6" + b"\n#\n" * 1300, "truncated", "ends within its header"),
        (b"P5" + b" #" * 2000, "truncated", "ends within its header"),
        (b"text", "not_image", "is not a JPEG, PNG"),
    ],
)
def test_what_is_wrong_with_a_frame_is_said(data, reason, message, tmp_path):
    with pytest.raises(MediaError, match=message) as caught:
        read_frame(write(tmp_path / "a.ppm", data))
    assert caught.value.reason == reason


def test_comments_and_any_whitespace_may_stand_between_the_numbers(tmp_path):
    colour = made.picture(0)
    for header in (
        b"P6\n# 7 7 #\n#\n\t 23#8\n\r\n19 # of a camera\n255\n",
        b"P6" + b" " * 4000 + b"23 19 255\n",
    ):
        found = read_frame(write(tmp_path / "colour.ppm", header + colour.tobytes()))
        np.testing.assert_array_equal(found, colour)


def test_a_ppm_of_other_depths_is_told_how_to_be_saved(tmp_path):
    with pytest.raises(MediaError) as caught:
        read_frame(write(tmp_path / "a.ppm", b"P6 23 19 15\n" + bytes(1311)))
    assert caught.value.advice == "Save the picture with 8 bits a channel and a largest value of 255."
