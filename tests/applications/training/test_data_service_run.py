"""`train --data-service`: the run of one process, though two workers read and decode for it."""

import dataclasses

import pytest

pytest.importorskip("tensorflow")

from tests.applications.training.toy_process import final_state
from zorro_keras.applications.pipelines import data_service
from zorro_keras.applications.pipelines.data_worker import start_worker
from zorro_keras.applications.training.fit import train

TASK = "audio_visual_classification"


@pytest.mark.slow
def test_a_run_fed_by_two_workers_is_the_run_of_one_process(small_config, small_clips, tmp_path, monkeypatch):
    training = dataclasses.replace(small_config.training, epochs=4, steps_per_epoch=3, batch_size=4)
    config = dataclasses.replace(small_config, training=training)
    read_here, original = [], data_service._read_here

    def watched(build, step):
        read_here.append(step)
        return original(build, step)

    monkeypatch.setattr(data_service, "_read_here", watched)
    address, _first = start_worker(port=0, join=None, host="localhost", worker_port=0)
    _, _second = start_worker(port=None, join=address, host="localhost", worker_port=0)
    fed = train(TASK, config, str(small_clips.shards), str(tmp_path / "fed"), data_service=address)
    alone = train(TASK, config, str(small_clips.shards), str(tmp_path / "alone"))
    assert fed["steps"] == alone["steps"] == 12 and len(read_here) < 12
    assert fed["metrics"] == alone["metrics"]
    assert final_state(tmp_path / "fed") == final_state(tmp_path / "alone")
