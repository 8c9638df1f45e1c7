"""`import zorro_keras` is light, and every public name resolves and explains itself."""

import inspect
import subprocess
import sys

import pytest

import zorro_keras

HEAVY = {"keras", "keras_hub", "tensorflow", "jax", "torch", "matplotlib"}


def modules_after(program: str) -> set[str]:
    """Top-level modules loaded in a new process that runs `program`."""
    program += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "zorro_keras",
        "zorro_keras.applications",
        "zorro_keras.applications.pipelines",
        "zorro_keras.applications.training",
        "zorro_keras.applications.cli",
        "zorro_keras.applications.pipelines.media",  # decoding workers start fast and stay small
        "zorro_keras.applications.pipelines.workers",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_used(module: str):
    assert modules_after(f"import {module}") & HEAVY == set()


def test_the_first_use_imports_keras():
    assert "keras" in modules_after("import zorro_keras\nzorro_keras.layers")


def public_names() -> list[str]:
    return [name for name in zorro_keras.__all__ if name != "__version__"]


def public_objects() -> list[tuple[str, object]]:
    """Every name of the index, and every name of the packages it lists."""
    found = []
    for name in public_names():
        value = getattr(zorro_keras, name)
        found.append((f"zorro_keras.{name}", value))
        if inspect.ismodule(value):
            found += [(f"zorro_keras.{name}.{inner}", getattr(value, inner)) for inner in value.__all__]
    return found


def own_docstring(value: object) -> str:
    """The docstring written for `value` itself: neither a parent's nor the signature a dataclass makes up."""
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    made_up = inspect.isclass(value) and (text or "").startswith(f"{value.__name__}(")
    return "" if made_up else (text or "")


def test_every_public_name_resolves_and_has_a_docstring():
    objects = public_objects()
    assert objects
    bare = [
        name
        for name, value in objects
        if inspect.ismodule(value) or callable(value)
        if not own_docstring(value)
    ]
    assert bare == []


def test_the_index_lists_names_once_and_dir_shows_them():
    names = zorro_keras.__all__
    assert len(names) == len(set(names))
    assert set(names) <= set(dir(zorro_keras))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        zorro_keras.no_such_name  # noqa: B018
    assert zorro_keras.__version__
