"""`zorro-keras doctor`: what is installed, what works, and plain words about common install trouble."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from rich.console import Console

# Package -> extra that brings it; None for what every installation has.
PACKAGES = {
    "zorro-keras": None,
    "keras": None,
    "keras-hub": None,
    "numpy": None,
    "safetensors": None,
    "av": None,
    "soundfile": None,
    "tensorflow": "tf",
    "jax": "jax",
    "torch": "torch",
    "tensorflow-io": "tfio",
    "keras-cv": "cv",
    "sentencepiece": "text",
    "pyarrow": "text",
}
# tensorflow-io minor -> the only TensorFlow its native operations load with (its README).
TENSORFLOW_OF_IO = {"0.37": "2.16", "0.36": "2.15", "0.35": "2.14", "0.34": "2.13"}
LITTLE_DISK_GB = 5.0
OLDEST_KERAS = (3, 15)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the report. `advice` says what to do, in plain words, unless all is well."""

    topic: str
    state: Literal["ok", "note", "trouble"]
    text: str
    advice: str = ""


def doctor(console: Console | None = None) -> int:
    """Prints the findings. Returns 0, or 2 if something will not work."""
    console = console or Console()
    findings = list(examine())
    marks = {"ok": "[green]ok     [/]", "note": "[yellow]note   [/]", "trouble": "[red]trouble[/]"}
    for finding in findings:
        console.print(f"{marks[finding.state]} {finding.topic}: ", end="", highlight=False)
        console.print(finding.text, markup=False, highlight=False)
        if finding.advice:
            console.print(f"        -> {finding.advice}", markup=False, highlight=False)
    return 2 if any(finding.state == "trouble" for finding in findings) else 0


