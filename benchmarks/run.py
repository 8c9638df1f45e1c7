"""Every benchmark on every backend, into one table, one JSON file and one picture.

python benchmarks/run.py --backends jax tensorflow --scripts vit.py growth.py --out runs/benchmarks

Each script runs in a process of its own, on each backend. What cannot be measured here, as a peer is not
installed, has a row that says so. A script that fails has one too, and the exit status is then 1. The files
are written again after each script, so that what was measured outlives an interruption.
"""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import machine
import measure
import plot

BACKENDS = ("jax", "tensorflow", "torch")


@dataclasses.dataclass(frozen=True)
class Script:
    """A benchmark of this folder.

    Attributes:
        name: its file.
        compares_backends: bool, whether one run of it takes all the backends.
        takes_policy: bool, whether its models follow the dtype policy.
    """

    name: str
    compares_backends: bool = False
    takes_policy: bool = False


SCRIPTS = (
    Script("attention.py", takes_policy=True),
    Script("hip.py", takes_policy=True),
    Script("vit.py", takes_policy=True),
    Script("video_swin.py", takes_policy=True),
    Script("perceiver.py", compares_backends=True),
    Script("perceiver_outputs.py", compares_backends=True),
    Script("growth.py", takes_policy=True),
    Script("compile_time.py", takes_policy=True),
    Script("fit_overhead.py"),
    Script("pipeline.py"),
)


def rows_of(script: Script, backends, options) -> list[measure.Row]:
    """The rows of a script on these backends, or one that says why there are none."""
    words = ["--json"] + ["--quick"] * options.quick
    words += ["--policy", options.policy] if script.takes_policy else []
    words += ["--backends", *backends] if script.compares_backends else []
    try:
        found = measure.run_child(script.name, *words, KERAS_BACKEND=backends[0])["rows"]
    except (measure.ChildFailed, json.JSONDecodeError) as error:
        return [measure.Row(script.name, None, detail=f"failed: {error}")]
    return [measure.Row(**row) for row in found]


def run(script: Script, backends, options) -> list[tuple[str, measure.Row]]:
    """Pairs of a backend and a row of it; prints each as it comes."""
    print(f"\n{script.name}", flush=True)
    pairs = []
    for group in [backends] if script.compares_backends else [[backend] for backend in backends]:
        found = [(" ".join(group), row) for row in rows_of(script, group, options)]
        for backend, row in found:
            print(f"{'' if len(group) > 1 else backend:<11}{row}", flush=True)
        pairs += found
    return pairs


def described_machine(backends, options) -> dict:
    """The machine, and what each backend finds on it."""
    words = ["--json"] + ["--quick"] * options.quick
    found = {}
    for backend in backends:
        try:
            found[backend] = measure.run_child("machine.py", *words, KERAS_BACKEND=backend)
        except measure.ChildFailed as error:
            found[backend] = {"failed": str(error)}
    return {**machine.described(), "backends": found}


def write(results: dict, described: dict, options) -> None:
    """Writes `results`, a dict of script to pairs of backend and row, as JSON and as a picture."""
    rows = [
        {"script": script, "backend": backend, **dataclasses.asdict(row), "verdict": row.verdict}
        for script, pairs in results.items()
        for backend, row in pairs
    ]
    how = {"quick": options.quick, "policy": options.policy}
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": described, **how, "rows": rows}, indent=2)
    (options.out / "benchmarks.json").write_text(text + "\n", encoding="utf-8")
    panels = {
        script: [
            row if " " in backend else dataclasses.replace(row, what=f"{row.what}  [{backend}]")
            for backend, row in pairs
        ]
        for script, pairs in results.items()
    }
    quick = ", tiny shapes" if options.quick else ""
    title = f"{described['processor']}, {described['cores']} cores, {options.policy}{quick}"
    plot.draw(panels, options.out / "benchmarks.png", title)


def parse(words=None):
    parser = measure.parser(__doc__.partition("\n")[0])
    names = [script.name for script in SCRIPTS]
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--scripts", nargs="+", choices=names, default=names)
    parser.add_argument("--policy", default="float32", help="dtype policy, such as mixed_bfloat16")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="folder of the results")
    return parser.parse_args(words)


def main(words=None) -> int:
    options = parse(words)
    absent = [name for name in options.backends if importlib.util.find_spec(name) is None]
    backends = [name for name in options.backends if name not in absent]
    if not backends:
        raise SystemExit(f"None of these backends is installed: {', '.join(absent)}")
    described = described_machine(backends, options)
    print(json.dumps(described, indent=2))
    results = {}
    if absent:
        results["backends"] = [
            (name, measure.not_measured("every script", f"{name} is not installed")) for name in absent
        ]
    for script in SCRIPTS:
        if script.name in options.scripts:
            results[script.name] = run(script, backends, options)
            write(results, described, options)
    print(f"\nwritten: {options.out / 'benchmarks.json'} and {options.out / 'benchmarks.png'}")
    return int(any(row.detail.startswith("failed: ") for pairs in results.values() for _, row in pairs))


if __name__ == "__main__":
    sys.exit(main())
