import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from zorro_keras.applications.pipelines import text_formats
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.text_formats import kind_of
from zorro_keras.applications.pipelines.text_generated import generated_texts, write_generated_texts
from zorro_keras.applications.pipelines.text_readers import TextFiles
from zorro_keras.applications.pipelines.tfrecord import frame_record

TEXTS = ["Eins und\nzwei.", "Grüße", "three", "vier 4"]


def example(field, text):
    import tensorflow as tf

    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text]))
    return tf.train.Example(features=tf.train.Features(feature={field: feature})).SerializeToString()


def write(path: Path, texts, field="text"):
    """Writes `texts` in the format that the name of `path` says."""
    kind = kind_of(path.name)
    if kind == "json_lines":
        content = "".join(json.dumps({field: text}) + "\n\n" for text in texts).encode()
    elif kind == "tfrecord":
        content = b"".join(frame_record(example(field, text.encode())) for text in texts)
    else:
        content = "\n\n\n".join(texts).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


NAMES = [
    "a.txt",
    "a.text",
    "a.txt.gz",
    "a.jsonl",
    "a.json.gz",
    "a.tfrecord",
    "a.tfrecord-00000-of-00002",
    "a.tfrecords.gz",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_gives_the_same_texts(tmp_path, name):
    assert list(TextFiles(write(tmp_path / name, TEXTS)).texts()) == TEXTS


@pytest.mark.parametrize("name", ["a.jsonl", "a.tfrecord"])
def test_the_text_may_have_another_name(tmp_path, name):
    path = write(tmp_path / name, TEXTS, field="content")
    assert list(TextFiles(path, field="content").texts()) == TEXTS
    with pytest.raises(SourceError, match="no (single )?text under 'text'"):
        list(TextFiles(path).texts())


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    (tmp_path / "b").mkdir()
    write(tmp_path / "c.txt", ["five"])
    write(tmp_path / "b" / "z.jsonl", ["three", "four"])
    write(tmp_path / "a.txt.gz", ["one", "two"])
    write(tmp_path / ".hidden.txt", ["no"])
    (tmp_path / "notes.md").write_text("no")
    assert list(TextFiles(tmp_path).texts()) == ["one", "two", "three", "four", "five"]
    (tmp_path / "wiki_00").write_text("a name that says nothing is plain text when it is given itself")
    assert len(list(TextFiles(tmp_path / "wiki_00").texts())) == 1
    with pytest.raises(SourceError, match="no such file or folder"):
        TextFiles(tmp_path / "absent")
    with pytest.raises(SourceError, match="The folder holds no text"):
        (tmp_path / "empty").mkdir()
        TextFiles(tmp_path / "empty")


def test_the_split_follows_the_texts_wherever_they_are(tmp_path):
    texts = [f"text number {number}" for number in range(400)]
    one = TextFiles(write(tmp_path / "one.txt", texts + texts[:50]), test_fraction=0.25)
    train, test = list(one.texts("train")), list(one.texts("test"))
    assert sorted(train + test) == sorted(texts + texts[:50]) and not set(train) & set(test)
    assert (one.num_texts("train"), one.num_texts("test")) == (len(train), len(test))
    assert 0.15 < len(set(test)) / 400 < 0.35
    other = TextFiles(write(tmp_path / "other.jsonl.gz", texts[::-1]), test_fraction=0.25)
    assert set(other.texts("test")) == set(test)
    assert set(TextFiles(one.root, test_fraction=0.25, seed=1).texts("test")) != set(test)
    with pytest.raises(ValueError, match=r"`test_fraction` must be within \[0, 1\)"):
        TextFiles(one.root, test_fraction=1.0)
    with pytest.raises(ValueError, match="`split` must be one of"):
        list(one.texts("val"))


def test_the_fingerprint_is_of_the_texts_their_order_and_their_split(tmp_path):
    plain = write(tmp_path / "a.txt", TEXTS)
    lines = write(tmp_path / "a.jsonl", TEXTS)
    turned = write(tmp_path / "b.txt", TEXTS[::-1])
    assert TextFiles(plain).fingerprint == TextFiles(lines).fingerprint
    assert TextFiles(plain).fingerprint != TextFiles(turned).fingerprint
    assert TextFiles(plain).fingerprint != TextFiles(plain, test_fraction=0.5).fingerprint


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.jsonl", "a.tfrecord"])
def test_bytes_that_are_not_utf8_are_named_or_replaced(tmp_path, name):
    bad = b"good\xffbad"
    content = {
        "plain": b"first\n\n" + bad,
        "json_lines": b'{"text": "first"}\n{"text": "' + bad + b'"}\n',
        "tfrecord": frame_record(example("text", b"first")) + frame_record(example("text", bad)),
    }[kind_of(name)]
    path = tmp_path / name
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    with pytest.raises(SourceError, match="not UTF-8 at byte") as caught:
        list(TextFiles(path).texts())
    assert caught.value.path == str(path) and caught.value.reason == "bad_encoding"
    if kind_of(name) != "tfrecord":  # there it is the byte within the record
        assert caught.value.row == f"byte {content.index(bad) + 4}"
    assert list(TextFiles(path, bad_utf8="replace").texts()) == ["first", "good\ufffdbad"]


def test_half_of_a_surrogate_pair_in_json_is_not_utf8(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a \\ud83d b"}\n')
    with pytest.raises(SourceError, match="not UTF-8"):
        list(TextFiles(path).texts())
    assert "\ufffd" in next(TextFiles(path, bad_utf8="replace").texts())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "one"}\n{"text": \n', "line is no JSON"),
        ("a.jsonl", b'["one"]\n', "no text under 'text'"),
        ("a.jsonl", b'{"text": 1}\n', "no text under 'text'"),
        ("a.jsonl", b"[" * 100_000, "line is no JSON"),
        ("a.tfrecord", b"\x05\0\0", "damaged or cut, at byte 0"),
        ("a.tfrecord", frame_record(b"abc")[:-1], "damaged or cut"),
        ("a.tfrecord", frame_record(b"\xff" * 9), "no single text"),
        ("a.tfrecord", b"\xff" * 12, "too long"),
        ("a.txt.gz", gzip.compress(b"some text" * 99, mtime=0)[:-9], "gzip: "),
        ("a.txt.gz", b"plain after all", "gzip: "),
    ],
)
def test_damage_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        list(TextFiles(tmp_path / name).texts())


