"""The pool keeps order and bounds, blames the right file for a hang or a crash, and leaves no process."""

import functools
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.media_maker import write_clip
from tests.worker_tasks import (
    double,
    doubled_after_a_while,
    fill_megabytes,
    heavy_modules,
    misbehave,
    process_id,
)
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import decode_track, decode_window
from zorro_keras.applications.pipelines.workers import DecodePool, path_of

GEOMETRY = ClipGeometry(seconds=1.0, sample_rate_hz=16000, num_frames=4, height_px=32, width_px=32)


@pytest.fixture(scope="module")
def pool():
    with DecodePool(2) as pool:
        yield pool


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_results_come_in_the_order_of_the_tasks(pool):
    tasks = list(range(20))
    assert list(pool.map_ordered(doubled_after_a_while, tasks)) == [(task, 2 * task) for task in tasks]


def test_all_workers_share_the_work_and_none_is_this_process(pool):
    processes = {process for _, process in pool.map_ordered(process_id, range(40))}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_tasks_are_drawn_only_as_fast_as_results_are_taken():
    drawn = []

    def tasks():
        for task in range(100):
            drawn.append(task)
            yield task

    with DecodePool(2, max_ahead=3) as pool:
        results = pool.map_ordered(double, tasks())
        assert next(results) == (0, 0)
        time.sleep(0.2)
        assert drawn == [0, 1, 2]
        next(results)
        assert drawn == [0, 1, 2, 3]
        results.close()
        assert list(pool.map_ordered(double, [5])) == [
            (5, 10)
        ]  # A run given up early does not harm the next.


def test_every_way_to_fail_names_the_file_and_spares_the_others():
    tasks = [
        "good_1",
        "die.mp4",
        "raise.mp4",
        "good_2",
        "refuse.mp4",
        "hoard.mp4",
        "lambda.mp4",
        "print",
        "good_3",
    ]
    with DecodePool(2, deadline_seconds=60) as pool:
        results = dict(pool.map_ordered(misbehave, tasks))
    assert list(results) == tasks
    reasons = {task: result.reason for task, result in results.items() if isinstance(result, MediaError)}
    assert reasons == {
        "die.mp4": "worker_died",
        "raise.mp4": "unknown",
        "refuse.mp4": "corrupt",
        "hoard.mp4": "out_of_memory",
        "lambda.mp4": "unknown",
    }
    for task in reasons:
        assert results[task].path == task
    assert "KeyError: 'surprise'" in str(results["raise.mp4"])
    for task in ("good_1", "good_2", "print", "good_3"):
        np.testing.assert_array_equal(results[task], np.full(300_000, len(task), np.uint8))


