"""Large blocks that are freed and taken again, in processes of their own."""

import platform
import subprocess
import sys

import pytest

BLOCK = """
import resource, sys

if sys.argv[1] == "kept":
    from zorro_keras.applications.freed_memory import keep_freed_memory
    assert keep_freed_memory()

SIZE = 64_000_000  # a name: a constant would be computed but once

def page_faults_of_a_block():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * SIZE
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

page_faults_of_a_block()
print(page_faults_of_a_block())
"""


def faults(kind):
    command = [sys.executable, "-c", BLOCK, kind]
    return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told")
def test_a_block_that_was_freed_is_taken_again_without_new_pages():
    assert faults("kept") < 10
    assert faults("returned") > 900  # 64 MB in pages of 4, 16 or 64 kB
