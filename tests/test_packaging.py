"""What an installed copy holds: every package and data file, one version, and all imports declared."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import zorro_keras

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = {"zorro_keras": "zorro_keras", "applications": "zorro_keras.applications"}
DISTRIBUTION_NAMES = {"keras_hub": "keras-hub", "ml_dtypes": "ml-dtypes"}  # where they differ
CACHE = {"__pycache__", ".ruff_cache"}
OPTIONAL_IMPORTS = {  # guarded where used
    "tensorflow",
    "tensorflow_io",
    "jax",
    "torch",
    "psutil",
    "pydot",
    "onnx",
    "onnxruntime",
    "tf2onnx",
    "google",  # protobuf, which TensorFlow brings
    "pyarrow",
    "scipy",
    "sentencepiece",
}


def packages_on_disk() -> set[str]:
    found = set()
    for folder, package in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([package, *init.parent.relative_to(ROOT / folder).parts]))
    return found


def installed_name(path: Path) -> str:
    """Where the wheel keeps a file of the tree."""
    folder, *rest = path.relative_to(ROOT).parts
    return "/".join([FOLDERS[folder].replace(".", "/"), *rest])


def shipped_files() -> list[Path]:
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file())
    return [path for path in files if not CACHE & set(path.parts) and path.suffix != ".md"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built without network from a copy, so that building leaves nothing in the tree."""
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns(*CACHE))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    build = f"from setuptools import build_meta; print(build_meta.build_wheel({str(out)!r}))"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True, timeout=120)
    (built,) = out.glob("*.whl")
    return built


def test_the_package_list_equals_the_packages_on_disk():
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_every_folder_of_python_files_is_a_package():
    for path in shipped_files():
        if path.suffix == ".py":
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


def test_the_wheel_holds_every_shipped_file(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {installed_name(path) for path in shipped_files()} <= names
    assert {"zorro_keras/py.typed", "zorro_keras/applications/__init__.py"} <= names
    assert not [name for name in names if name.startswith(("applications/", "tests/", "examples/"))]
    assert [name for name in names if name.endswith("dist-info/licenses/LICENSE")]


def test_the_unpacked_wheel_is_imported_in_place_of_the_tree(wheel: Path, tmp_path: Path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = (
        "import zorro_keras, zorro_keras.applications as a; print(zorro_keras.__file__); print(a.__file__)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    for line in result.stdout.splitlines():
        assert Path(line).is_relative_to(tmp_path), line


def test_one_version_everywhere(wheel: Path):
    assert importlib.metadata.version("zorro-keras") == zorro_keras.__version__
    assert wheel.name.startswith(f"zorro_keras-{zorro_keras.__version__}-")
    assert f"## {zorro_keras.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_import_is_declared():
    """An import is of the standard library, of a declared dependency or of a named optional package."""
    declared = {re.match(r"[\w-]+", line)[0].lower() for line in PYPROJECT["project"]["dependencies"]}
    allowed = set(sys.stdlib_module_names) | OPTIONAL_IMPORTS | {"zorro_keras"}
    for path in shipped_files():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for package in {name.partition(".")[0] for name in names} - allowed:
                assert DISTRIBUTION_NAMES.get(package, package) in declared, f"{path}:{node.lineno} {package}"


def test_the_command_points_at_a_function():
    target = PYPROJECT["project"]["scripts"]["zorro-keras"]
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="zorro-keras")
    assert entry.value == target
    assert callable(entry.load())
