"""A folder's content is replaced as a whole, in the same folder, or stays as it was."""

import pytest

from zorro_keras.applications.pipelines.faults import CheckpointError, ConfigError
from zorro_keras.applications.training import replaced_folder
from zorro_keras.applications.training.replaced_folder import replacing_folder


def write(path, *names):
    with replacing_folder(path) as new:
        new.mkdir()
        new.with_name("scratch").mkdir()
        for name in names:
            (new / name).write_text("new")


def content(path):
    return {entry.name: entry.read_text() for entry in path.iterdir()}


def test_the_folder_stays_the_same_one(tmp_path):
    """It may be the folder that a shell is in, or a volume that is mounted there."""
    place = tmp_path / "place"
    place.mkdir()
    before = place.stat().st_ino
    write(place, "a", "b")
    write(place, "b", "c")
    assert content(place) == {"b": "new", "c": "new"} and place.stat().st_ino == before
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize(
    ("error", "raised"), [(OSError(28, "full"), CheckpointError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
@pytest.mark.parametrize("fails_at", range(4))
def test_what_cannot_be_moved_whole_is_moved_back(fails_at, error, raised, tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).write_text("old")
    rename, moves = replaced_folder.os.rename, []

    def failing(source, target):
        moves.append(source)
        if len(moves) == fails_at + 1:
            raise error
        rename(source, target)

    monkeypatch.setattr(replaced_folder.os, "rename", failing)
    with pytest.raises(raised):
        write(tmp_path, "b", "c")
    assert content(tmp_path) == {"a": "old", "b": "old"}


def test_a_new_folder_goes_away_with_what_failed(tmp_path):
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "place"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def refused(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(replaced_folder.tempfile, "TemporaryDirectory", refused)
    with (
        pytest.raises(ConfigError, match="The output folder cannot be written: Permission denied"),
        replacing_folder(tmp_path),
    ):
        pass
