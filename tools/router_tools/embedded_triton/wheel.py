"""Where the nvidia-pytriton wheel keeps Triton's parts, and whether they can run on this machine."""

import platform
import sys
import sysconfig
from ctypes.util import find_library
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from router_tools.errors import INSTALL_COMMAND, ToolError

WHEEL = "nvidia-pytriton"
MINIMUM_GLIBC = (2, 35)
OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 12)


@dataclass(frozen=True, slots=True)
class ServerWheel:
    """The parts of the wheel that a server without pytriton needs."""

    server: Path
    """The `tritonserver` program."""
    python_backend: Path
    """Folder with `libtriton_python.so` and `triton_python_backend_utils.py`."""
    stub: Path
    """The program that runs a Python model, built for the running Python version."""
    libraries: tuple[Path, ...]
    """Folders with the shared libraries that the server and the stub were linked against."""


def find_wheel() -> ServerWheel:
    """Find the installed wheel's server.

    Raises:
        ToolError: this machine cannot run it, or it is not installed.
    """
    check_platform(sys.platform, platform.machine())
    check_glibc(*platform.libc_ver())
    version = sys.version_info[:2]
    check_python(version)
    site_packages = _site_packages()
    triton = site_packages / "pytriton" / "tritonserver"
    return ServerWheel(
        server=triton / "bin" / "tritonserver",
        python_backend=triton / "backends" / "python",
        stub=triton / "python_backend_stubs" / _dotted(version) / "triton_python_backend_stub",
        libraries=(site_packages / "nvidia_pytriton.libs", *find_libpython(version)),
    )


def check_platform(system: str, machine: str) -> None:
    """Refuse every machine but Linux on x86_64, the only one that the wheel carries a server for."""
    if (system, machine) != ("linux", "x86_64"):
        raise ToolError(
            f"the embedded server runs on linux x86_64 only, this machine is {system} {machine}: "
            "run the command in a Linux container or on a Linux machine"
        )


def check_glibc(library: str, version: str) -> None:
    """Refuse a C library that the wheel's server cannot be loaded with.

    Args:
        library: "glibc"; empty where the C library is another one.
        version: such as "2.36".
    """
    if library == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= MINIMUM_GLIBC:
        return
    wanted = ".".join(map(str, MINIMUM_GLIBC))
    found = f"{library} {version}" if library else "another C library"
    raise ToolError(
        f"the embedded server needs glibc >= {wanted}, found {found}: "
        "use a newer Linux, such as Debian 12 or Ubuntu 22.04"
    )


def check_python(version: tuple[int, int]) -> None:
    """Refuse a Python for which there is no numpy 1, which the wheel's Triton needs, or no stub."""
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        raise ToolError(
            f"the embedded server needs Python {_dotted(OLDEST_PYTHON)} to {_dotted(NEWEST_PYTHON)}, this is "
            f"Python {_dotted(version)}: make the virtual environment with one of these"
        )


def find_libpython(version: tuple[int, int]) -> list[Path]:
    """The folder to look for libpython in, which the stub embeds; none where it is among the system's."""
    name = f"libpython{_dotted(version)}.so.1.0"
    folders = [Path(str(sysconfig.get_config_var("LIBDIR"))), Path(sys.base_prefix) / "lib"]
    found = [folder for folder in folders if (folder / name).exists()]
    if not found and not find_library(name.removeprefix("lib").partition(".so")[0]):
        raise ToolError(
            f"the embedded server cannot run models: {name} is missing, as this Python was built without a "
            "shared library; install your system's libpython package, or use a Python that has it"
        )
    return found[:1]


def _site_packages() -> Path:
    try:
        return Path(str(metadata.distribution(WHEEL).locate_file("")))
    except metadata.PackageNotFoundError:
        raise ToolError(
            f"the embedded server is not installed (package {WHEEL}): {INSTALL_COMMAND}"
        ) from None


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
