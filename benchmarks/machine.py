"""What the figures depend on besides this code: the machine, its packages, and what a backend finds on it."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import measure
import speed

PACKAGES = (
    *("zorro-keras", "keras", "keras-hub", "keras-cv", "jax", "tensorflow", "torch", "transformers"),
    *("numpy", "av"),
)


def described() -> dict:
    """The processor, its cores that this process may use, memory in GB, system, and package versions."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def processor() -> str:
    """The model's name, where Linux tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def measured(size: int | None) -> dict:
    """What the backend of this process computes on, and its products per second."""
    rates = {dtype: speed.matmul_flops_per_second(dtype, size) / 1e9 for dtype in ("float32", "bfloat16")}
    devices = speed.devices()
    return {
        "devices": devices,
        "num_devices": len(devices),
        "matmul_gflops_per_second": {name: round(rate, 1) for name, rate in rates.items()},
    }


def main() -> None:
    arguments = measure.parser(__doc__).parse_args()
    found = measured(256 if arguments.quick else None)
    print(json.dumps(found if arguments.json else {**described(), **found}))


if __name__ == "__main__":
    main()
