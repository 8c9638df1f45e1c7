"""What TensorFlow reports becomes the project's own error, with its reason and its exit code."""

import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.faults import MediaError, ShardError  # noqa: E402
from zorro_keras.applications.pipelines.host_errors import FaultSlot, host_errors  # noqa: E402
from zorro_keras.applications.pipelines.records import read_record  # noqa: E402


def test_the_error_of_a_generator_comes_back_whole():
    slot = FaultSlot()
    fault = MediaError("The file is damaged.", path="a.mp4", reason="corrupt")

    def generate():
        yield 1
        slot.put(fault)
        raise fault

    dataset = tf.data.Dataset.from_generator(generate, output_signature=tf.TensorSpec([], tf.int32))
    with pytest.raises(MediaError, match="damaged") as caught, host_errors(slot):
        list(dataset)
    assert caught.value is fault
    assert slot.take() is None


def test_a_damaged_shard_is_a_shard_error(tmp_path):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"payload")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(ShardError, match="^corrupted record") as caught, host_errors(FaultSlot()):
        read_record(str(path), 0)
    assert (caught.value.reason, caught.value.exit_code) == ("checksum", 3)


def test_a_missing_shard_is_a_shard_error(tmp_path):
    with pytest.raises(ShardError, match=r"gone\.tfrecord") as caught, host_errors(FaultSlot()):
        read_record(str(tmp_path / "gone.tfrecord"), 0)
    assert caught.value.reason == "missing_file"


def test_the_files_are_looked_at_again_so_that_the_damaged_one_is_named(tmp_path):
    def verify():
        raise ShardError("The shard changed.", path="b.tfrecord", reason="checksum")

    with pytest.raises(ShardError, match=r"b\.tfrecord"), host_errors(FaultSlot(verify)):
        read_record(str(tmp_path / "gone.tfrecord"), 0)
    with pytest.raises(ShardError, match=r"gone\.tfrecord"), host_errors(FaultSlot(lambda: None)):
        read_record(str(tmp_path / "gone.tfrecord"), 0)


def test_other_errors_pass_untouched():
    with pytest.raises(tf.errors.InvalidArgumentError), host_errors(FaultSlot()):
        tf.reshape([1, 2], [3])
    with pytest.raises(KeyError), host_errors(FaultSlot()):
        raise KeyError("x")
    with host_errors(FaultSlot()):
        pass