def examine() -> Iterator[Finding]:
    """Looks at packages, backend, media libraries, devices and disk, in this order."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    installed = {name: _version(name) for name in PACKAGES}
    yield from packages(installed)
    yield from known_trouble(installed)
    yield from backend()
    yield from media()
    yield disk()


def packages(installed: dict[str, str | None]) -> Iterator[Finding]:
    """One finding per package of the project."""
    for name, number in installed.items():
        extra = PACKAGES[name]
        if number is not None:
            yield Finding(name, "ok", number)
        elif extra is None:
            yield Finding(name, "trouble", "not installed", f"Install it: pip install {name}")
        else:
            yield Finding(
                name, "note", "not installed", f"If you want it: pip install 'zorro-keras[{extra}]'"
            )


def known_trouble(installed: dict[str, str | None]) -> Iterator[Finding]:
    """Combinations that are known not to work, from versions alone."""
    keras, tensorflow, tensorflow_io = (installed[name] for name in ("keras", "tensorflow", "tensorflow-io"))
    if keras is not None and _numbers(keras) < OLDEST_KERAS:
        oldest = ".".join(map(str, OLDEST_KERAS))
        yield Finding(
            "keras",
            "trouble",
            f"{keras} is too old",
            f"Older versions have known holes: pip install 'keras>={oldest}'",
        )
    if not any(installed[name] for name in ("tensorflow", "jax", "torch")):
        yield Finding(
            "backend", "trouble", "none is installed", "pip install 'zorro-keras[jax]' is a good start."
        )
    if tensorflow is None:
        advice = "Models work; reading data and training need it on every backend: pip install tensorflow-cpu"
        yield Finding("tf.data", "note", "TensorFlow is not installed", advice)
    numpy = installed["numpy"]
    if tensorflow and numpy and _numbers(tensorflow) < (2, 18) and _numbers(numpy) >= (2, 0):
        text = f"{numpy} is too new for TensorFlow {tensorflow}"
        yield Finding("numpy", "trouble", text, "pip install 'numpy<2'")
    if tensorflow is not None and tensorflow_io is not None:
        wanted = TENSORFLOW_OF_IO.get(".".join(map(str, _numbers(tensorflow_io))))
        if wanted is not None and not tensorflow.startswith(f"{wanted}."):
            advice = f"Its native operations need TensorFlow {wanted}; soundfile and PyAV do the work."
            yield Finding("tensorflow-io", "note", f"{tensorflow_io} beside TensorFlow {tensorflow}", advice)


def backend() -> Iterator[Finding]:
    """Imports Keras and asks its backend for the devices."""
    try:
        import keras
    except Exception as error:  # an import can fail in any way
        yield Finding("backend", "trouble", _first_line(error), _import_advice(error))
        return
    name = keras.backend.backend()
    yield Finding("backend", "ok", f"{name} (--backend or KERAS_BACKEND chooses another)")
    try:
        found = DEVICES[name]()
    except Exception as error:  # drivers fail in any way
        yield Finding("devices", "trouble", _first_line(error), _import_advice(error))
        return
    yield Finding("devices", "ok", ", ".join(found))
    if all("cpu" in device.lower() for device in found) and shutil.which("nvidia-smi"):
        advice = "The driver is there but the backend is a CPU build: pip install 'zorro-keras[jax-gpu]'"
        yield Finding("devices", "note", "an NVIDIA driver is present, the backend uses the CPU", advice)
    if name != "tensorflow" and importlib.util.find_spec("tensorflow"):
        advice = "TensorFlow feeds the data; in our commands it leaves accelerators to the backend."
        yield Finding("tf.data", "ok", f"TensorFlow {_version('tensorflow') or ''}. {advice}")


def media() -> Iterator[Finding]:
    """Which libraries decode sound and picture here."""
    for name, module, does in (
        ("video", "av", "decodes video and sound (mp4, mkv, webm, mov, avi, mp3, ogg, m4a)"),
        ("audio", "soundfile", "decodes wav, flac, ogg"),
    ):
        try:
            loaded = importlib.import_module(module)
            yield Finding(name, "ok", f"{module} {loaded.__version__} {does}")
        except Exception as error:  # a missing shared library is an OSError, a missing package an ImportError
            yield Finding(
                name, "trouble", f"{module}: {_first_line(error)}", f"pip install --force-reinstall {module}"
            )
    if importlib.util.find_spec("tensorflow_io"):
        yield tensorflow_io_audio()


def tensorflow_io_audio() -> Finding:
    """Whether the native operations of tensorflow-io load."""
    try:
        import tensorflow as tf
        import tensorflow_io as tfio

        tfio.audio.resample(tf.zeros((8, 1)), 8000, 16000)
    except Exception as error:  # NotImplementedError, NotFoundError, ImportError, by version
        advice = (
            "Only its native operations are missing; soundfile and PyAV do the work. See the `tfio` extra."
        )
        return Finding("audio", "note", f"tensorflow-io: {_first_line(error)}", advice)
    return Finding("audio", "ok", "tensorflow-io's native audio operations load")


def disk() -> Finding:
    """Free space where the command runs."""
    free_gb = shutil.disk_usage(".").free / 1e9
    if free_gb < LITTLE_DISK_GB:
        return Finding(
            "disk",
            "note",
            f"{free_gb:.1f} GB free here",
            "Shards and checkpoints need room; choose another folder.",
        )
    return Finding("disk", "ok", f"{free_gb:.1f} GB free here")


def _jax_devices() -> list[str]:
    import jax

    return [f"{device.platform}:{device.id}" for device in jax.devices()]


def _tensorflow_devices() -> list[str]:
    import tensorflow as tf

    return [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices()]


def _torch_devices() -> list[str]:
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]


DEVICES: dict[str, Callable[[], list[str]]] = {
    "jax": _jax_devices,
    "tensorflow": _tensorflow_devices,
    "torch": _torch_devices,
}


def _import_advice(error: Exception) -> str:
    text = str(error)
    if "TPU" in text or "already in use" in text:
        return "Another process holds the TPU, often TensorFlow itself: replace tensorflow by tensorflow-cpu."
    if isinstance(error, ModuleNotFoundError):
        return f"The backend is not installed: pip install {error.name}, or choose another with --backend."
    if "libcu" in text or "CUDA" in text or "cuInit" in text:
        return "CUDA libraries and driver do not fit: pip install -U 'jax[cuda12]', or use the CPU build."
    return "Choose jax, tensorflow or torch with --backend, and reinstall the one that fails."


def _numbers(number: str) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", number)[:2]
    return int(major), int(minor)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def _version(package: str) -> str | None:
    names = [package, "tensorflow-cpu"] if package == "tensorflow" else [package]
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
