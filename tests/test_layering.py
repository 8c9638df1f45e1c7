"""Imports go down only, and each layer imports no more than it may."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = "zorro_keras"
APPLICATIONS = "zorro_keras.applications"

# How high each part of the library stands. A module may import lower ranks and its own part.
LIBRARY_RANKS = {
    "streams": 0,
    "routing": 0,
    "losses": 0,
    "metrics": 0,
    "layers": 1,
    "models": 2,
    "weights": 3,
}
SHARED_RANKS = {
    "pipelines": 0,
    "training": 1,
}  # inside applications; each task stands on 2, the command line on 3
COMMAND_LINE = {"cli", "doctor", "demo", "plan", "reproduce"}

LIBRARY_MAY_IMPORT = {"keras", "keras_hub", "numpy", LIBRARY} | set(sys.stdlib_module_names)
FILE_FORMATS = {"weights": {"h5py", "safetensors"}}
# The one place that knows which backend runs it, and what has a kernel of its own there.
BACKENDS = {f"zorro_keras.layers.{name}": {"jax"} for name in ("kernels", "tpu_attention")}
ROUTING_MAY_IMPORT = {"numpy", LIBRARY} | set(sys.stdlib_module_names)
PRIVATE = ("keras.src", "keras_hub.src")


def module_name(path: Path) -> str:
    """The name `path` is imported by; `applications/` is installed inside `zorro_keras/`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = (LIBRARY, *parts) if parts[0] == "applications" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def shipped_modules() -> dict[str, str]:
    files = [*(ROOT / "zorro_keras").rglob("*.py"), *(ROOT / "applications").rglob("*.py")]
    return {module_name(path): path.read_text(encoding="utf-8") for path in files}


def imports(module: str, source: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything `module` imports, anywhere in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, base] if base else parents)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def part_of(name: str, root: str) -> str:
    """`routing` for `zorro_keras.routing.plan` below `zorro_keras`; empty for the root itself."""
    return name.removeprefix(root).lstrip(".").partition(".")[0]


def library_complaint(module: str, imported: str) -> str | None:
    part, package = part_of(module, LIBRARY), imported.partition(".")[0]
    may_import = ROUTING_MAY_IMPORT if part == "routing" else LIBRARY_MAY_IMPORT
    may_import = may_import | FILE_FORMATS.get(part, set()) | BACKENDS.get(module, set())
    if package not in may_import:
        return "is not for this layer"
    if package != LIBRARY:
        return None
    target = part_of(imported, LIBRARY)
    if target == "applications":
        return "looks up from the library into the applications"
    if not part or target in ("", part, "__version__"):  # the public index may import every layer
        return None
    if target not in LIBRARY_RANKS:
        return "goes through the public index"
    return None if LIBRARY_RANKS[target] < LIBRARY_RANKS[part] else "does not go down"


def application_complaint(module: str, imported: str) -> str | None:
    part = part_of(module, APPLICATIONS)
    if imported == LIBRARY or not imported.startswith(f"{LIBRARY}."):
        return None
    if not imported.startswith(APPLICATIONS):
        # zorro_keras.layers.LogMel is public; zorro_keras.layers.log_mel.LogMel names a file.
        return "reaches past the public index" if imported.count(".") > 2 else None
    target = part_of(imported, APPLICATIONS)
    if part in COMMAND_LINE or target in ("", part):
        return None
    if target in COMMAND_LINE:
        return "looks up into the command line"
    if target not in SHARED_RANKS:
        return "is another application"
    return (
        None if part not in SHARED_RANKS or SHARED_RANKS[target] < SHARED_RANKS[part] else "does not go down"
    )


def complaints(modules: dict[str, str]) -> list[str]:
    packages = {name.rpartition(".")[0] for name in modules}
    found = []
    for module, source in modules.items():
        complaint = application_complaint if module.startswith(APPLICATIONS) else library_complaint
        for line, imported in imports(module, source, module in packages):
            why = "is private" if imported.startswith(PRIVATE) else complaint(module, imported)
            if imported.partition(".")[0] == "keras_nlp":
                why = "is an old name of keras_hub"
            if why:
                found.append(f"{module}:{line} imports {imported}, which {why}")
    return found