def test_a_long_text_comes_in_parts_and_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(text_formats, "MAX_TEXT_BYTES", 20)
    line = "ein zwei drei vier fünf sechs sieben acht neun"
    (tmp_path / "a.txt").write_text(f"{line}\n{'ü' * 40}\n\nend")
    texts = list(TextFiles(tmp_path / "a.txt").texts())
    assert all(len(text.encode()) <= 20 for text in texts)
    assert "".join("".join(texts).split()) == f"{line}{'ü' * 40}end".replace(" ", "")
    assert texts[-1] == "end"


def test_a_long_row_of_json_comes_in_parts_too(tmp_path, monkeypatch):
    monkeypatch.setattr(text_formats, "MAX_TEXT_BYTES", 20)
    text = "eins zwei drei vier f\u00fcnf sechs\n\nsieben acht neun"
    write(tmp_path / "a.jsonl", [text, "short"])
    *parts, last = TextFiles(tmp_path / "a.jsonl").texts()
    assert len(parts) > 1 and all(len(part.encode()) <= 20 for part in parts) and last == "short"
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for count in (2_000, 20_000):
        files = TextFiles(write(tmp_path / f"{count}.txt", ["some words of a text"] * count))
        tracemalloc.start()
        assert sum(1 for _ in files.texts()) == count and files.fingerprint
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 50_000


def test_generated_sentences_are_the_same_on_every_machine(tmp_path):
    assert generated_texts(3) == [
        "Five ducks and two ducks are seven ducks.",
        "Today is Thursday, so Martin will rest on Friday.",
        "Eight ducks swim in the pond.",
    ]
    texts = generated_texts(2000)
    assert max(map(len, texts)) <= 64 and len(set(texts)) > 300
    assert generated_texts(3, seed=1) != texts[:3]
    assert list(TextFiles(write_generated_texts(tmp_path / "new" / "a.txt", 50)).texts()) == texts[:50]


def test_generated_sentences_agree_in_number():
    seen = set()
    for text in generated_texts(500):
        number, noun, verb = text.split()[:3]
        if verb in ("barks", "bark", "grazes", "graze", "swims", "swim"):
            assert noun.endswith("s") == (number != "One") and verb.endswith("s") == (number == "One")
            seen.add(number)
    assert {"One", "Two"} <= seen
