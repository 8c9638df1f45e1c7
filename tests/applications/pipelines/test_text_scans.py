"""A large corpus is read once; what changed is read again, and a memory that is damaged does no harm."""

import os

import pytest

from zorro_keras.applications.pipelines import text_scans
from zorro_keras.applications.pipelines.text_readers import TextFiles


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Two files, settled for a while, which count as large; and the names of those that are read."""
    monkeypatch.setattr(text_scans, "CACHED_BYTES", 8)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, read = tmp_path / "corpus", []
    folder.mkdir()
    for name in ("a", "b"):
        settle(folder / f"{name}.txt", f"one {name}\n\ntwo {name}")
    scan = TextFiles._scan
    monkeypatch.setattr(TextFiles, "_scan", lambda files, path: read.append(path.name) or scan(files, path))
    return folder, read


def settle(path, text):
    path.write_text(text)
    os.utime(path, (10**9, 10**9))


def scans(folder, **settings):
    return TextFiles(folder, **settings).scans


def test_files_are_read_once_and_again_when_they_change(corpus):
    folder, read = corpus
    first = scans(folder)
    assert read == ["a.txt", "b.txt"] and [scan.num_texts["train"] for scan in first] == [2, 2]
    assert scans(folder) == first and len(read) == 2
    settle(folder / "b.txt", "one alone of another size")
    assert scans(folder)[1].num_texts["train"] == 1 and read[2:] == ["b.txt"]
    assert scans(folder)[0] == first[0] and len(read) == 3


def test_other_settings_are_other_scans(corpus):
    folder, read = corpus
    first = scans(folder)
    assert scans(folder, seed=1) != first and len(read) == 4
    assert scans(folder) == first and len(read) == 4


def test_a_file_that_is_still_being_written_is_read_each_time(corpus):
    folder, read = corpus
    (folder / "a.txt").write_text("fresh\n\nfresh")
    for _ in range(2):
        scans(folder)
    assert read == ["a.txt", "b.txt", "a.txt"]


def test_small_files_leave_nothing_behind(corpus, tmp_path, monkeypatch):
    folder, read = corpus
    monkeypatch.setattr(text_scans, "CACHED_BYTES", 1 << 20)
    for _ in range(2):
        scans(folder)
    assert len(read) == 4 and not (tmp_path / "cache").exists()


def test_a_damaged_memory_is_made_anew_and_none_is_needed(corpus, tmp_path, monkeypatch):
    folder, read = corpus
    first = scans(folder)
    (kept,) = (tmp_path / "cache" / "zorro_keras" / "text_scans").iterdir()
    kept.write_text(kept.read_text()[:-5])
    assert scans(folder) == first and len(read) == 4
    assert scans(folder) == first and len(read) == 4
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept / "below a file"))
    assert scans(folder) == first and len(read) == 6


def test_a_start_that_is_cut_off_keeps_what_it_has_read(corpus, monkeypatch):
    folder, read = corpus
    counting = TextFiles._scan

    def cut_off(files, path):
        if path.name == "b.txt":
            raise KeyboardInterrupt
        return counting(files, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TextFiles, "_scan", cut_off)
        scans(folder)
    scans(folder)
    assert read == ["a.txt", "b.txt"]
