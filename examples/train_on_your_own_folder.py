"""From a folder of clips to a trained classifier, in Python: the command line, step by step.

    KERAS_BACKEND=jax python examples/train_on_your_own_folder.py [FOLDER [PRESET]]

FOLDER holds one subfolder per class (or `train/` and `test/` with subfolders). Without it, clips are made.
PRESET is where the trained model is kept; `zorro-keras predict PRESET clip.mp4` asks it.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

from zorro_keras.applications.audio_visual_classification import build_model
from zorro_keras.applications.audio_visual_classification.config import CONFIGS
from zorro_keras.applications.audio_visual_classification.data import (
    evaluation_dataset,
    open_data,
    training_dataset,
)
from zorro_keras.applications.pipelines.generated_clips import generate_clips
from zorro_keras.applications.pipelines.prepare import prepare


def main(folder=None, preset=None):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        if folder is None:
            folder = scratch / "clips"
            generate_clips(folder, count=64, test_count=16)

        coverage = prepare(folder, scratch / "shards")
        print(coverage)

        config = CONFIGS["tiny"]
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, batch_size=16))
        data = open_data(scratch / "shards", config)
        print("classes:", ", ".join(data.label_names))

        model = build_model(config, data.label_names)
        preprocessor, model.preprocessor = model.preprocessor, None  # the pipeline preprocesses
        model.compile()
        test, _ = evaluation_dataset(data, config, preprocessor)
        model.fit(
            training_dataset(data, config, preprocessor),
            steps_per_epoch=max(data.num_train // 16, 1),
            epochs=2,
            validation_data=test,
        )
        model.preprocessor = preprocessor
        model.save_to_preset(str(preset or scratch / "my_zorro"))


if __name__ == "__main__":
    main(*sys.argv[1:])
