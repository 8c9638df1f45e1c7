"""The table of the benchmarks: what is put into it, what it says of scripts that fail, and its files.

The figures themselves are not tested: speed is measured, by `make bench`.
"""

import importlib
import json
import os
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch):
    """Returns a function that imports a script of the folder, as a program there does."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    known = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - known:
        if getattr(sys.modules[name], "__file__", None) and BENCHMARKS.samefile(
            Path(sys.modules[name].__file__).parent
        ):
            del sys.modules[name]


@pytest.fixture
def run(imported):
    return imported("run")


@pytest.fixture
def children(run, monkeypatch: pytest.MonkeyPatch) -> list:
    """What each child was called with; children that answer without running anything."""
    called = []

    def answer(script, *words, **environment):
        called.append((script, words, environment["KERAS_BACKEND"]))
        if script == "machine.py":
            return {"devices": ["one of a kind"], "matmul_gflops_per_second": {"float32": 7.0}}
        if script == "pipeline.py":
            raise run.measure.ChildFailed("OSError: no room left")
        if script == "video_swin.py":
            return {"rows": [vars(row) for row in run.measure.absent("Video Swin", "no_such_package")]}
        return {"rows": [{"what": f"fast {script}", "value": 2.0, "target": 3.0, "detail": "1 s, 2 s"}]}

    monkeypatch.setattr(run.measure, "run_child", answer)
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None if name[:2] in ("no", "to") else 1)
    return called


def test_one_run_makes_a_table_a_json_file_and_a_picture(run, children, tmp_path, capsys):
    status = run.main(["--out", str(tmp_path), "--quick", "--policy", "mixed_bfloat16"])
    written = json.loads((tmp_path / "benchmarks.json").read_text())
    assert status == 1  # as a script failed
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    assert written["machine"]["backends"]["jax"]["devices"] == ["one of a kind"]
    assert written["machine"]["cores"] >= 1
    assert (written["quick"], written["policy"]) == (True, "mixed_bfloat16")
    found = {(row["script"], row["backend"]): row for row in written["rows"]}
    assert found["hip.py", "tensorflow"]["verdict"] == "NO"
    assert found["perceiver.py", "jax tensorflow"]["value"] == 2.0
    assert found["pipeline.py", "jax"]["detail"] == "failed: OSError: no room left"
    assert found["video_swin.py", "jax"]["detail"] == "not measured: no_such_package not installed"
    assert found["backends", "torch"]["detail"] == "not measured: torch is not installed"
    table = capsys.readouterr().out
    assert "fast hip.py" in table and "failed: OSError: no room left" in table


def test_each_script_runs_on_each_backend_that_is_installed(run, children, tmp_path):
    assert run.main(["--out", str(tmp_path), "--scripts", "hip.py", "perceiver.py"]) == 0
    assert [call for call in children if call[0] != "machine.py"] == [
        ("hip.py", ("--json", "--policy", "float32"), "jax"),
        ("hip.py", ("--json", "--policy", "float32"), "tensorflow"),
        ("perceiver.py", ("--json", "--backends", "jax", "tensorflow"), "jax"),
    ]


def test_a_run_without_any_backend_says_so(run, children):
    with pytest.raises(SystemExit, match="None of these backends is installed: torch"):
        run.main(["--backends", "torch"])


def test_every_script_of_the_folder_is_in_the_table_and_answers_to_help(run, imported, monkeypatch, capsys):
    scripts = {path.name for path in BENCHMARKS.glob("*.py") if "parse_args" in path.read_text()}
    assert {script.name for script in run.SCRIPTS} == scripts - {"run.py", "machine.py"}
    for script in scripts - {"run.py"}:
        monkeypatch.setattr(sys, "argv", [script, "--help"])
        with pytest.raises(SystemExit, match="^0$"):
            imported(Path(script).stem).main()
        assert "--quick" in capsys.readouterr().out


def test_a_script_fails_with_the_last_line_that_it_wrote(run):
    with pytest.raises(run.measure.ChildFailed, match="machine.py: error: unrecognized arguments: --no-such"):
        run.measure.run_child("machine.py", "--no-such")


def test_rows_are_judged_by_their_targets_where_shapes_are_real(run, capsys):
    row = run.measure.Row
    assert [row("", 2.0, 1.0).verdict, row("", 0.5, 1.0).verdict, row("", 0.5).verdict] == ["yes", "NO", ""]
    assert row("", 0.5, 1.0, at_most=True).verdict == "yes"
    assert row("", None, 1.0).verdict == ""
    parser = run.measure.parser("")
    for words, verdict in (["--json"], "yes"), (["--json", "--quick"], ""):
        run.measure.show([row("twice as fast", 2.0, 1.0)], parser.parse_args(words))
        (shown,) = json.loads(capsys.readouterr().out)["rows"]
        assert row(**shown).verdict == verdict


def test_slopes_are_exponents(imported):
    slope = imported("growth").slope
    sizes = [98, 196, 784, 1568]
    assert slope(sizes, [3.0 * size**2 for size in sizes]) == pytest.approx(2.0)
    assert slope(sizes, [7.0 / size for size in sizes]) == pytest.approx(-1.0)


@pytest.mark.skipif(os.environ["KERAS_BACKEND"] != "jax", reason="programs are counted on JAX")
@pytest.mark.parametrize("kind", ["KerasHub", "a plain ViT"])
def test_the_operations_of_the_peers_are_those_of_their_programs(imported, kind):
    """Those of ours are compared with their program where `plan` counts them."""
    vit, speed, jax_steps = imported("vit"), imported("speed"), imported("jax_steps")
    model, flops = vit.built(kind, quick=True)
    inputs, _ = vit.batch(kind, quick=True)
    forward, weights = jax_steps.forward(model)
    assert speed.flops(forward, weights, inputs) == flops


@pytest.mark.skipif(os.environ["KERAS_BACKEND"] != "jax", reason="operations are counted on JAX")
def test_growth_counts_the_pairs_of_tokens_that_are_multiplied(imported):
    """Streams of 64 tokens read themselves, 16 fusion tokens read all: 4 operations by pair and channel."""
    import zorro_keras as zk

    growth, speed = imported("growth"), imported("speed")
    for count in (2, 4):
        streams = {f"view_{k}": zk.streams.Image(128, 128) for k in range(count)}
        tokens = 64 * count + 16
        for kind, pairs in (("structured", count * 64**2 + 16 * tokens), ("dense", tokens**2)):
            work = growth.attention_work(streams, growth.QUICK, kind)
            assert speed.flops(work.function, *work.arrays) == 4 * 16 * pairs
