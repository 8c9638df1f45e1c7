"""A run goes into a new folder, or on in its own, and never over what somebody else keeps in one."""

import json

import pytest

from zorro_keras.applications import cli
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.run_folder import RunFolder


@pytest.mark.parametrize("name", ["log.jsonl", "tensorboard", "preset", "checkpoints"])
def test_what_is_no_run_is_left_as_it_is(name, tmp_path, capsys):
    mine = tmp_path / name
    mine.write_text("mine")
    for data in ([], ["--data", str(tmp_path / "data")]):
        assert cli.main(["train", "masked_language", "--out", str(tmp_path), *data]) == 2
        said = capsys.readouterr().err
        assert "must be new, or hold a run: another's files would be overwritten." in said
        assert f"Received a folder with: {name}" in said
        assert "Choose another folder." in said
    assert [path.name for path in tmp_path.iterdir()] == [name] and mine.read_text() == "mine"


def test_a_preset_is_no_run_though_it_has_a_config(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="its config.json names no task(?s:.*)a new one to train into"):
        RunFolder(tmp_path).check_ours()


def test_what_a_run_would_not_touch_may_be_there_before_it(tmp_path):
    """Such as the file that a shell writes what the command says into."""
    for name in ("train.log", ".DS_Store"):
        (tmp_path / name).touch()
    with RunFolder(tmp_path).locked():
        pass


def test_a_run_that_was_stopped_as_it_began_goes_on(tmp_path):
    folder = RunFolder(tmp_path / "run")
    for _ in range(2):
        with folder.locked():
            folder.write_fault({"reason": "corrupt"})
            folder.rewrite_log([])
            (folder.path / ".config.json.partial").touch()
            (folder.path / "default_data").mkdir(exist_ok=True)


def test_a_run_may_hold_what_somebody_put_beside_it(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"task": "masked_language"}))
    (tmp_path / "letters.txt").touch()
    with RunFolder(tmp_path).locked():
        pass


def test_faults_of_another_host_do_not_make_a_folder_foreign(tmp_path):
    (tmp_path / "faults-1.jsonl").touch()
    (tmp_path / "faults.jsonl").symlink_to(tmp_path / "gone.jsonl")
    with RunFolder(tmp_path).locked():
        pass
