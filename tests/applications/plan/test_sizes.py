import pytest

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.plan.sizes import bytes_of, in_bytes, in_flops


@pytest.mark.parametrize(
    ("text", "size"),
    [("16GB", 16 * 10**9), ("80GiB", 80 * 2**30), ("512 mb", 512 * 10**6), ("1.5TB", 15 * 10**11)],
)
def test_a_size_is_read_with_its_unit(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["16", "GB", "-4GB", "0GB", "16 GBit", "sixteen", "", "1e3GB", "nanGB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ConfigError, match="must be the memory of a device.*Received: "):
        bytes_of(text)


def test_sizes_and_flops_are_written_with_three_digits():
    sizes = (0, 999, 1000, 9990, 10_000, 123_456, 999_900, 3_861_000_000)
    written = ["0 B", "999 B", "1.00 kB", "9.99 kB", "10.0 kB", "123 kB", "1.00 MB", "3.86 GB"]
    assert [in_bytes(size) for size in sizes] == written
    assert in_flops(425_454_434_304) == "425 GFLOP" and in_flops(2048) == "2.05 kFLOP"
