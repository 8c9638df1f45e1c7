"""The requests that lie beside a model for TF Serving: what to send to its REST interface."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from zorro_keras.applications.training.endpoints import Endpoint
from zorro_keras.applications.training.parity_inputs import random_inputs


def write_serving_folder(endpoints: list[Endpoint], out: str | os.PathLike[str]) -> None:
    """Writes `requests/<endpoint>.json`, each a valid body of a POST to `/v1/models/NAME:predict`.

    A request names its `signature_name` and its `inputs`: one example of random numbers, in the shape and the
    kind that the endpoint takes.
    """
    folder, rng = Path(out) / "requests", np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for endpoint in endpoints:
        inputs = random_inputs(endpoint, rng, batch=1)
        body = {
            "signature_name": endpoint.name,
            "inputs": {name: _short(values).tolist() for name, values in inputs.items()},
        }
        (folder / f"{endpoint.name}.json").write_text(json.dumps(body) + "\n", encoding="utf-8")


def _short(values: np.ndarray) -> np.ndarray:
    """Floats of three digits after the point: a request is an example, not a test of rounding."""
    return np.round(values.astype("float64"), 3) if values.dtype.kind == "f" else values
