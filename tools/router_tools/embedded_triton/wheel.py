"""Where the nvidia-pytriton wheel keeps Triton's parts, and whether they can run on this machine."""

import platform
import sys
import sysconfig
from ctypes.util import find_library
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from router_tools.errors import ToolError

WHEEL = "nvidia-pytriton"
INSTALL = "pip install 'triton-model-router[serve]'"
MINIMUM_GLIBC = (2, 35)


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
    site_packages = _site_packages()
    triton = site_packages / "pytriton" / "tritonserver"
    return ServerWheel(
        server=triton / "bin" / "tritonserver",
        python_backend=triton / "backends" / "python",
        stub=find_stub(triton / "python_backend_stubs", sys.version_info[:2]),
        libraries=(site_packages / "nvidia_pytriton.libs", *find_libpython(sys.version_info[:2])),
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


def find_stub(stubs: Path, version: tuple[int, int]) -> Path:
    """The stub that runs models under Python `version`, out of the folder that has one for each."""
    stub = stubs / ".".join(map(str, version)) / "triton_python_backend_stub"
    if not stub.is_file():
        built_for = sorted((path.name for path in stubs.iterdir()), key=lambda name: int(name.split(".")[1]))
        raise ToolError(
            f"the embedded server cannot run models under Python {stub.parent.name}: {WHEEL} has a stub for "
            f"{', '.join(built_for)}; make the virtual environment with one of these"
        )
    return stub


def find_libpython(version: tuple[int, int]) -> list[Path]:
    """The folder to look for libpython in, which the stub embeds; none where it is among the system's."""
    name = f"libpython{'.'.join(map(str, version))}.so.1.0"
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
        raise ToolError(f"the embedded server is not installed (package {WHEEL}): {INSTALL}") from None
