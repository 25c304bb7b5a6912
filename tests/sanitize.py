"""Integration tests of the native host with sanitizers: `python -m tests.sanitize`.

For each set of sanitizers, the native library is compiled with it in a copy of the project, and the tests run
there on the real server. This needs gcc with its sanitizers. Triton, Python and the variants are not compiled
with them, so only what the library does is checked, and how it uses memory and locks of the others.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from native_library import LIBRARY, compile_library, find_compiler
from tests.documents import CHECKOUT
from tests.project_copy import copy_project

FOLDER = CHECKOUT / "build" / "sanitize"
TESTS = [
    f"tests/integration/test_{name}.py"
    for name in ("native_host", "router_answers", "router_failures", "router_lifecycle", "router_requests")
]
SELECTION = ("-k", "native")  # one of the two hosts that each test runs on
SOURCES = "router_backend/native/"
FLAGS = ("-O1", "-g", "-fno-omit-frame-pointer", "-Werror")
GUARD = """
#include <stdlib.h>
__attribute__((constructor)) static void first(void) {
  free(malloc(1));
  unsetenv("LD_PRELOAD");
}
"""
"""A library that is loaded with the runtime and runs before any other.

The first allocation starts the runtime. Later it would be one of libstdc++ that holds the lock of glibc's
locales, which the runtime takes as well and then leaves broken: Python never starts. Child processes of the
server must start without the runtime: bash, which starts the stubs, would crash.
"""
RUN = """
import os, sys, pytest
os.environ["LD_PRELOAD"] = sys.argv[1]  # for the server; this process has been started without it
sys.exit(pytest.main(sys.argv[2:]))
"""


@dataclass(frozen=True)
class Sanitizers:
    """Sanitizers that can be combined.

    Args:
        checks: their names, as the compiler has them.
        runtime: the library that the server must load first.
        options: by environment variable, their options.
    """

    checks: str
    runtime: str
    options: Mapping[str, str]


ALL = (
    # Python frees much only when its process ends, which would be listed as leaks.
    Sanitizers("address,undefined", "libasan.so", {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": ""}),
    Sanitizers("thread", "libtsan.so", {"TSAN_OPTIONS": ""}),
)


def passes(sanitizers: Sanitizers, compiler: list[str]) -> bool:
    """Run the tests in a copy of the project; return whether they pass without a report."""
    project = FOLDER / sanitizers.runtime
    shutil.rmtree(project, ignore_errors=True)
    copy_project(project)
    compile_library(compiler, project / "router_backend" / LIBRARY, f"-fsanitize={sanitizers.checks}", *FLAGS)
    preloaded = f"{find_runtime(compiler, sanitizers.runtime)} {compile_guard(compiler, project)}"
    reports = project / "reports"
    reports.mkdir()
    tested = subprocess.run(
        [sys.executable, "-c", RUN, preloaded, *SELECTION, *TESTS],
        cwd=project,
        env={**os.environ, **environment(project, sanitizers, reports)},
        check=False,
    )
    return not print_findings(reports) and tested.returncode == 0


def find_runtime(compiler: list[str], name: str) -> Path:
    """Return where the compiler has a library."""
    asked = [*compiler, f"-print-file-name={name}"]
    path = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    if not path.is_absolute():
        sys.exit(f"error: the compiler '{compiler[0]}' has no {name}: set CC to a gcc with its sanitizers")
    return path


def compile_guard(compiler: list[str], folder: Path) -> Path:
    """Compile the library that is loaded with the runtime."""
    library = folder / "guard.so"
    command = [*compiler, "-O0", "-shared", "-fPIC", "-Wl,-z,initfirst", "-x", "c", "-", "-o", library]
    subprocess.run(command, input=GUARD, text=True, check=True)
    return library


def environment(project: Path, sanitizers: Sanitizers, reports: Path) -> dict[str, str]:
    """Return the variables with which the copy is imported and reports are written to files."""
    options = {
        name: f"{value}:log_path={reports}/{name}".lstrip(":") for name, value in sanitizers.options.items()
    }
    return {"PYTHONPATH": os.pathsep.join(map(str, (project, project / "tools"))), **options}


def print_findings(reports: Path) -> bool:
    """Print the reports about the library; return whether there are any.

    Others are about Triton alone: what it orders by atomic variables looks like a race, as their use in code
    without instrumentation is not seen.
    """
    found = [
        report
        for file in sorted(reports.iterdir())
        for report in re.split(r"^=+$", file.read_text(errors="replace"), flags=re.MULTILINE)
        if LIBRARY in report or SOURCES in report
    ]
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(*found, f"{len(found)} reports about the library", sep="\n")
    return bool(found)


def main() -> int:
    """Run the tests with each set of sanitizers; 0 if nothing was found."""
    compiler = find_compiler()
    results = [passes(sanitizers, compiler) for sanitizers in ALL]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