def test_a_task_past_its_deadline_is_killed_blamed_and_its_worker_replaced():
    with DecodePool(1, deadline_seconds=1.0) as pool:
        (_, before), (_, lost), (_, good), (_, after) = [
            *pool.map_ordered(process_id, ["a"]),
            *pool.map_ordered(misbehave, ["hang.mp4", "good"]),
            *pool.map_ordered(process_id, ["b"]),
        ]
    assert (lost.reason, lost.path, lost.stage) == ("timeout", "hang.mp4", "worker")
    assert "longer than 1.0 s" in str(lost)
    assert good.shape == (300_000,)
    assert before != after
    assert not is_alive(before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the memory of a process")
def test_a_worker_gets_no_more_memory_than_it_may_use_and_is_replaced():
    with DecodePool(1, max_worker_bytes=512 * 2**20) as pool:
        results = dict(pool.map_ordered(fill_megabytes, ["100_first", "900_bomb.mp4", "100_last"]))
    bomb = results["900_bomb.mp4"]
    assert (bomb.reason, bomb.path, bomb.exit_code) == ("out_of_memory", "900_bomb.mp4", 3)
    assert "`max_worker_bytes`" in str(bomb)
    (first, first_size), (last, last_size) = results["100_first"], results["100_last"]
    assert (first_size, last_size) == (100, 100) and first != last
    with DecodePool(1, max_worker_bytes=None) as pool:
        assert next(pool.map_ordered(fill_megabytes, ["900_bomb.mp4"]))[1][1] == 900


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the memory of a process")
def test_a_clip_that_unfolds_beyond_the_memory_costs_nothing_but_itself(tmp_path):
    small = write_clip(tmp_path / "small.mp4", seconds=0.4, has_audio=False)
    bomb = write_clip(tmp_path / "bomb.mp4", seconds=6.0, has_audio=False)
    decode = functools.partial(decode_track, sample_rate_hz=16000, frame_rate_hz=100.0, shorter_side_px=480)
    assert bomb.stat().st_size < 2**20 < 2**29 < decode(bomb).frames.nbytes  # Control: no limit is passed.
    with DecodePool(1, max_worker_bytes=2**29) as pool:
        results = dict(pool.map_ordered(decode, [bomb, small]))
    assert (results[bomb].reason, results[bomb].path) == ("out_of_memory", str(bomb))
    assert results[small].frames.shape == (40, 480, 640, 3)


def test_a_closed_pool_leaves_no_process_even_while_tasks_hang():
    pool = DecodePool(2, deadline_seconds=600)
    processes = {process for _, process in pool.map_ordered(process_id, range(30))}
    results = pool.map_ordered(misbehave, ["hang"] * 6)
    with pytest.raises(StopIteration):
        # Two workers hang now; the others wait. Closing must not wait for them.
        start = time.monotonic()
        list(pool.map_ordered(double, []))
        pool.close()
        assert time.monotonic() - start < 5
        raise StopIteration
    assert not any(is_alive(process) for process in processes)
    with pytest.raises(RuntimeError, match="The pool is closed"):
        next(results)
    pool.close()


def test_workers_end_by_themselves_when_their_parent_is_killed():
    program = (
        "import os, signal\n"
        "from zorro_keras.applications.pipelines.workers import DecodePool\n"
        "from tests.worker_tasks import process_id\n"
        "pool = DecodePool(1)\n"
        "print(*{process for _, process in pool.map_ordered(process_id, range(3))}, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    (worker,) = map(int, run.stdout.split())
    for _ in range(100):
        if not is_alive(worker):
            break
        time.sleep(0.1)
    assert not is_alive(worker)


def test_workers_import_no_framework(pool):
    assert list(pool.map_ordered(heavy_modules, [0])) == [(0, [])]


def test_real_clips_decode_in_workers_as_they_do_here(tmp_path, pool):
    paths = [write_clip(tmp_path / f"{index}.mp4", frame_rate_hz=10.0 + index) for index in range(5)]
    paths[2].write_bytes(paths[2].read_bytes()[:500])
    results = dict(pool.map_ordered(functools.partial(decode_window, geometry=GEOMETRY), paths))
    assert list(results) == paths
    assert results[paths[2]].reason == "truncated"
    assert results[paths[2]].path == str(paths[2])
    for path in (paths[0], paths[1], paths[3], paths[4]):
        expected = decode_window(path, GEOMETRY)
        np.testing.assert_array_equal(results[path].video, expected.video)
        np.testing.assert_array_equal(results[path].audio, expected.audio)


def test_functions_other_processes_cannot_import_are_refused(pool):
    with pytest.raises(ValueError, match="`function` must be defined at the top level"):
        next(pool.map_ordered(lambda task: task, [1]))


def test_a_task_is_named_by_its_path():
    assert path_of("a.mp4") == "a.mp4"
    assert path_of(Path("b.mp4")) == "b.mp4"
    assert path_of(SimpleNamespace(path="c.mp4")) == "c.mp4"
    assert path_of(("d", 1)) == "('d', 1)"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"num_workers": 0}, "num_workers"),
        ({"deadline_seconds": 0}, "deadline_seconds"),
        ({"max_ahead": 1}, "max_ahead"),
        ({"max_worker_bytes": 0}, "max_worker_bytes"),
    ],
)
def test_nonsense_settings_are_refused(settings, name):
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        DecodePool(**{"num_workers": 2, **settings})
