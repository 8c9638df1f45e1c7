"""From files to batches: every example once a pass, with its own task's label, a function of (seed, step)."""

import dataclasses
import hashlib
import json
from functools import partial

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.applications.batch_parts import check_parts  # noqa: E402
from zorro_keras.applications.pipelines.faults import ConfigError, SourceError  # noqa: E402
from zorro_keras.applications.pipelines.source_rows import BadRowsError  # noqa: E402
from zorro_keras.applications.text_classification import TextPreprocessor  # noqa: E402
from zorro_keras.applications.text_classification.config import TINY  # noqa: E402
from zorro_keras.applications.text_classification.data import (  # noqa: E402
    evaluation_dataset,
    open_data,
    training_dataset,
)

BATCH = 4
PREPROCESSOR = TextPreprocessor(length=12)


def config(seed=7, **data):
    return dataclasses.replace(
        TINY,
        data=dataclasses.replace(TINY.data, **data),
        training=dataclasses.replace(TINY.training, batch_size=BATCH, seed=seed),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """11 examples of SST-2, 7 of STS-B; the text says which one it is: `t3 0`, `p3` and its score."""
    root = tmp_path_factory.mktemp("glue")
    for task, name, rows in (
        ("SST-2", "train", ["sentence\tlabel", *(f"t{n} {n % 2}\t{n % 2}" for n in range(11))]),
        ("SST-2", "dev", ["sentence\tlabel", *(f"d{n} {n % 2}\t{n % 2}" for n in range(5))]),
        ("SST-2", "test", ["index\tsentence", "0\tz"]),
        ("STS-B", "train", ["sentence1\tsentence2\tscore", *(f"p{n}\tq\t{n / 2}" for n in range(7))]),
        ("STS-B", "dev", ["sentence1\tsentence2\tscore", "e0\tq\t4.5"]),
    ):
        (root / task).mkdir(exist_ok=True)
        (root / task / f"{name}.tsv").write_text("\n".join(rows) + "\n")
    return root


def texts_of(x):
    return [
        PREPROCESSOR.text_tokens.decode(row[real])
        for row, real in zip(x["text"], x["padding_mask"]["text"], strict=True)
    ]


def digests(dataset, count):
    """One hash per batch, over every byte of it."""
    return [
        hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in tf.nest.flatten(batch))).hexdigest()
        for batch in dataset.take(count).as_numpy_iterator()
    ]


def test_every_example_comes_once_a_pass_and_counts_for_its_own_task_only(folder):
    data = open_data(folder, config())
    assert data.num_train == 18
    seen = []
    for x, y, weight in training_dataset(data, config(), PREPROCESSOR).take(9).as_numpy_iterator():
        assert x["text"].shape == (BATCH, 12) and y["SST-2"].dtype == np.int32
        assert y["STS-B"].dtype == weight["STS-B"].dtype == np.float32
        np.testing.assert_array_equal(weight["SST-2"] + weight["STS-B"], np.ones(BATCH))
        for row, text in enumerate(texts_of(x)):
            task = "SST-2" if text[0] == "t" else "STS-B"
            expected = int(text[-1]) if task == "SST-2" else int(text[1]) / 2
            assert (weight[task][row], y[task][row]) == (1.0, expected)
            seen.append(text)
    assert len({*seen[:18]}) == len({*seen[18:]}) == 18 and seen[:18] != seen[18:]


def test_starting_at_step_k_gives_the_bytes_that_follow_k_batches(folder):
    data = open_data(folder, config())
    whole = digests(training_dataset(data, config(), PREPROCESSOR), 9)
    assert len({*whole}) == 9
    for start in (1, 4, 5):
        part = digests(training_dataset(data, config(), PREPROCESSOR, start_step=start), 9 - start)
        assert part == whole[start:]
    assert not {*whole} & {*digests(training_dataset(data, config(seed=8), PREPROCESSOR), 3)}
    with pytest.raises(ValueError, match="`start_step` must not be negative"):
        training_dataset(data, config(), PREPROCESSOR, start_step=-1)


