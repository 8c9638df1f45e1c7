"""Train on a folder of pictures, then name what is in some of them.

    KERAS_BACKEND=jax python examples/classify_a_folder_of_images.py [FOLDER [PRESET]]

FOLDER holds one subfolder per class (or `train/` and `test/` with subfolders). Without it, some are drawn.
PRESET is where the trained model is kept; `zorro-keras predict PRESET picture.jpg` asks it.
A few steps are enough to see that everything runs; `zorro-keras train image_classification` goes all the way.
"""

import sys
import tempfile
from pathlib import Path

from zorro_keras.applications.image_classification import build_model
from zorro_keras.applications.image_classification.answers import answers, pictures_of
from zorro_keras.applications.image_classification.config import CONFIGS
from zorro_keras.applications.image_classification.data import (
    evaluation_dataset,
    open_data,
    training_dataset,
)
from zorro_keras.applications.pipelines.image_generated import generate_images
from zorro_keras.applications.training.config import apply_overrides


def main(folder=None, preset=None):
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch) / "pictures"
            generate_images(folder, count=200, test_count=30)

        config = apply_overrides(CONFIGS["tiny"], ["training.batch_size=16"])
        data = open_data(folder, config)
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
            verbose=2,
        )

        model.preprocessor = preprocessor  # saved with the model, so that it takes whole pictures
        model.save_to_preset(str(preset or Path(scratch) / "my_classifier"))
        for path, probabilities in answers(model, pictures_of(folder)[:5]):
            best = int(probabilities.argmax())
            print(f"{path.name}: {data.label_names[best]} ({probabilities[best]:.0%})")


if __name__ == "__main__":
    main(*sys.argv[1:])