def test_imports_go_down_only():
    assert complaints(shipped_modules()) == []


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("zorro_keras.layers.a", "import tensorflow as tf", "not for this layer"),
        ("zorro_keras.models.a", "def f():\n    import jax.numpy", "not for this layer"),
        ("zorro_keras.models.a", "from torch import nn", "not for this layer"),
        ("zorro_keras.models.a", "from safetensors.numpy import save_file", "not for this layer"),
        ("zorro_keras.routing.a", "import keras", "not for this layer"),
        ("zorro_keras.layers.a", "from keras.src import backend", "private"),
        ("zorro_keras.layers.a", "from keras_hub.src.models import backbone", "private"),
        ("zorro_keras.layers.a", "import keras_nlp", "old name"),
        ("zorro_keras.layers.a", "from zorro_keras.models import ZorroViTBackbone", "does not go down"),
        ("zorro_keras.layers.a", "from ..models.zorro_vit import ZorroViTBackbone", "does not go down"),
        ("zorro_keras.losses.a", "from zorro_keras.metrics import MeanAveragePrecision", "does not go down"),
        ("zorro_keras.models.a", "from zorro_keras import applications", "looks up"),
        ("zorro_keras.models.a", "from zorro_keras import Routing", "public index"),
        (
            "zorro_keras.applications.one.a",
            "from zorro_keras.applications.two import model",
            "another application",
        ),
        (
            "zorro_keras.applications.one.a",
            "from zorro_keras.layers.log_mel import LogMel",
            "past the public index",
        ),
        ("zorro_keras.applications.one.a", "from keras.src import ops", "private"),
        ("zorro_keras.applications.pipelines.a", "from ..training import fit", "does not go down"),
        ("zorro_keras.applications.training.a", "from zorro_keras.applications import cli", "command line"),
    ],
)
def test_a_forbidden_import_is_named(module: str, line: str, complaint: str):
    (found,) = complaints({module: line})
    assert complaint in found and found.startswith(f"{module}:")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("zorro_keras.routing.a", "import numpy as np\nfrom .layout import TokenLayout"),
        (
            "zorro_keras.layers.a",
            "from keras import ops\nfrom ..routing import Routing\nfrom .mlp import MLP",
        ),
        ("zorro_keras.models.a", "import keras_hub\nfrom zorro_keras.layers.mlp import MLP"),
        ("zorro_keras.applications.one.a", "import tensorflow as tf\nfrom zorro_keras.layers import LogMel"),
        ("zorro_keras.applications.one.a", "from zorro_keras.applications.pipelines.media import probe"),
        ("zorro_keras.applications.training.a", "from ..pipelines.faults import ZorroError"),
        ("zorro_keras.applications.cli", "from zorro_keras.applications.training import fit"),
    ],
)
def test_imports_that_go_down_are_welcome(module: str, line: str):
    assert complaints({module: line}) == []


def test_every_part_of_the_library_has_a_rank():
    """A new package or module beside `layers/` must be given its place in `LIBRARY_RANKS` first."""
    parts = {part_of(name, LIBRARY) for name in shipped_modules()} - {"", "applications"}
    assert parts <= set(LIBRARY_RANKS), f"without a rank: {sorted(parts - set(LIBRARY_RANKS))}"


def test_the_library_never_touches_a_private_attribute_of_keras():
    """`keras.src.backend` is reachable as an attribute of `keras` without any import of it."""
    for module, source in shipped_modules().items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                private = node.value.id in ("keras", "keras_hub") and node.attr.startswith(("src", "_"))
                assert not private, f"{module}:{node.lineno} uses {node.value.id}.{node.attr}"


def test_no_conftest_imports_a_backend_for_the_process_that_only_hands_out_tests():
    """It reads the conftests of every path it is given; one holding TensorFlow 2.16 may crash at its end."""
    conftests = sorted((ROOT / "tests").rglob("conftest.py"))
    assert len(conftests) > 1
    for path in conftests:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "zorro_keras" not in ast.unparse(node), f"{path}:{node.lineno} belongs into a fixture"
