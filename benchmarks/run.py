"""Run every benchmark on one backend, print one table and write it as JSON.

KERAS_BACKEND=tensorflow python benchmarks/run.py --out runs/benchmarks
"""

import dataclasses
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import measure

SCRIPTS = ("attention.py", "hip.py", "fit_overhead.py", "pipeline.py")
PACKAGES = ("keras", "keras-hub", "jax", "tensorflow", "av")


def machine(backend: str) -> dict:
    """What the numbers depend on besides this code."""
    packages = {name: version(name) for name in PACKAGES}
    return {"backend": backend, "cores": os.cpu_count(), "machine": platform.machine(), "packages": packages}


def main() -> None:
    parser = measure.parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="folder of the JSON file")
    parser.add_argument("scripts", nargs="*", default=SCRIPTS, help="only these, such as attention.py")
    arguments = parser.parse_args()
    backend = os.environ["KERAS_BACKEND"]
    rows = []
    for script in arguments.scripts:
        found = [measure.Row(**row) for row in measure.run_child(script, "--json")["rows"]]
        rows += found
        print(*found, sep="\n", flush=True)
    result = {**machine(backend), "rows": [dataclasses.asdict(row) for row in rows]}
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{backend}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
