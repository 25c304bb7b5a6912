"""What a machine is, as far as service times depend on it."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

PROCESSORS = Path("/proc/cpuinfo")
GPUS = Path("/proc/driver/nvidia/gpus")
PROCESSOR_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def describe_hardware() -> str:
    """Return the machine's kind, processors and GPUs in one line; what cannot be read is left out."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = sorted(_values("Model", *sorted(GPUS.glob("*/information"))))
    processor = next(_values("model name", PROCESSORS), platform.processor())
    quota = "".join(_lines(PROCESSOR_QUOTA)[:1])
    return "; ".join(filter(None, (platform.machine(), f"{usable} of {processor}", quota, *gpus)))


def _values(key: str, *files: Path) -> Iterator[str]:
    """Return what files of lines `key: value` say of a key, each once."""
    for file in files:
        pairs = (line.partition(":") for line in _lines(file))
        yield from [value.strip() for found, _, value in pairs if found.strip() == key][:1]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []
