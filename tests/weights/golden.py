"""The reference cases of tests/golden: arrays, and weights as DeepMind would have pickled them."""

import json
from pathlib import Path

import keras
import numpy as np

from tests.backend import array, compiled
from tests.weights.files import FlatMapping, haiku_dumps

FOLDER = Path(__file__).parents[1] / "golden"
CASES = sorted(path.stem for path in FOLDER.glob("*.json"))
LEFT_OUT = {}  # case, output: why it is not compared


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
        """Returns the bytes of the weights as Haiku's users pickle them."""
        tree = FlatMapping(nested(self.parameters))
        return haiku_dumps({"params": tree, "state": FlatMapping(nested(self.state))} if self.state else tree)

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

    def check(self, results, run=None):
        """Fails unless the results (dict of output to array) are all outputs of a run, and near enough.

        Without a run they are all outputs of the case, but for those that are left out.
        """
        assert set(results) == self.outputs_of(run)
        for output, result in results.items():
            expected, allowed = self.outputs[output], self.errors[output]
            result = np.asarray(result).reshape(expected.shape)
            error = np.abs(result - expected).max()
            assert error <= allowed, f"{self.name}, {output}: {error} instead of at most {allowed}"

    def runs(self):
        """Returns the runs of the case, `None` for a single one."""
        kinds = ("runs", "tables", "position_grids")
        return [run for kind in kinds for run in self.config.get(kind, ())] or [None]

    def outputs_of(self, run=None):
        """Returns the names of the outputs of a run, which they contain: those that are compared."""
        found = {output for output in self.outputs if run is None or f"/{run}/" in f"/{output}/"}
        return found - set(LEFT_OUT.get(self.name, ()))


def nested(flat):
    """Returns a dict of module to dict of leaf, as Haiku has it."""
    tree = {}
    for name, values in flat.items():
        module, leaf = name.rsplit("/", 1)
        tree.setdefault(module, {})[leaf] = values
    return tree


def set_chunks(backbone, chunk):
    """Makes the encoder read so many keys at a time and the decoder answer so many queries at a time."""
    backbone.encoder.set_key_chunk(chunk)
    backbone.decoder.query_chunk = chunk


def run(function, arrays):
    """Returns what a function of a dict of tensors computes when compiled, as numpy arrays."""
    given = {name: keras.ops.convert_to_tensor(value) for name, value in arrays.items()}
    return {name: array(value) for name, value in compiled(function)(given).items()}


def _under(kind, arrays):
    return {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{kind}/")}
