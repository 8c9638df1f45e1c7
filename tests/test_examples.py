"""Every example runs as its docstring says, on each backend, and stays short."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
EXPECTED = {
    "add_a_third_stream": "If the caption changes, these can change: ['caption', 'fusion', 'global']",
    "answer_with_a_modality_missing": "second clip, video output: 0.0",
    "classify_a_folder_of_images": "classes: checks, circle, circles",
    "custom_training_loop": "step 9: loss",
    "draw_a_routing": "`audio` depends on: ['audio', 'fusion', 'video']",
    "export_and_serve": "served from the picture alone",
    "perceiver_of_your_own": "answers right on held-out pictures",
    "fill_in_masked_text": "Monday comes before[MASK*8].",
    "train_on_your_own_folder": "classes: bounce",
    "zorro_in_twenty_lines": "global: logits (40, 5)",
}


# SavedModel, tf.data
NEEDS_TENSORFLOW = {"classify_a_folder_of_images", "export_and_serve", "train_on_your_own_folder"}


@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.tensorflow] * (path.stem in NEEDS_TENSORFLOW))
        for path in EXAMPLES
    ],
)
def test_the_example_runs_and_says_what_it_promises(example, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")
    assert EXPECTED[example.stem] in capfd.readouterr().out


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_fits_a_screen_or_two_and_tells_how_to_run_it(example):
    text = example.read_text()
    assert len(text.splitlines()) < 80
    assert f"python examples/{example.name}" in text


def test_every_example_is_expected_to_say_something():
    assert sorted(EXPECTED) == [path.stem for path in EXAMPLES]
