"""The folder of an index is replaced where it is one, and nothing else is."""

import json

import pytest

from zorro_keras.applications.audio_visual_pretraining.clip_index import writing_index
from zorro_keras.applications.pipelines.faults import ConfigError


def write(folder, **about):
    """A folder that says of itself what it holds."""
    folder.mkdir()
    (folder / "index.json").write_text(json.dumps(about))
    (folder / "audio.npy").write_text("before")
    return folder


def replace(folder):
    with writing_index(folder) as new:
        (new / "audio.npy").write_text("after")


@pytest.mark.parametrize("about", [{"format": "zorro_keras shards 1"}, {"shards": []}])
def test_shards_are_no_earlier_index(about, tmp_path):
    shards = write(tmp_path / "shards", **about)
    with pytest.raises(ConfigError, match="`index` must be a new folder or hold an earlier index"):
        replace(shards)
    assert [path.name for path in tmp_path.iterdir()] == ["shards"]
    assert (shards / "audio.npy").read_text() == "before"


def test_an_index_with_something_else_in_it_is_not_replaced(tmp_path):
    index = write(tmp_path / "index", format="zorro_keras clip index 1")
    (index / "tone_found").mkdir()
    with pytest.raises(ConfigError, match="nothing else that would be lost.*with: tone_found"):
        replace(index)
    assert (index / "tone_found").exists()


def test_an_index_of_any_version_is_replaced(tmp_path):
    replace(write(tmp_path / "index", format="zorro_keras clip index 9"))
    assert [path.name for path in (tmp_path / "index").iterdir()] == ["audio.npy"]
    assert (tmp_path / "index" / "audio.npy").read_text() == "after"


def test_what_was_there_stays_if_the_new_folder_cannot_be_written(tmp_path):
    index = write(tmp_path / "index", format="zorro_keras clip index 1")
    with pytest.raises(ZeroDivisionError), writing_index(index):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert (index / "audio.npy").read_text() == "before"
