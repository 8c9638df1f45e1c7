"""Every example runs as its docstring says, on each backend, and stays short."""

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
# What each prints, as regular expressions: of those that train for long, what only a trained model says.
EXPECTED = {
    "add_a_third_stream": r"If the caption changes, these can change: \['caption', 'fusion', 'global'\]",
    "answer_with_a_modality_missing": r"second clip, video output: 0\.0\n",
    "choose_a_backbone": r"(?m)(^ +\w+: .*moves fusion, global, video\n){3}",
    "classify_a_folder_of_images": r"\n\w+-\d+\.(jpg|png): \w+ \(\d+%\)\n",  # a few steps: it runs
    "custom_training_loop": r"step 9: loss [01]\.",  # by chance log(8), 2.1
    "draw_a_routing": r"`audio` depends on: \['audio', 'fusion', 'video'\]",
    "export_and_serve": r"served from the picture alone: \w+\nwith this library loaded: False",
    "perceiver_of_your_own": r"answers right on held-out pictures: ([89]\d|100)% ",
    "fill_in_masked_text": r"Friday comes\[MASK\*7\] Saturday\.\n +[5-9]\d\.\d% ' before'",
    "search_clips_by_words": r"[4-8] of 8 words found their sound",  # by chance one
    "train_on_your_own_folder": r"Epoch 2/2\n(.|\n)*val_global_accuracy: ",  # a few steps: it runs
    "zorro_in_twenty_lines": r"global: logits \(40, 5\)",
}


# SavedModel, tf.data
NEEDS_TENSORFLOW = {"classify_a_folder_of_images", "export_and_serve", "train_on_your_own_folder"}
TRAINS_FOR_LONG = {"fill_in_masked_text", "perceiver_of_your_own", "search_clips_by_words"}


def marks_of(example):
    return [pytest.mark.tensorflow] * (example in NEEDS_TENSORFLOW) + [pytest.mark.long] * (
        example == "search_clips_by_words"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
@pytest.mark.parametrize(
    "example",
    [pytest.param(path, id=path.stem, marks=marks_of(path.stem)) for path in EXAMPLES],
)
def test_the_example_runs_and_says_what_it_promises(example, tmp_path, monkeypatch, capfd, request):
    if example.stem in TRAINS_FOR_LONG:
        request.getfixturevalue("well_compiled")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")
    assert re.search(EXPECTED[example.stem], capfd.readouterr().out)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_fits_a_screen_or_two_and_tells_how_to_run_it(example):
    text = example.read_text()
    assert len(text.splitlines()) < 80
    assert f"python examples/{example.name}" in text


def test_every_example_is_expected_to_say_something():
    assert sorted(EXPECTED) == [path.stem for path in EXAMPLES]
