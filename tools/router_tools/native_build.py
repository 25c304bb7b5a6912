"""Compiles the native host."""

import subprocess
from pathlib import Path

import router_backend

SOURCES = Path(router_backend.__file__).parent / "native"
LIBRARY = SOURCES.parent / "libtriton_router_backend.so"
FLAGS = "-std=c17 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -pthread -Wl,-z,nodelete"


def build() -> None:
    """Compile the library into the backend's folder, with the system's compiler."""
    sources = map(str, sorted(SOURCES.glob("*.c")))
    subprocess.run(["cc", *FLAGS.split(), "-o", str(LIBRARY), *sources, "-ldl"], check=True)


if __name__ == "__main__":
    build()
