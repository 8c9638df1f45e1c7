"""The page of hits where a clip is more than one file."""

import json

import pytest

pytest.importorskip("tensorflow")

from tests.foreign_maker import jpegs
from tests.media_maker import write_clip, write_sound
from zorro_keras.applications.audio_visual_pretraining.clip_place import place_of
from zorro_keras.applications.audio_visual_pretraining.search_page import search_page
from zorro_keras.applications.pipelines.clip_parts import ClipParts
from zorro_keras.applications.pipelines.source_rows import PartedEntry
from zorro_keras.applications.pipelines.sources import read_source


def hit_of(entry, has_audio=True):
    """As `embed` writes it down and `search` reads it."""
    place = json.loads(json.dumps(place_of(entry)))
    presence = {"audio": has_audio, "video": True}
    return {"id": entry.id, "labels": [], "presence": presence, **place, "likeness": 0.5}


def test_the_player_plays_the_sound_that_was_embedded(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "video" / name).mkdir(parents=True)
        (tmp_path / "audio" / name).mkdir(parents=True)
        write_clip(tmp_path / "video" / name / "1.mp4", seconds=0.5, width_px=46, height_px=34)
        write_sound(tmp_path / "audio" / name / "1.wav", seconds=0.5)
    hits = [hit_of(entry) for entry in read_source(tmp_path).entries]
    found = search_page({"audio": "/question.wav"}, hits)
    assert found.count("<audio") == found.count("data:image/jpeg;base64,") == 2
    assert f'src="{(tmp_path / "audio/a/1.wav").as_uri()}"' in found and 'mp4"></audio>' not in found


def test_single_pictures_are_shown(tmp_path):
    write_sound(tmp_path / "1.wav", seconds=1.2)
    frames = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path, image in zip(frames, jpegs(1.2, 3 / 1.2), strict=True):
        path.write_bytes(image)
    pictures, sound = tuple(map(str, frames)), str(tmp_path / "1.wav")
    entry = PartedEntry("1", sound, (), None, None, "train", 1, ClipParts(pictures, sound))
    found = search_page({"video": "/question.mp4"}, [hit_of(entry)])
    assert "no picture" not in found and f'src="{(tmp_path / "1.wav").as_uri()}"' in found
    silent = PartedEntry("1", pictures[0], (), None, None, "train", 1, ClipParts(pictures))
    found = search_page({"video": "/question.mp4"}, [hit_of(silent, has_audio=False)])
    assert "no picture" not in found and "<audio" not in found


def test_a_clip_that_is_one_file_is_shown_and_played_as_it_is(tmp_path):
    path = tmp_path / "a" / "1.mp4"
    path.parent.mkdir()
    write_clip(path, seconds=0.5, width_px=46, height_px=34)
    (entry,) = read_source(tmp_path).entries
    found = search_page({"audio": "/question.wav"}, [hit_of(entry)])
    assert "parts" not in hit_of(entry) and f'src="{path.as_uri()}"' in found and "no picture" not in found
