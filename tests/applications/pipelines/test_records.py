"""Random access to TFRecords: the right record, or an error."""

import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.records import read_record  # noqa: E402

PAYLOADS = [b"record %d " % number * (number + 1) for number in range(11)]
# A record is a length (8 bytes) and its checksum (4), then the payload and its checksum (4).
OFFSETS = [sum(16 + len(payload) for payload in PAYLOADS[:number]) for number in range(11)]


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in PAYLOADS:
            writer.write(payload)
    return path


def test_any_record_can_be_read_eagerly(shard):
    for number in (10, 0, 5, 5):
        assert read_record(str(shard), OFFSETS[number]).numpy() == PAYLOADS[number]


def test_any_record_can_be_read_inside_a_parallel_map(shard):
    numbers = [7, 1, 10, 0, 3, 3, 9]
    places = tf.data.Dataset.from_tensor_slices([OFFSETS[number] for number in numbers])
    records = places.map(
        lambda offset: read_record(str(shard), offset), num_parallel_calls=4, deterministic=True
    )
    assert list(records.as_numpy_iterator()) == [PAYLOADS[number] for number in numbers]


@pytest.mark.parametrize("place", [2, 9, 14, 40])
def test_a_flipped_byte_is_noticed(shard, place):
    content = bytearray(shard.read_bytes())
    content[OFFSETS[4] + place] ^= 1
    shard.write_bytes(content)
    assert read_record(str(shard), OFFSETS[5]).numpy() == PAYLOADS[5]
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        read_record(str(shard), OFFSETS[4])


def test_a_cut_record_is_noticed(shard):
    shard.write_bytes(shard.read_bytes()[: OFFSETS[4] + 20])
    assert read_record(str(shard), OFFSETS[3]).numpy() == PAYLOADS[3]
    with pytest.raises(tf.errors.DataLossError, match="truncated record"):
        read_record(str(shard), OFFSETS[4])


def test_a_shard_cut_between_records_is_noticed(shard):
    shard.write_bytes(shard.read_bytes()[: OFFSETS[4]])
    assert read_record(str(shard), OFFSETS[3]).numpy() == PAYLOADS[3]
    with pytest.raises(tf.errors.InvalidArgumentError, match="empty"):
        read_record(str(shard), OFFSETS[4])


def test_a_wrong_offset_is_noticed(shard):
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        read_record(str(shard), OFFSETS[4] + 1)


def test_a_missing_shard_is_noticed(tmp_path):
    with pytest.raises(tf.errors.NotFoundError, match="no-such"):
        read_record(str(tmp_path / "no-such.tfrecord"), 0)