def test_evaluation_shows_the_labelled_development_sets_once_and_pads_the_last_batch(folder):
    data = open_data(folder, config())
    dataset, ids = evaluation_dataset(data, config(), PREPROCESSOR)
    batches = list(dataset.as_numpy_iterator())
    assert len(ids) == 6 and len(batches) == 2 == dataset.cardinality()
    assert [text for x, _, _ in batches for text in texts_of(x)][:6] == [
        "d0 0", "d1 1", "d2 0", "d3 1", "d4 0", "e0q",
    ]  # fmt: skip
    weight = {task: np.concatenate([batch[2][task] for batch in batches]) for task in ("SST-2", "STS-B")}
    assert weight["SST-2"].tolist() == [1] * 5 + [0] * 3
    assert weight["STS-B"].tolist() == [0] * 5 + [1, 0, 0]
    assert batches[1][1]["STS-B"][1] == 4.5


def test_a_set_without_labels_can_be_answered_but_never_counts(folder):
    data = open_data(folder, config())
    (unlabelled,) = (part for part in data.sets if part.labels is None)
    dataset, ids = evaluation_dataset(data, config(), PREPROCESSOR, sets=[unlabelled])
    ((x, _, weight),) = dataset.as_numpy_iterator()
    assert texts_of(x) == ["z", "", "", ""] and len(ids) == 1
    assert not any(each.any() for each in weight.values())


def test_tasks_can_be_chosen_and_a_model_brings_its_own(folder):
    assert open_data(folder, config(tasks=("STS-B",))).label_names == ("STS-B/score",)
    names = open_data(folder, config()).label_names
    assert open_data(folder, config(tasks=("STS-B",)), label_names=names).label_names == names


def test_the_fingerprint_follows_the_content_and_not_the_place(folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    before = open_data(folder, config()).fingerprint
    assert open_data(copy, config()).fingerprint == before
    (copy / "STS-B" / "dev.tsv").write_text("sentence1\tsentence2\tscore\ne0\tq\t4.25\n")
    assert open_data(copy, config()).fingerprint != before


def test_bad_rows_stop_a_run_or_are_left_out_and_written_down(tmp_path):
    rows = [
        "text,label,split",
        *(f"a {n},{n % 2},{'test' if n > 7 else 'train'}" for n in range(10)),
        "a,,train",
    ]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(rows))
    with pytest.raises(BadRowsError, match="mine.csv line 12: bad_label"):
        open_data(path, config())
    with pytest.raises(BadRowsError, match="mine.csv line 12"):
        open_data(path, config(on_error="skip", max_bad_fraction=0.05))
    chosen = config(on_error="skip", max_bad_fraction=0.2)
    data = open_data(path, chosen)
    training_dataset(data, chosen, PREPROCESSOR, faults_path=tmp_path / "faults.jsonl")
    training_dataset(data, chosen, PREPROCESSOR, start_step=1, faults_path=tmp_path / "faults.jsonl")
    (row,) = map(json.loads, (tmp_path / "faults.jsonl").read_text().splitlines())  # once, though it went on
    assert row["row"] == "mine.csv line 12" and data.num_train == 8


def test_what_cannot_be_trained_on_is_refused(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,label,split\na,x,test\nb,y,test\n")
    data = open_data(path, config())
    with pytest.raises(SourceError, match="The training split is empty"):
        training_dataset(data, config(), PREPROCESSOR)
    with pytest.raises(ConfigError, match="`data.tasks` chooses among GLUE's folders"):
        open_data(path, config(tasks=("RTE",)))


def test_hosts_that_give_their_own_rows_give_the_batches_of_one(folder):
    check_parts(partial(training_dataset, open_data(folder, config()), config(), PREPROCESSOR))
