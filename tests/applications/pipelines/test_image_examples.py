"""Pictures read in order: every one accounted for, and a restart gives what follows."""

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from tests.image_maker import class_folders, encoded, pixels, write
from zorro_keras.applications.pipelines.accounted_reading import Reading
from zorro_keras.applications.pipelines.faults import MediaError, SourceError
from zorro_keras.applications.pipelines.host_errors import FaultSlot, host_errors
from zorro_keras.applications.pipelines.image_examples import image_examples
from zorro_keras.applications.pipelines.image_sources import read_image_source
from zorro_keras.applications.pipelines.order import evaluation_order, training_order


@pytest.fixture
def source(tmp_path):
    class_folders(tmp_path / "data", splits=("train",), count=5)
    return read_image_source(tmp_path / "data")


def read(source, start=0, take=None, random=False, **options):
    entries, faults = source.split("train"), FaultSlot()
    reading, num_classes = Reading(source.root, **options), len(source.label_names)
    order = partial(training_order, len(entries), 3) if random else partial(evaluation_order, len(entries))
    examples = image_examples(entries, order, reading, faults, num_classes=num_classes, start_position=start)
    with host_errors(faults):
        return list((examples if take is None else examples.take(take)).as_numpy_iterator())


def test_pictures_come_in_order_with_their_labels(source):
    examples = read(source)
    assert [example["position"] for example in examples] == list(range(15))
    for example, entry in zip(examples, source.entries, strict=True):
        assert example["labels"].tolist() == [float(k == entry.label_index) for k in range(3)]
        assert example["image"].shape[:2] == (20 + int(entry.id[-5]), 25 - int(entry.id[-5]))
        assert example["presence"] == {"image": True}


def test_a_restart_gives_what_follows_over_the_end_of_a_pass(source):
    whole = read(source, take=40, random=True)
    for start in (7, 15, 22):
        for found, expected in zip(
            read(source, start, 12, random=True), whole[start : start + 12], strict=True
        ):
            tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def test_more_threads_change_nothing(source):
    for found, expected in zip(read(source, num_workers=7), read(source), strict=True):
        np.testing.assert_array_equal(found["image"], expected["image"])


BAD = {
    "truncated": encoded("JPEG")[:400],
    "zero_length": b"",
    "not_image": b"not a picture, whatever its name",
    "too_small": encoded("PNG", pixels(1, 1)),
    "too_large": encoded("PNG", pixels(80, 80)),
}


def spoil(source, tmp_path):
    for entry, data in zip(source.entries[1::2], BAD.values(), strict=False):
        write(tmp_path / "data" / entry.id, data)
    return [entry.id for entry in source.entries[1 : 2 * len(BAD) : 2]]


def test_bad_pictures_keep_their_place_and_are_written_down(source, tmp_path):
    clean = read(source)
    spoiled = spoil(source, tmp_path)
    log = tmp_path / "faults.jsonl"
    examples = read(source, on_error="skip", max_bad_fraction=0.5, max_pixels=6000, faults_path=log)
    for entry, example, before in zip(source.entries, examples, clean, strict=True):
        if entry.id in spoiled:
            assert example["presence"] == {"image": False} and not example["labels"].any()
            assert example["image"].shape == (2, 2, 3) and not example["image"].any()
        else:
            np.testing.assert_array_equal(example["image"], before["image"])
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["id"], row["reason"]) for row in rows] == list(zip(spoiled, BAD, strict=True))
    assert all(row["outcome"] == "skipped" and row["advice"] for row in rows)


def test_too_many_bad_pictures_stop_the_run(source, tmp_path):
    spoil(source, tmp_path)
    with pytest.raises(SourceError, match="more than the share allowed"):
        read(source, on_error="skip", max_bad_fraction=0.2, max_pixels=6000)


def test_the_first_bad_picture_is_raised_by_name(source, tmp_path):
    spoiled = spoil(source, tmp_path)
    with pytest.raises(MediaError) as caught:
        read(source, max_pixels=6000)
    assert caught.value.reason == "truncated" and caught.value.path.endswith(spoiled[0])


def test_what_is_uncommon_but_used_is_written_down_once(source, tmp_path):
    write(tmp_path / "data" / source.entries[0].id, encoded("PNG"))  # a PNG called .jpg
    write(tmp_path / "data" / source.entries[2].id, encoded("JPEG", mode="CMYK"))
    log = tmp_path / "faults.jsonl"
    read(source, take=45, random=True, faults_path=log)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted((row["id"], *row["notes"]) for row in rows) == [
        (source.entries[0].id, "wrong_suffix"),
        (source.entries[2].id, "cmyk"),
    ]
    assert {row["outcome"] for row in rows} == {"used"}


def test_pictures_are_read_from_within_a_tar(source, tmp_path):
    data = [write(tmp_path / "x", b"").read_bytes()]  # no file: the pictures stand in one archive
    offset, entries = 0, []
    for number, entry in enumerate(source.entries):
        picture = encoded("PNG", pixels(7 + number, 9, number))
        data.append(picture)
        entries.append(
            dataclasses.replace(
                entry, path=str(tmp_path / "data" / "all.tar"), offset=offset, num_bytes=len(picture)
            )
        )
        offset += len(picture)
    write(tmp_path / "data" / "all.tar", b"".join(data))
    for number, example in enumerate(read(dataclasses.replace(source, entries=tuple(entries)))):
        np.testing.assert_array_equal(example["image"], pixels(7 + number, 9, number))
