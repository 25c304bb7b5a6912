"""Integration tests of the native host with sanitizers: `python -m tests.sanitize`.

For each sanitizer, the native library is compiled with it in a copy of the project, and the tests run there
on the real server. This needs gcc with its sanitizers. Triton, Python and the variants are not compiled
with them, so only what the library does is checked, and how it uses memory and locks of the others.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from native_library import LIBRARY, compile_library, find_compiler
from tests.documents import CHECKOUT
from tests.project_copy import copy_project

FOLDER = CHECKOUT / "build" / "sanitize"
TESTS = [
    f"tests/integration/test_{name}.py"
    for name in (
        "native_host",
        "router_answers",
        "router_failures",
        "router_lifecycle",
        "router_requests",
        "router_hedging",
        "wrong_answers",
        "fuzzed_requests",
        "triton_queues",
    )
]
SELECTION = ("-k", "native")  # one of the two hosts that each test runs on
SOURCES = "router_backend/native/"
NO_ACCESS = re.compile(r"\s*(?:Thread |Location is |Mutex \S+ \S*\s*(?:created|is already))")
"""How the parts of a report begin that say where a thread, the memory or a lock comes from."""
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
class Sanitizer:
    """A sanitizer.

    Args:
        name: as the compiler has it.
        runtime: the library that the server must load first.
        variable: the environment variable with its options.
        options: those that are not about the report.
    """

    name: str
    runtime: str
    variable: str
    options: str


ALL = (
    # Python frees much only when its process ends, which would be listed as leaks.
    Sanitizer("address", "libasan.so", "ASAN_OPTIONS", "detect_leaks=0"),
    # Apart from the first, whose runtime would take its reports to the server's log.
    Sanitizer("undefined", "libubsan.so", "UBSAN_OPTIONS", "print_stacktrace=1"),
    Sanitizer("thread", "libtsan.so", "TSAN_OPTIONS", "halt_on_error=0"),
)


def passes(sanitizer: Sanitizer, compiler: list[str]) -> bool:
    """Run the tests in a copy of the project; return whether they pass without a report."""
    project = FOLDER / sanitizer.name
    shutil.rmtree(project, ignore_errors=True)
    copy_project(project)
    compile_library(compiler, project / "router_backend" / LIBRARY, f"-fsanitize={sanitizer.name}", *FLAGS)
    preloaded = f"{find_runtime(compiler, sanitizer.runtime)} {compile_guard(compiler, project)}"
    reports = project / "reports"
    reports.mkdir()
    tested = subprocess.run(
        [sys.executable, "-c", RUN, preloaded, *SELECTION, *TESTS],
        cwd=project,
        env={**os.environ, **environment(project, sanitizer, reports)},
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


def environment(project: Path, sanitizer: Sanitizer, reports: Path) -> dict[str, str]:
    """Return the variables with which the copy is imported, and reports are written to files."""
    return {
        "PYTHONPATH": os.pathsep.join(map(str, (project, project / "tools"))),
        sanitizer.variable: f"{sanitizer.options}:log_path={reports / sanitizer.name}",
    }


def print_findings(reports: Path) -> bool:
    """Print the reports that count; return whether there are any."""
    found = [
        report
        for file in sorted(reports.iterdir())
        for report in re.split(r"^=+$", file.read_text(errors="replace"), flags=re.MULTILINE)
        if counts(report)
    ]
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(*found, f"{len(found)} reports", sep="\n")
    return bool(found)


def counts(report: str) -> bool:
    """Return whether a report is not about a race, or about one with both accesses by the library.

    Other races are between the library or what it calls and Triton, gRPC or Boost. These order accesses by
    atomic variables, whose use is not seen in code that is compiled without the sanitizer.
    """
    if "ThreadSanitizer" not in report:
        return bool(report.strip())
    accesses = [part for part in re.split(r"\n\s*\n", report) if not NO_ACCESS.match(part)]
    by_library = [SOURCES in frame for frame in map(accessor, accesses) if frame]
    return bool(by_library) and all(by_library)


def accessor(stack: str) -> str:
    """Return the first frame of a stack that is not of the sanitizer's runtime."""
    frames = re.findall(r"^ +#\d+ .*$", stack, flags=re.MULTILINE)
    return next((frame for frame in frames if "libsanitizer" not in frame), "")


def main() -> int:
    """Run the tests with each sanitizer; 0 if nothing was found."""
    compiler = find_compiler()
    results = [passes(sanitizer, compiler) for sanitizer in ALL]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
