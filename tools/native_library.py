"""Compile the native library: `python tools/native_library.py` puts it beside `model.py`, where Triton looks.

The hook of the wheel, the Makefile and the tests use this module, so the flags are only here. It needs no
package. The compiler is the command in the environment variable CC, else `cc`; if CC is empty, there is none.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "router_backend"
LIBRARY = "libtriton_router_backend.so"
"""The name that Triton looks for first in a backend's folder."""
OLDEST_GLIBC = (2, 35)
"""That of Triton 24.10's container, the oldest that the library is for."""
MACHINES = {0x3E: "x86_64", 0xB7: "aarch64"}
"""By the number in an ELF header."""
FLAGS = (
    "-std=c17",
    "-O2",
    "-Wall",
    "-Wextra",
    "-fPIC",
    "-pthread",
    "-shared",
    "-fvisibility=hidden",  # Triton's entry points are marked; nothing else can clash with another backend
    "-fstack-protector-strong",
    "-Wl,-z,relro,-z,now",
    "-Wl,-z,nodelete",  # Python, which the library starts, cannot be stopped and started again
)


class NoCompilerError(Exception):
    """There is no C compiler, or none is wanted."""


def find_compiler() -> list[str]:
    """Return the command of the C compiler.

    Raises:
        NoCompilerError: there is none; says why.
    """
    if "CC" in os.environ:
        if command := shlex.split(os.environ["CC"]):
            return command
        raise NoCompilerError("the environment variable CC is empty")
    machines = sorted(MACHINES.values())
    if sys.platform != "linux" or platform.machine() not in machines:
        raise NoCompilerError(
            f"it is for linux {' or '.join(machines)}, found {sys.platform} {platform.machine()}: "
            "set CC to a compiler for one of them"
        )
    if not shutil.which("cc"):
        raise NoCompilerError("found no C compiler `cc`: install one, or set CC to its command")
    return ["cc"]


def compile_library(compiler: Sequence[str], library: Path, *flags: str) -> None:
    """Compile the sources into `library`; a running server keeps the file that it has opened.

    Args:
        compiler: its command.
        library: the file to create or replace.
        flags: further flags, after those of every build.

    Raises:
        OSError: the compiler cannot be run.
        subprocess.CalledProcessError: the compiler failed, and has printed why.
    """
    library.parent.mkdir(parents=True, exist_ok=True)
    unfinished = library.with_suffix(f".{os.getpid()}")
    sources = sorted((PACKAGE / "native").glob("*.c"))
    subprocess.run([*compiler, *FLAGS, *flags, "-o", unfinished, *sources], check=True)
    unfinished.replace(library)


def wheel_tag(library: Path) -> str:
    """Return the tag of a wheel with this library: any Python 3, and the machine and glibc that it needs.

    Raises:
        ValueError: the library is for a machine that the project has no wheel for.
    """
    elf = library.read_bytes()
    machine = MACHINES.get(int.from_bytes(elf[18:20], "little"))
    if elf[:4] != b"\x7fELF" or machine is None:
        raise ValueError(f"{library}: expected an ELF file for {' or '.join(sorted(MACHINES.values()))}")
    needed = [(int(major), int(minor)) for major, minor in re.findall(rb"\0GLIBC_(\d+)\.(\d+)", elf)]
    major, minor = max(OLDEST_GLIBC, *needed)
    return f"py3-none-manylinux_{major}_{minor}_{machine}"


if __name__ == "__main__":
    try:
        compile_library(find_compiler(), PACKAGE / LIBRARY)
    except (NoCompilerError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: no native library: {error}")
