"""Errors say everything, cross processes unchanged; the ledger accounts for every clip exactly once."""

import json
import pickle
import re
import subprocess
import sys

import pytest

from zorro_keras.applications.pipelines import faults
from zorro_keras.applications.pipelines.faults import Ledger, MediaError, SourceError, ZorroError

KINDS = [
    faults.MediaError,
    faults.SourceError,
    faults.ShardError,
    faults.TrainingError,
    faults.CheckpointError,
    faults.ConfigError,
]


def damaged(path="a.mp4", reason="corrupt"):
    return MediaError("The file is damaged.", path=path, stage="decode", reason=reason)


def test_an_error_prints_message_path_stage_reason_and_advice():
    assert str(damaged()) == (
        "The file is damaged.\n"
        "  path: a.mp4\n"
        "  stage: decode\n"
        "  reason: corrupt\n"
        "  advice: The file is damaged: copy or download it again."
    )


def test_what_is_said_of_a_cut_file_fits_files_without_a_duration():
    assert damaged("a.flo", "truncated").advice == "The file is cut short: copy or download it again."


def test_a_reason_outside_the_closed_list_is_refused():
    with pytest.raises(ValueError, match="`reason` must be one of .* Received: reason='gremlins'"):
        ZorroError("x", reason="gremlins")
    assert ZorroError("x", reason="corrupt").reason == "corrupt"


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_crosses_a_process_boundary_unchanged(kind):
    error = kind("Message.", path="b.mkv", row=3, stage="open", reason="truncated", advice="Do this.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert copy.to_json() == error.to_json()


def test_exit_codes_tell_usage_data_and_training_apart():
    assert [kind("x").exit_code for kind in KINDS] == [3, 3, 3, 4, 4, 2]


def test_a_path_that_is_not_utf8_can_be_printed_and_logged():
    error = damaged(path="caf\udce9.mp4")
    str(error).encode("utf-8")
    assert json.loads(json.dumps(error.to_json()))["path"] == "caf\udce9.mp4"


def test_a_ledger_counts_each_outcome_and_reason(tmp_path):
    log = tmp_path / "faults.jsonl"
    with Ledger("abcd", max_bad_fraction=0.5, on_error="drop_modality", log_path=log) as ledger:
        ledger.use("a")
        ledger.use("b")
        assert ledger.drop_stream("c", "video", damaged("c.mp4")) == "dropped_stream"
        assert ledger.skip("d", damaged("d.mp4", "truncated")) == "skipped"
    assert ledger.summary() == {
        "expected": 4,
        "used": 2,
        "dropped_stream": 1,
        "skipped": 1,
        "failed": 0,
        "unaccounted": 0,
        "bad_fraction": 0.5,
        "reasons": {"corrupt": 1, "truncated": 1},
    }
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["id"], row["outcome"], row["stream"], row["reason"]) for row in rows] == [
        ("c", "dropped_stream", "video", "corrupt"),
        ("d", "skipped", None, "truncated"),
    ]


def test_an_id_nobody_settled_is_named_when_the_ledger_closes():
    ledger = Ledger(["a", "lost"])
    ledger.use("a")
    with pytest.raises(SourceError, match=r"1 of 2 ids are unaccounted for, the first: \['lost'\]"):
        ledger.close()
    ledger.use("lost")
    ledger.close()


def test_an_id_settled_twice_is_an_error():
    ledger = Ledger(["a"])
    ledger.use("a")
    with pytest.raises(SourceError, match="accounted for twice: used, then skipped"):
        Ledger.skip(_lenient(ledger), "a", damaged())


def test_an_unexpected_or_repeated_id_is_an_error():
    with pytest.raises(SourceError, match="'b' was not expected"):
        Ledger(["a"]).use("b")
    with pytest.raises(SourceError, match="'a' is listed twice"):
        Ledger(["a", "a"])


def test_too_many_bad_clips_stop_the_run_and_name_the_first_reasons():
    ledger = Ledger(map(str, range(100)), max_bad_fraction=0.02, on_error="skip")
    ledger.skip("0", damaged("first.mp4"))
    ledger.skip("1", damaged("second.mp4", "truncated"))
    message = "3 of 100 clips are bad.*first.mp4: corrupt; second.mp4: truncated; third.mp4: timeout"
    with pytest.raises(SourceError, match=message):
        ledger.skip("2", damaged("third.mp4", "timeout"))


def test_under_raise_the_first_fault_is_written_down_and_raised(tmp_path):
    ledger = Ledger(["a"], on_error="raise", log_path=tmp_path / "faults.jsonl")
    error = damaged()
    with pytest.raises(MediaError) as caught:
        ledger.skip("a", error)
    assert caught.value is error
    ledger.close()
    assert ledger.summary()["failed"] == 1
    assert json.loads((tmp_path / "faults.jsonl").read_text())["outcome"] == "failed"


def test_under_skip_a_damaged_stream_costs_the_whole_clip():
    ledger = Ledger(["a"], on_error="skip", max_bad_fraction=1.0)
    assert ledger.drop_stream("a", "audio", damaged()) == "skipped"


def test_a_block_that_raises_keeps_its_own_error():
    with pytest.raises(KeyError, match="mine"), Ledger(["a"]):
        raise KeyError("mine")


def test_unknown_policies_are_refused():
    with pytest.raises(ValueError, match=re.escape("Received: on_error='ignore'")):
        Ledger([], on_error="ignore")
    with pytest.raises(ValueError, match="Received: max_bad_fraction=2"):
        Ledger([], max_bad_fraction=2)


def test_the_media_modules_import_neither_keras_nor_a_backend():
    names = ("faults", "geometry", "media", "providers", "workers", "worker_main")
    imports = "; ".join(f"import zorro_keras.applications.pipelines.{name}" for name in names)
    check = "import sys; print([m for m in ('keras', 'tensorflow', 'jax', 'torch') if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", f"{imports}; {check}"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def _lenient(ledger):
    ledger.on_error = "skip"
    return ledger
