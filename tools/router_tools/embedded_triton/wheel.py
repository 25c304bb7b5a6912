"""Find Triton in the nvidia-pytriton wheel, and check whether it can run on this machine."""

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
    """The files of the wheel that a server without pytriton needs."""

    server: Path
    """The `tritonserver` program."""
    python_backend: Path
    """The folder with `libtriton_python.so` and `triton_python_backend_utils.py`."""
    stub: Path
    """The program that runs a Python model, built for the running Python version."""
    libraries: tuple[Path, ...]
    """The folders with the shared libraries that the server and the stub were linked against."""


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
    """Reject every platform but Linux on x86_64, the only one for which the wheel has a server."""
    if (system, machine) != ("linux", "x86_64"):
        raise ToolError(
            f"the embedded server runs only on linux x86_64, found {system} {machine}: "
            "run the command in a Linux container or on a Linux machine"
        )


def check_glibc(library: str, version: str) -> None:
    """Reject a C library with which the wheel's server cannot be loaded.

    Args:
        library: "glibc"; empty for any other C library.
        version: its version, such as "2.36".
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
    """Reject a Python version for which there is no stub or no numpy 1, which the wheel's Triton needs."""
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        raise ToolError(
            f"the embedded server needs Python {_dotted(OLDEST_PYTHON)} to {_dotted(NEWEST_PYTHON)}, found "
            f"{_dotted(version)}: create the virtual environment with one of these versions"
        )


def find_libpython(version: tuple[int, int]) -> list[Path]:
    """Return the folder with the libpython that the stub embeds; empty if it is a library of the system."""
    name = f"libpython{_dotted(version)}.so.1.0"
    folders = [Path(str(sysconfig.get_config_var("LIBDIR"))), Path(sys.base_prefix) / "lib"]
    found = [folder for folder in folders if (folder / name).exists()]
    if not found and not find_library(name.removeprefix("lib").partition(".so")[0]):
        raise ToolError(
            f"the embedded server cannot run models: {name} is missing, because this Python was built "
            "without a shared library; install your system's libpython package, or use a Python that has it"
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
