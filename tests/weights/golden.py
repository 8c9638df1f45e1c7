"""The reference cases of tests/golden: arrays, and weights as DeepMind would have pickled them."""

import json
import pickle
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "golden"


class Golden:
    """One case: `config`, `inputs`, `outputs`, and the error that each output may have."""

    def __init__(self, name):
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        description = json.loads((FOLDER / f"{name}.json").read_text())
        self.name = name
        self.config = description["config"]
        self.inputs = _under("input", arrays)
        self.outputs = _under("output", arrays)
        self.errors = {
            output: row["max_expected_float32_error"] for output, row in description["outputs"].items()
        }
        self.parameters = _under("param", arrays)
        self.state = _under("state", arrays)

    def pickled(self):
        """Returns the bytes of the weights as a pickle of nested dicts."""
        tree = nested(self.parameters)
        return pickle.dumps({"params": tree, "state": nested(self.state)} if self.state else tree, 4)

    def sizes(self):
        """Returns what the shapes of the weights do not tell, as `weights.load` takes it."""
        encoder, decoder = self.config["encoder"], self.config["decoder"]
        sizes = {
            "num_heads": encoder["self_attention_heads"],
            "num_cross_heads": encoder["cross_attention_heads"],
            "num_decoder_heads": decoder["cross_attention_heads"],
            "num_repeats": encoder["num_blocks"],
        }
        if "image_size" in self.config:
            sizes["size_px"] = self.config["image_size"]
        positions = self.config.get("preprocessor", {}).get("positions", {})
        if "max_resolution" in positions:
            sizes["max_resolution"] = positions["max_resolution"]
        if "modalities" in self.config:
            sizes["num_frames"], sizes["num_samples"] = (
                self.config["num_frames"],
                self.config["num_audio_samples"],
            )
            sizes["max_resolution"] = self.config["modalities"]["image"]["positions"]["max_resolution"]
        return sizes

    def check(self, results):
        """Fails unless every result (dict of output to array) is as near to the reference as it may be."""
        for output, result in results.items():
            expected, allowed = self.outputs[output], self.errors[output]
            result = np.asarray(result).reshape(expected.shape)
            error = np.abs(result - expected).max()
            assert error <= allowed, f"{self.name}, {output}: {error} instead of at most {allowed}"


def nested(flat):
    """Returns a dict of module to dict of leaf, as Haiku has it."""
    tree = {}
    for name, array in flat.items():
        module, leaf = name.rsplit("/", 1)
        tree.setdefault(module, {})[leaf] = array
    return tree


def _under(kind, arrays):
    return {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{kind}/")}
